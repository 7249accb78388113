//! The other forms of the two calls: behind a virtio-net header, and in guest memory.

use std::io::{IoSlice, IoSliceMut};
use std::slice;

use nix::errno::Errno;
use nix::sys::uio::{readv, writev};
use nix::unistd::{read, write};
use tap_plumb::{Checksum, Offload, RawSlice};

use crate::aligned::Aligned;
use crate::frames::drain;
use crate::measure::{compare, timed};
use crate::report::{Bound, Report};
use crate::rig::{Outcome, QUEUE, Rig, frame};

const BATCH: usize = 2000;
const LEN: usize = 1514;
const HEADER: usize = 12;
const ONE: Bound = Bound::AtMost(1.05);
/// The header is a slice of its own.
const SCATTERED: Bound = Bound::AtMost(1.10);

pub fn all(report: &mut Report) -> Outcome<()> {
    let rig = Rig::new(0, Offload::ALL)?;
    transmit_header(&rig, report);
    receive_header(&rig, report);
    let rig = Rig::new(1, Offload::NONE)?;
    transmit_raw(&rig, report);
    receive_raw(&rig, report);
    receive_empty(&rig, report);
    Ok(())
}

fn transmit_header(rig: &Rig, report: &mut Report) {
    let bytes = Aligned::copy_of(&[&[0; HEADER][..], &frame(LEN)].concat());
    let slices = [IoSlice::new(&bytes)];
    let mut ours = || {
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        timed(|| (0..BATCH).for_each(|_| session.send_with_header(&slices, HEADER).expect("send")))
    };
    let (header, rest) = bytes.split_at(HEADER);
    let mut bare = || {
        timed(|| {
            for _ in 0..BATCH {
                let copy: [u8; HEADER] = header.try_into().expect("a header");
                let slices = [IoSlice::new(&copy), IoSlice::new(rest)];
                assert_eq!(writev(&rig.backend, &slices), Ok(bytes.len()));
            }
        })
    };
    report.line("transmit.header", &compare(&mut ours, &mut bare), BATCH, "writev", SCATTERED);
}

fn receive_header(rig: &Rig, report: &mut Report) {
    let [mut own_buffer, mut bare_buffer] = [(); 2].map(|()| Aligned::new(rig.backend.receive_buffer_len()));
    let mut ours = || {
        drain(rig, LEN, || {
            rig.backend.receive(&mut [IoSliceMut::new(&mut own_buffer)]).expect("receive").is_some()
        })
    };
    let mut bare = || {
        drain(rig, LEN, || {
            let mut header = [0; HEADER];
            readv(&rig.backend, &mut [IoSliceMut::new(&mut header), IoSliceMut::new(&mut bare_buffer)])
                .is_ok()
        })
    };
    report.line("receive.header", &compare(&mut ours, &mut bare), QUEUE, "readv", SCATTERED);
}

/// The read that ends every drain.
fn receive_empty(rig: &Rig, report: &mut Report) {
    let [mut own_buffer, mut bare_buffer] = [(); 2].map(|()| Aligned::new(rig.backend.receive_buffer_len()));
    let mut ours = || {
        timed(|| {
            for _ in 0..BATCH {
                let received = rig.backend.receive(&mut [IoSliceMut::new(&mut own_buffer)]);
                assert!(received.expect("receive").is_none());
            }
        })
    };
    let mut bare = || {
        timed(|| {
            (0..BATCH).for_each(|_| assert_eq!(read(&rig.backend, &mut bare_buffer), Err(Errno::EAGAIN)));
        })
    };
    report.line("receive.empty", &compare(&mut ours, &mut bare), BATCH, "read", ONE);
}

fn transmit_raw(rig: &Rig, report: &mut Report) {
    let mut bytes = frame(LEN);
    let slice = RawSlice::new(bytes.as_mut_ptr(), LEN);
    let mut ours = || {
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        timed(|| {
            for _ in 0..BATCH {
                // SAFETY: the slice is `bytes`, which lives until the end; nobody refers to it during the call.
                let sent = unsafe { session.send_raw(slice::from_ref(&slice), None, Checksum::Complete) };
                sent.expect("send");
            }
        })
    };
    let bare_bytes = frame(LEN);
    let mut bare =
        || timed(|| (0..BATCH).for_each(|_| assert_eq!(write(&rig.backend, &bare_bytes), Ok(LEN))));
    report.line("transmit.raw", &compare(&mut ours, &mut bare), BATCH, "write", ONE);
}

fn receive_raw(rig: &Rig, report: &mut Report) {
    let [mut own_buffer, mut bare_buffer] = [(); 2].map(|()| Aligned::new(rig.backend.receive_buffer_len()));
    let slice = RawSlice::new(own_buffer.as_mut_ptr(), own_buffer.len());
    let mut ours = || {
        drain(rig, LEN, || {
            // SAFETY: the slice is `own_buffer`, which lives until the end; nobody refers to it during the call.
            let received = unsafe { rig.backend.receive_raw(slice::from_ref(&slice)) };
            received.expect("receive").is_some()
        })
    };
    let mut bare = || drain(rig, LEN, || read(&rig.backend, &mut bare_buffer).is_ok());
    report.line("receive.raw", &compare(&mut ours, &mut bare), QUEUE, "read", ONE);
}

//! The other forms of the two calls: behind a virtio-net header, and in guest memory.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::slice;

use nix::errno::Errno;
use nix::sys::uio::{readv, writev};
use nix::unistd::{read, write};
use tap_plumb::{Checksum, Offload, RawSlice};

use crate::measure::beside_calls;
use crate::report::Report;
use crate::rig::{Aligned, Outcome, QUEUE, Rig, frame};
use crate::{drain, fastest, in_line, repeat};

const BATCH: usize = 2000;
const LEN: usize = 1514;
const HEADER: usize = 12;
/// Beside the same instruction in line.
const BARE: f64 = 1.05;
/// The header is read, and is a slice of its own.
const BEHIND_HEADER: f64 = 1.08;

pub fn all(report: &mut Report) -> Outcome<()> {
    let rig = Rig::new(0, Offload::ALL)?;
    transmit_header(&rig, report);
    transmit_raw_header(&rig, report);
    receive_header(&rig, report);
    receive_raw_header(&rig, report);
    let rig = Rig::new(1, Offload::NONE)?;
    transmit_raw(&rig, report);
    receive_raw(&rig, report);
    receive_empty(&rig, report);
    Ok(())
}

/// Beside the call with the header in a slice of its own, copied for each frame.
macro_rules! beside_writev {
    ($report:expr, $name:expr, $rig:expr, $bytes:expr, $ours:expr) => {{
        let fd = $rig.backend.as_fd().as_raw_fd();
        let (header, rest) = ($bytes).split_at(HEADER);
        let mut in_line = fastest!({
            repeat!(BATCH, {
                let copy: [u8; HEADER] = header.try_into().expect("a header");
                let slices = [IoSlice::new(&copy), IoSlice::new(rest)];
                assert_eq!(in_line::writev(fd, &slices), Ok(HEADER + LEN));
            })
        });
        let mut library = fastest!({
            repeat!(BATCH, {
                let copy: [u8; HEADER] = header.try_into().expect("a header");
                let slices = [IoSlice::new(&copy), IoSlice::new(rest)];
                assert_eq!(writev(&$rig.backend, &slices), Ok(HEADER + LEN));
            })
        });
        let result = beside_calls(&mut $ours, &mut in_line, &mut library);
        $report.beside_calls($name, &result, BATCH, "writev", BEHIND_HEADER);
    }};
}

/// Beside the call with the header in a slice of its own.
macro_rules! beside_readv {
    ($report:expr, $name:expr, $rig:expr, $ours:expr) => {{
        let fd = $rig.backend.as_fd().as_raw_fd();
        let room = $rig.backend.receive_buffer_len();
        let mut buffers = [(); 2].map(|()| Aligned::new(room));
        let [line_buffer, bare_buffer] = buffers.each_mut().map(|buffer| &mut buffer[..]);
        let mut in_line = fastest!({
            drain!($rig, LEN, {
                let mut header = [0; HEADER];
                let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(line_buffer)];
                in_line::readv(fd, &mut slices).is_ok()
            })
        });
        let mut library = fastest!({
            drain!($rig, LEN, {
                let mut header = [0; HEADER];
                let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(bare_buffer)];
                readv(&$rig.backend, &mut slices).is_ok()
            })
        });
        let result = beside_calls(&mut $ours, &mut in_line, &mut library);
        $report.beside_calls($name, &result, QUEUE, "readv", BEHIND_HEADER);
    }};
}

fn transmit_header(rig: &Rig, report: &mut Report) {
    let bytes = Aligned::copy_of(&[&[0; HEADER][..], &frame(LEN)].concat());
    let slices = [IoSlice::new(&bytes)];
    let mut ours = fastest!({
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, session.send_with_header(&slices, HEADER).expect("send"))
    });
    beside_writev!(report, "transmit.header", rig, &bytes[..], ours);
}

fn transmit_raw_header(rig: &Rig, report: &mut Report) {
    let mut own_bytes = Aligned::copy_of(&[&[0; HEADER][..], &frame(LEN)].concat());
    let bytes = Aligned::copy_of(&own_bytes);
    let slice = RawSlice::new(own_bytes.as_mut_ptr(), own_bytes.len());
    let mut ours = fastest!({
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, {
            // SAFETY: the slice is `own_bytes`, which lives until the end; nobody refers to it during the call.
            unsafe { session.send_raw_with_header(slice::from_ref(&slice), HEADER) }.expect("send");
        })
    });
    beside_writev!(report, "transmit.raw-header", rig, &bytes[..], ours);
}

fn receive_header(rig: &Rig, report: &mut Report) {
    let mut own_buffer = Aligned::new(rig.backend.receive_buffer_len());
    let own_buffer = &mut own_buffer[..];
    let mut ours = fastest!({
        drain!(rig, LEN, rig.backend.receive(&mut [IoSliceMut::new(own_buffer)]).expect("receive").is_some())
    });
    beside_readv!(report, "receive.header", rig, ours);
}

fn receive_raw_header(rig: &Rig, report: &mut Report) {
    let mut own_buffer = Aligned::new(rig.backend.receive_buffer_len());
    let own_buffer = &mut own_buffer[..];
    let slice = RawSlice::new(own_buffer.as_mut_ptr(), own_buffer.len());
    let mut ours = fastest!({
        drain!(rig, LEN, {
            // SAFETY: the slice is `own_buffer`, which lives until the end; nobody refers to it during the call.
            unsafe { rig.backend.receive_raw(slice::from_ref(&slice)) }.expect("receive").is_some()
        })
    });
    beside_readv!(report, "receive.raw-header", rig, ours);
}

/// The read that ends every drain.
fn receive_empty(rig: &Rig, report: &mut Report) {
    let room = rig.backend.receive_buffer_len();
    let mut buffers = [(); 3].map(|()| Aligned::new(room));
    let [own_buffer, line_buffer, bare_buffer] = buffers.each_mut().map(|buffer| &mut buffer[..]);
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!({
        repeat!(BATCH, {
            let received = backend.receive(&mut [IoSliceMut::new(own_buffer)]);
            assert!(received.expect("receive").is_none());
        })
    });
    let mut in_line =
        fastest!(repeat!(BATCH, assert_eq!(in_line::read(fd, line_buffer), Err(Errno::EAGAIN as i32))));
    let mut library = fastest!(repeat!(BATCH, assert_eq!(read(backend, bare_buffer), Err(Errno::EAGAIN))));
    report.beside_library(
        "receive.empty",
        &beside_calls(&mut ours, &mut in_line, &mut library),
        BATCH,
        "read",
    );
}

fn transmit_raw(rig: &Rig, report: &mut Report) {
    let mut bytes = frame(LEN);
    let slice = RawSlice::new(bytes.as_mut_ptr(), LEN);
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!({
        let mut session = backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, {
            // SAFETY: the slice is `bytes`, which lives until the end; nobody refers to it during the call.
            unsafe { session.send_raw(slice::from_ref(&slice), None, Checksum::Complete) }.expect("send");
        })
    });
    let bare_bytes = frame(LEN);
    let bare_bytes = &bare_bytes[..];
    let mut in_line = fastest!(repeat!(BATCH, assert_eq!(in_line::write(fd, bare_bytes), Ok(LEN))));
    let mut library = fastest!(repeat!(BATCH, assert_eq!(write(backend, bare_bytes), Ok(LEN))));
    let result = beside_calls(&mut ours, &mut in_line, &mut library);
    report.beside_calls("transmit.raw", &result, BATCH, "write", BARE);
}

fn receive_raw(rig: &Rig, report: &mut Report) {
    let room = rig.backend.receive_buffer_len();
    let mut buffers = [(); 3].map(|()| Aligned::new(room));
    let [own_buffer, line_buffer, bare_buffer] = buffers.each_mut().map(|buffer| &mut buffer[..]);
    let slice = RawSlice::new(own_buffer.as_mut_ptr(), own_buffer.len());
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!({
        drain!(rig, LEN, {
            // SAFETY: the slice is `own_buffer`, which lives until the end; nobody refers to it during the call.
            unsafe { backend.receive_raw(slice::from_ref(&slice)) }.expect("receive").is_some()
        })
    });
    let mut in_line = fastest!(drain!(rig, LEN, in_line::read(fd, line_buffer).is_ok()));
    let mut library = fastest!(drain!(rig, LEN, read(backend, bare_buffer).is_ok()));
    let result = beside_calls(&mut ours, &mut in_line, &mut library);
    report.beside_calls("receive.raw", &result, QUEUE, "read", BARE);
}

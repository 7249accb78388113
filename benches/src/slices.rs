//! One frame in several slices, as a guest's descriptors scatter it: beside the bare vectored calls.

use std::io::{IoSlice, IoSliceMut};

use nix::sys::uio::{readv, writev};
use tap_plumb::Frame;

use crate::aligned::Aligned;
use crate::frames::drain;
use crate::measure::{compare, timed};
use crate::report::{Bound, Report};
use crate::rig::{Outcome, QUEUE, Rig, frame};

const BATCH: usize = 2000;
const LEN: usize = 1514;
const SLICES: usize = 4;
const BOUND: Bound = Bound::AtMost(1.10);

pub fn all(report: &mut Report) -> Outcome<()> {
    let rig = Rig::new(0, tap_plumb::Offload::NONE)?;
    transmit(&rig, report)?;
    // Where the slices are larger than any frame, none has to be added to tell whether one was cut.
    receive(&rig, "receive.slices", rig.backend.receive_buffer_len(), report)?;
    receive(&rig, "receive.slices-exact", LEN, report)
}

fn transmit(rig: &Rig, report: &mut Report) -> Outcome<()> {
    let bytes = frame(LEN);
    let slices: Vec<_> = bytes.chunks(LEN.div_ceil(SLICES)).map(IoSlice::new).collect();
    let mut ours = || {
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        timed(|| (0..BATCH).for_each(|_| session.send(&Frame::new(&slices)).expect("send")))
    };
    let mut bare = || timed(|| (0..BATCH).for_each(|_| assert_eq!(writev(&rig.backend, &slices), Ok(LEN))));
    let peer = rig.tun_rs()?;
    let mut tun_rs =
        || timed(|| (0..BATCH).for_each(|_| assert_eq!(peer.send_vectored(&slices).expect("send"), LEN)));
    report.line("transmit.slices", &compare(&mut ours, &mut bare), BATCH, "writev", BOUND);
    report.line("transmit.slices", &compare(&mut ours, &mut tun_rs), BATCH, "tun-rs", Bound::AtMost(1.0));
    Ok(())
}

fn receive(rig: &Rig, name: &str, room: usize, report: &mut Report) -> Outcome<()> {
    let mut buffers = [(); 3].map(|()| Aligned::new(room));
    let [own_buffer, bare_buffer, peer_buffer] = &mut buffers;
    let mut ours =
        || drain(rig, LEN, || rig.backend.receive(&mut scattered(own_buffer)).expect("receive").is_some());
    let mut bare = || drain(rig, LEN, || readv(&rig.backend, &mut scattered(bare_buffer)).is_ok());
    let peer = rig.tun_rs()?;
    let mut tun_rs = || drain(rig, LEN, || peer.recv_vectored(&mut scattered(peer_buffer)).is_ok());
    report.line(name, &compare(&mut ours, &mut bare), QUEUE, "readv", BOUND);
    report.line(name, &compare(&mut ours, &mut tun_rs), QUEUE, "tun-rs", Bound::AtMost(1.0));
    Ok(())
}

fn scattered(buffer: &mut [u8]) -> [IoSliceMut<'_>; SLICES] {
    let size = buffer.len().div_ceil(SLICES);
    let mut rest = buffer;
    std::array::from_fn(|_| {
        let size = size.min(rest.len());
        let (slice, behind) = std::mem::take(&mut rest).split_at_mut(size);
        rest = behind;
        IoSliceMut::new(slice)
    })
}

//! One frame in several slices, as a guest's descriptors scatter it: beside the bare vectored calls.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::uio::{readv, writev};
use tap_plumb::{Frame, Offload};

use crate::measure::{ROUNDS_APART, beside_calls, compare};
use crate::report::{Bound, Report};
use crate::rig::{Outcome, QUEUE, Rig, copies, frame, room};
use crate::{drain, fastest, in_line, repeat};

const BATCH: usize = 2000;
const LEN: usize = 1514;
const SLICES: usize = 4;
/// Beside the same instruction in line.
const BARE: f64 = 1.05;
/// A slice is added, to tell whether a frame was cut.
const ONE_MORE: f64 = 1.10;

pub fn all(report: &mut Report) -> Outcome<()> {
    let rig = Rig::new(0, Offload::NONE)?;
    transmit(&rig, report)?;
    // Where the slices are larger than any frame, none has to be added to tell whether one was cut.
    receive(&rig, ("receive.slices", BARE), rig.backend.receive_buffer_len(), report)?;
    receive(&rig, ("receive.slices-exact", ONE_MORE), LEN, report)
}

fn transmit(rig: &Rig, report: &mut Report) -> Outcome<()> {
    let bytes = copies(&frame(LEN));
    let slices = bytes
        .each_ref()
        .map(|bytes| bytes.chunks(LEN.div_ceil(SLICES)).map(IoSlice::new).collect::<Vec<_>>());
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!(at => {
        let slices = &slices[at][..];
        let mut session = backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, session.send(&Frame::new(slices)).expect("send"))
    });
    let mut in_line = fastest!(at => {
        let slices = &slices[at][..];
        repeat!(BATCH, assert_eq!(in_line::writev(fd, slices), Ok(LEN)))
    });
    let mut library = fastest!(at => {
        let slices = &slices[at][..];
        repeat!(BATCH, assert_eq!(writev(backend, slices), Ok(LEN)))
    });
    let peer = rig.tun_rs()?;
    let mut tun_rs = fastest!(at => {
        let slices = &slices[at][..];
        repeat!(BATCH, assert_eq!(peer.send_vectored(slices).expect("send"), LEN))
    });
    let result = beside_calls(ROUNDS_APART, &mut ours, &mut in_line, &mut library);
    report.beside_calls("transmit.slices", &result, BATCH, "writev", BARE);
    report.line(
        "transmit.slices",
        &compare(ROUNDS_APART, &mut ours, &mut tun_rs),
        BATCH,
        "tun-rs",
        Bound::AtMost(1.0),
    );
    Ok(())
}

fn receive(rig: &Rig, (name, bound): (&str, f64), len: usize, report: &mut Report) -> Outcome<()> {
    let [mut own, mut line, mut bare, mut others] = std::array::from_fn(|_| room(len));
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!(at => {
        let buffer = &mut own[at][..];
        drain!(rig, LEN, backend.receive(&mut scattered(buffer)).expect("receive").is_some())
    });
    let mut in_line = fastest!(at => {
        let buffer = &mut line[at][..];
        drain!(rig, LEN, in_line::readv(fd, &mut scattered(buffer)).is_ok())
    });
    let mut library = fastest!(at => {
        let buffer = &mut bare[at][..];
        drain!(rig, LEN, readv(backend, &mut scattered(buffer)).is_ok())
    });
    let peer = rig.tun_rs()?;
    let mut tun_rs = fastest!(at => {
        let buffer = &mut others[at][..];
        drain!(rig, LEN, peer.recv_vectored(&mut scattered(buffer)).is_ok())
    });
    let result = beside_calls(ROUNDS_APART, &mut ours, &mut in_line, &mut library);
    report.beside_calls(name, &result, QUEUE, "readv", bound);
    report.line(name, &compare(ROUNDS_APART, &mut ours, &mut tun_rs), QUEUE, "tun-rs", Bound::AtMost(1.0));
    Ok(())
}

#[inline(always)]
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

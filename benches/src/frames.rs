//! One frame in one slice: beside the bare system call, beside tun-rs, and beside a poll and a read a frame.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

use nix::unistd::{read, write};
use tap_plumb::{Frame, Offload};

use crate::measure::{ROUNDS_APART, beside_calls, compare};
use crate::report::{Bound, Report};
use crate::rig::{Outcome, QUEUE, Rig, copies, frame, room};
use crate::{drain, fastest, in_line, repeat};

/// Frames a run of the transmit figures.
const BATCH: usize = 2000;
/// The seed's receive buffer.
const SEED_BUFFER: usize = 16384;
/// Beside the same instruction in line.
const BARE: f64 = 1.05;

pub fn all(report: &mut Report) -> Outcome<()> {
    let rig = Rig::new(0, Offload::NONE)?;
    for len in [1514, 60] {
        transmit(&rig, len, report)?;
        receive(&rig, len, report)?;
    }
    Ok(())
}

fn transmit(rig: &Rig, len: usize, report: &mut Report) -> Outcome<()> {
    let bytes = copies(&frame(len));
    let slices = bytes.each_ref().map(|bytes| [IoSlice::new(bytes)]);
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!(at => {
        let slices = &slices[at][..];
        let mut session = backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, session.send(&Frame::new(slices)).expect("send"))
    });
    let mut in_line = fastest!(at => {
        let bytes = &bytes[at][..];
        repeat!(BATCH, assert_eq!(in_line::write(fd, bytes), Ok(len)))
    });
    let mut library = fastest!(at => {
        let bytes = &bytes[at][..];
        repeat!(BATCH, assert_eq!(write(backend, bytes), Ok(len)))
    });
    let peer = rig.tun_rs()?;
    let mut tun_rs = fastest!(at => {
        let bytes = &bytes[at][..];
        repeat!(BATCH, assert_eq!(peer.send(bytes).expect("send"), len))
    });
    let name = format!("transmit.{len}");
    report.beside_calls(
        &name,
        &beside_calls(ROUNDS_APART, &mut ours, &mut in_line, &mut library),
        BATCH,
        "write",
        BARE,
    );
    report.line(&name, &compare(ROUNDS_APART, &mut ours, &mut tun_rs), BATCH, "tun-rs", Bound::AtMost(1.0));
    Ok(())
}

fn receive(rig: &Rig, len: usize, report: &mut Report) -> Outcome<()> {
    let longest = rig.backend.receive_buffer_len();
    let [mut own, mut line, mut bare, mut others] = std::array::from_fn(|_| room(longest));
    let mut seeds = room(SEED_BUFFER);
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!(at => {
        let buffer = &mut own[at][..];
        drain!(rig, len, backend.receive(&mut [IoSliceMut::new(buffer)]).expect("receive").is_some())
    });
    let mut in_line = fastest!(at => {
        let buffer = &mut line[at][..];
        drain!(rig, len, in_line::read(fd, buffer).is_ok())
    });
    let mut library = fastest!(at => {
        let buffer = &mut bare[at][..];
        drain!(rig, len, read(backend, buffer).is_ok())
    });
    let peer = rig.tun_rs()?;
    let mut tun_rs = fastest!(at => {
        let buffer = &mut others[at][..];
        drain!(rig, len, peer.recv(buffer).is_ok())
    });
    let mut seed = fastest!(at => {
        let buffer = &mut seeds[at][..];
        drain!(rig, len, rig.poll() && read(backend, &mut *buffer).is_ok())
    });
    let name = format!("receive.{len}");
    report.beside_calls(
        &name,
        &beside_calls(ROUNDS_APART, &mut ours, &mut in_line, &mut library),
        QUEUE,
        "read",
        BARE,
    );
    report.line(&name, &compare(ROUNDS_APART, &mut ours, &mut tun_rs), QUEUE, "tun-rs", Bound::AtMost(1.0));
    report.line(&name, &compare(ROUNDS_APART, &mut ours, &mut seed), QUEUE, "poll+read", Bound::AtMost(0.80));
    Ok(())
}

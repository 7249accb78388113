//! One frame in one slice: beside the bare system call, beside tun-rs, and beside a poll and a read a frame.

use std::io::{IoSlice, IoSliceMut};

use nix::unistd::{read, write};
use tap_plumb::Frame;

use crate::aligned::Aligned;
use crate::measure::{Cost, compare, timed};
use crate::report::{Bound, Report};
use crate::rig::{Outcome, QUEUE, Rig, frame};

/// Frames a run of the transmit figures.
const BATCH: usize = 2000;
/// The seed's receive buffer.
const SEED_BUFFER: usize = 16384;

pub fn all(report: &mut Report) -> Outcome<()> {
    let rig = Rig::new(0, tap_plumb::Offload::NONE)?;
    for len in [1514, 60] {
        transmit(&rig, len, report)?;
        receive(&rig, len, report)?;
    }
    Ok(())
}

fn transmit(rig: &Rig, len: usize, report: &mut Report) -> Outcome<()> {
    let bytes = frame(len);
    let slices = [IoSlice::new(&bytes)];
    let mut ours = || {
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        timed(|| (0..BATCH).for_each(|_| session.send(&Frame::new(&slices)).expect("send")))
    };
    let mut bare = || timed(|| (0..BATCH).for_each(|_| assert_eq!(write(&rig.backend, &bytes), Ok(len))));
    let peer = rig.tun_rs()?;
    let mut tun_rs = || timed(|| (0..BATCH).for_each(|_| assert_eq!(peer.send(&bytes).expect("send"), len)));
    let name = format!("transmit.{len}");
    report.line(&name, &compare(&mut ours, &mut bare), BATCH, "write", Bound::AtMost(1.05));
    report.line(&name, &compare(&mut ours, &mut tun_rs), BATCH, "tun-rs", Bound::AtMost(1.0));
    Ok(())
}

fn receive(rig: &Rig, len: usize, report: &mut Report) -> Outcome<()> {
    let room = rig.backend.receive_buffer_len();
    let [mut own_buffer, mut bare_buffer, mut peer_buffer] = [(); 3].map(|()| Aligned::new(room));
    let mut seed_buffer = Aligned::new(SEED_BUFFER);
    let mut ours = || {
        drain(rig, len, || {
            rig.backend.receive(&mut [IoSliceMut::new(&mut own_buffer)]).expect("receive").is_some()
        })
    };
    let mut bare = || drain(rig, len, || read(&rig.backend, &mut bare_buffer).is_ok());
    let peer = rig.tun_rs()?;
    let mut tun_rs = || drain(rig, len, || peer.recv(&mut peer_buffer).is_ok());
    let mut seed = || drain(rig, len, || rig.poll() && read(&rig.backend, &mut seed_buffer).is_ok());
    let name = format!("receive.{len}");
    report.line(&name, &compare(&mut ours, &mut bare), QUEUE, "read", Bound::AtMost(1.05));
    report.line(&name, &compare(&mut ours, &mut tun_rs), QUEUE, "tun-rs", Bound::AtMost(1.0));
    report.line(&name, &compare(&mut ours, &mut seed), QUEUE, "poll+read", Bound::AtMost(0.80));
    Ok(())
}

/// Fills the queue, then takes frames until there are none, on the clock.
pub fn drain(rig: &Rig, len: usize, mut take: impl FnMut() -> bool) -> Cost<1> {
    rig.fill(len).expect("fill");
    let mut frames = 0;
    let time = timed(|| {
        while take() {
            frames += 1;
        }
    });
    assert_eq!(frames, QUEUE);
    time
}

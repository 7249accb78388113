//! Many TAPs on one thread: a poll over all of them, then at most 16 frames of each.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tap_plumb::{Frame, Offload};

use crate::measure::{Cost, ROUNDS, compare, least, timed};
use crate::report::{Bound, Report};
use crate::rig::{Outcome, Places, Rig, copies, frame, room};

/// Frames that are taken from, and given to, a TAP each time it is found readable.
const BUDGET: usize = 16;
/// Frames a run: what 64 TAPs hold together, and nearly what one does.
const FRAMES: usize = 64 * BUDGET;
const ROOM: usize = 992;
const LEN: usize = 1514;
const FIRST: u8 = 64;

pub fn all(report: &mut Report) -> Outcome<()> {
    let rigs = (0..64).map(|number| Rig::new(FIRST + number, Offload::NONE)).collect::<Outcome<Vec<_>>>()?;
    let bytes = copies(&frame(LEN));
    let [mut few, mut many] = std::array::from_fn(|_| room(2048));
    for (count, bound) in [(8, Bound::None), (64, Bound::AtMost(1.10))] {
        let mut all = || at_all_places(&rigs[..count], &bytes, &mut many);
        let mut one = || at_all_places(&rigs[..1], &bytes, &mut few);
        report.line(&format!("scale.{count}"), &compare(ROUNDS, &mut all, &mut one), 1, "one-TAP", bound);
    }
    Ok(())
}

fn at_all_places(rigs: &[Rig], bytes: &Places, buffers: &mut Places) -> Cost<1> {
    least(bytes.iter().zip(buffers).map(|(bytes, buffer)| turns(rigs, bytes, buffer)))
}

/// Gives the time of a frame taken from the host and one given to it.
fn turns(rigs: &[Rig], bytes: &[u8], buffer: &mut [u8]) -> Cost<1> {
    let each = (FRAMES / rigs.len()).min(ROOM);
    rigs.iter().for_each(|rig| rig.send(each, LEN).expect("fill"));
    let mut left = each * rigs.len();
    let [time] = timed(|| {
        while left > 0 {
            left -= turn(rigs, bytes, buffer);
        }
    });
    [time / (each * rigs.len()) as f64]
}

/// One poll, and what it found.
fn turn(rigs: &[Rig], bytes: &[u8], buffer: &mut [u8]) -> usize {
    let mut fds: Vec<_> =
        rigs.iter().map(|rig| PollFd::new(rig.backend.as_fd(), PollFlags::POLLIN)).collect();
    poll(&mut fds, PollTimeout::ZERO).expect("poll");
    let mut taken = 0;
    for (rig, fd) in rigs.iter().zip(&fds) {
        if fd.any().unwrap_or(false) {
            taken += serve(rig, bytes, buffer);
        }
    }
    taken
}

/// Takes at most as many frames as one turn allows, and answers each.
fn serve(rig: &Rig, bytes: &[u8], buffer: &mut [u8]) -> usize {
    let mut session = rig.backend.begin_transmit().expect("nobody else sends");
    for taken in 0..BUDGET {
        let Some(_) = rig.backend.receive(&mut [IoSliceMut::new(buffer)]).expect("receive") else {
            return taken;
        };
        session.send(&Frame::new(&[IoSlice::new(bytes)])).expect("send");
    }
    BUDGET
}

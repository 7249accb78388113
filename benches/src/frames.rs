//! One frame, one slice, beside the bare system call, and beside a poll and a read a frame.

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use nix::unistd::{read, write};
use tap_plumb::Frame;

use crate::measure::{compare, timed};
use crate::report::{Bound, Report};
use crate::rig::{QUEUE, Rig, frame};

/// Frames a round of the transmit figures.
const BATCH: usize = 2000;
/// The seed's receive buffer.
const SEED_BUFFER: usize = 16384;

pub fn transmit(rig: &Rig, len: usize, report: &mut Report) {
    let bytes = frame(len);
    let slices = [IoSlice::new(&bytes)];
    let mut ours = || {
        let Some(mut session) = rig.backend.begin_transmit() else { return Duration::ZERO };
        timed(|| (0..BATCH).for_each(|_| session.send(&Frame::new(&slices)).expect("send")))
    };
    let mut bare = || timed(|| (0..BATCH).for_each(|_| assert_eq!(write(&rig.backend, &bytes), Ok(len))));
    let result = compare(&mut ours, &mut bare);
    report.line(&format!("transmit.{len}"), &result, BATCH, "write", Bound::AtMost(1.05));
}

pub fn receive(rig: &Rig, len: usize, report: &mut Report) {
    let mut buffer = vec![0; rig.backend.receive_buffer_len()];
    let mut bare_buffer = vec![0; rig.backend.receive_buffer_len()];
    let mut seed_buffer = vec![0; SEED_BUFFER];
    let mut ours = || {
        rig.fill(len).expect("fill");
        let mut frames = 0;
        let time = timed(|| {
            while rig.backend.receive(&mut [IoSliceMut::new(&mut buffer)]).expect("receive").is_some() {
                frames += 1;
            }
        });
        assert_eq!(frames, QUEUE);
        time
    };
    let mut bare = || {
        rig.fill(len).expect("fill");
        let mut frames = 0;
        let time = timed(|| {
            while read(&rig.backend, &mut bare_buffer).is_ok() {
                frames += 1
            }
        });
        assert_eq!(frames, QUEUE);
        time
    };
    let result = compare(&mut ours, &mut bare);
    report.line(&format!("receive.{len}"), &result, QUEUE, "read", Bound::AtMost(1.05));
    let mut seed = || {
        rig.fill(len).expect("fill");
        let mut frames = 0;
        let time = timed(|| {
            while rig.poll() {
                frames += usize::from(read(&rig.backend, &mut seed_buffer).is_ok());
            }
        });
        assert_eq!(frames, QUEUE);
        time
    };
    let result = compare(&mut ours, &mut seed);
    report.line(&format!("receive.{len}"), &result, QUEUE, "poll+read", Bound::AtMost(0.80));
}

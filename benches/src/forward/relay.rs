//! The loop that every forwarder has: a poll over both TAPs, then frames from whichever is readable.

use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::rig::{Outcome, WORKER, pin};

/// Frames of one side before it is the other one's turn.
pub const BUDGET: usize = 64;

/// One way of moving frames between two TAPs.
pub trait Mover: Send + 'static {
    fn fds(&self) -> [BorrowedFd<'_>; 2];
    /// Moves what came from side `from`, at most [`BUDGET`] frames.
    fn turn(&mut self, from: usize);
}

/// The end that frames come from, and the one that they go to.
pub fn direction<T>([one, other]: &[T; 2], from: usize) -> (&T, &T) {
    if from == 0 { (one, other) } else { (other, one) }
}

pub struct Relay {
    thread: JoinHandle<()>,
    /// Its drop ends the thread.
    quit: PipeWriter,
}

impl Relay {
    pub fn start(mut mover: impl Mover) -> Outcome<Self> {
        let (reader, quit) = pipe()?;
        let main = move || {
            pin(WORKER);
            while turn(&mut mover, &reader) {}
        };
        Ok(Self { thread: thread::Builder::new().spawn(main)?, quit })
    }

    pub fn stop(self) -> Outcome<()> {
        drop(self.quit);
        Ok(self.thread.join().map_err(|_| "the forwarder panicked")?)
    }
}

fn turn(mover: &mut impl Mover, quit: &PipeReader) -> bool {
    let [one, other] = mover.fds();
    let mut fds = [one, other, quit.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    poll(&mut fds, PollTimeout::NONE).expect("poll");
    let [one, other, quit] = fds.map(|fd| fd.any().unwrap_or(true));
    for (from, readable) in [one, other].into_iter().enumerate() {
        if readable {
            mover.turn(from);
        }
    }
    !quit
}

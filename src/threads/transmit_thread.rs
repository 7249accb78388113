//! The transmit thread: waits until transmitting is possible again, and tells the frontend.

use std::os::fd::AsFd;
use std::time::Duration;

use log::warn;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::control::Worker;
use super::shared::Shared;
use super::sync::Ordering;
use crate::backend::{Debt, Generation};

/// The pause after the host had no buffer: no event tells when it has. Doubled while that lasts.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct TransmitThread<'a> {
    shared: &'a Shared,
    /// A frame waits for the device to become writable.
    blocked: bool,
    /// A frame waits for a host buffer.
    starved: bool,
    /// The pause before the next try after starvation; zero when the last try found a buffer.
    pause: Duration,
}

impl<'a> TransmitThread<'a> {
    pub fn new(shared: &'a Shared) -> Self {
        Self { shared, blocked: false, starved: false, pause: Duration::ZERO }
    }

    pub fn run(mut self) {
        while self.shared.control.enter(Worker::Transmit) {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let owed = Debt::from_bits(self.shared.owed.swap(0, Ordering::AcqRel));
        self.blocked |= owed.has(Debt::BLOCKED);
        if owed.has(Debt::STARVED) {
            self.starved = true;
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
        if owed.has(Debt::TURNED_AWAY) || self.wait() {
            self.answer();
        }
    }

    /// One wake-up answers every debt: a frame that is refused again leaves a new one.
    fn answer(&mut self) {
        (self.blocked, self.starved) = (false, false);
        self.shared.frontend.transmit_pending();
        if !Debt::from_bits(self.shared.owed.load(Ordering::Acquire)).has(Debt::STARVED) {
            self.pause = Duration::ZERO;
        }
    }

    /// Waits for a wake-up, and for the end of what blocks; `true` when that is over.
    fn wait(&mut self) -> bool {
        let backend = &self.shared.backend;
        let generation = backend.generation().filter(|_| self.blocked);
        let timeout = self.starved.then(|| PollTimeout::try_from(self.pause).ok()).flatten();
        let mut fds = [
            PollFd::new(self.shared.transmit_wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(backend.as_fd(), PollFlags::POLLOUT),
        ];
        let count = if generation.is_some() { 2 } else { 1 };
        let result = poll(&mut fds[..count], timeout.unwrap_or(PollTimeout::NONE));
        let events = generation.and_then(|_| fds[1].revents()).unwrap_or(PollFlags::empty());
        self.shared.transmit_wake.drain();
        match result {
            Ok(0) => true,
            Ok(_) if events.contains(PollFlags::POLLOUT) => true,
            // The next frame that is sent clears the error, or shows that it is final.
            Ok(_) if !events.is_empty() && backend.tap().errors_pass() => true,
            Ok(_) => {
                self.note_removal(events, generation);
                false
            }
            Err(Errno::EINTR) => false,
            Err(errno) => {
                warn!("{backend:?}: poll: {errno}");
                self.blocked = false;
                false
            }
        }
    }

    /// An event other than writability means that the interface is gone.
    fn note_removal(&mut self, events: PollFlags, generation: Option<Generation>) {
        // The frame that blocked still waits: after a re-attach the thread polls for writability again.
        if let Some(generation) = generation.filter(|_| !events.is_empty()) {
            self.shared.backend.mark_gone(generation);
        }
    }
}

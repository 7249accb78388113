//! The receive thread: poll, read, wait for guest buffers, deliver.

use std::io::IoSliceMut;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use log::warn;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::control::{FLAP, HALT, REATTACHED, RESET, Worker};
use super::frontend::Wait;
use super::handover::{self, Loss};
use super::shared::Shared;
use crate::backend::{Counter, Generation, LARGEST_FRAME, ReceiveError, Received};
use crate::memory::ReceiveMemory;

/// How long the wait for guest buffers lasts before the thread looks around.
const LOOK_AROUND: Duration = Duration::from_millis(50);
/// The pause after an unexpected error of the system, so that a broken descriptor cannot keep a processor busy.
const ERROR_PAUSE: u16 = 100;
/// How many milliseconds pass without a frame before the thread asks whether an interface that ends silently is gone.
const ASK_PAUSE: u16 = 1000;

/// How often in a row poll may tell of a frame that another reader takes first. A socket that somebody has shut down for
/// reading tells of one for ever.
const MOST_MISLED: u32 = 16;

/// Counts a frame whose thread ends by a panic of the frontend.
struct LostToPanic<'a>(&'a Counter);

impl Drop for LostToPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.one();
        }
    }
}

pub(super) struct ReceiveThread<'a> {
    shared: &'a Shared,
    buffer: Vec<u8>,
    /// `device_gone` was called, and the interface was not bound again since.
    gone_told: bool,
    /// The last read failed with something unexpected.
    failed: bool,
    /// How often in a row poll told of a frame and there was none.
    misled: u32,
}

impl<'a> ReceiveThread<'a> {
    pub fn new(shared: &'a Shared) -> Self {
        // Zeroed pages cost nothing until a frame that long comes.
        Self { shared, buffer: vec![0; LARGEST_FRAME + 1], gone_told: false, failed: false, misled: 0 }
    }

    pub fn run(mut self) {
        while self.shared.control.enter(Worker::Receive) {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let reasons = self.shared.control.take_attention();
        if reasons & REATTACHED != 0 {
            self.gone_told = false;
        }
        if reasons & (REATTACHED | FLAP) != 0 {
            self.shared.frontend.flap_link();
        }
        let generation = self.shared.backend.generation();
        let events = self.wait();
        if events.is_empty() {
            if self.shared.backend.ends_silently() {
                self.shared.backend.check_gone();
            }
            return;
        }
        let found_nothing = self.drain();
        self.misled = if found_nothing { self.misled.saturating_add(1) } else { 0 };
        let broken = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        if found_nothing && events.intersects(broken) {
            self.denied(generation);
        } else if self.misled > MOST_MISLED {
            self.failed = true;
        }
        self.tell_gone();
    }

    /// Waits for a frame or a wake-up; while the link is down or the interface is gone, for a wake-up only.
    fn wait(&mut self) -> PollFlags {
        let backend = &self.shared.backend;
        self.tell_gone();
        let listening = backend.link_is_up() && !backend.is_gone() && !self.failed;
        let timeout = match (self.failed, backend.ends_silently() && !backend.is_gone()) {
            (true, _) => PollTimeout::from(ERROR_PAUSE),
            (_, true) => PollTimeout::from(ASK_PAUSE),
            _ => PollTimeout::NONE,
        };
        let wake = self.shared.receive_wake.as_fd();
        // A descriptor that has failed is not polled during the pause, since poll reports an error even where no event was
        // asked for.
        let news = backend.link_events().filter(|_| !self.failed);
        let frames = if listening { backend.as_fd() } else { wake };
        let mut fds = [wake, frames, news.unwrap_or(wake)].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // A late answer of the link's driver may be queued before the news, and `POLLPRI` alone reports such an answer.
        fds[2].set_events(PollFlags::POLLIN | PollFlags::POLLPRI);
        let count = if news.is_some() { 3 } else { 1 + usize::from(listening) };
        let result = poll(&mut fds[..count], timeout);
        self.shared.backend.receive_counters().wakeups.one();
        // A wake-up that comes later is left to the next turn, in which poll then returns at once.
        if fds[0].any().unwrap_or(false) {
            self.shared.receive_wake.drain();
        }
        self.failed = matches!(result, Err(errno) if errno != Errno::EINTR);
        if news.is_some() && fds[2].any().unwrap_or(false) {
            self.failed |= !self.tell_carrier();
        }
        if listening && result.is_ok() {
            fds[1].revents().unwrap_or(PollFlags::empty())
        } else {
            PollFlags::empty()
        }
    }

    /// Passes on what a data link tells; `false` when that cannot be read.
    fn tell_carrier(&self) -> bool {
        match self.shared.backend.take_link_events() {
            Ok(Some(state)) => self.shared.frontend.carrier_changed(state),
            Ok(None) => {}
            Err(error) => {
                warn!("{:?}: {error}", self.shared.backend);
                return false;
            }
        }
        true
    }

    /// Handles the case that poll reports a frame and read finds none. Without this function the loop would spin.
    fn denied(&mut self, generation: Option<Generation>) {
        if self.shared.backend.tap().errors_pass() {
            self.failed = true;
        } else if let Some(generation) = generation {
            self.shared.backend.mark_gone(generation);
        }
    }

    /// Takes frames until there are none, or something asks for attention. Says whether the first read found nothing.
    fn drain(&mut self) -> bool {
        let mut found_nothing = false;
        let mut taken = 0_u64;
        while self.shared.control.attention() == 0 {
            match self.take() {
                Ok(None) => {
                    found_nothing = taken == 0;
                    break;
                }
                Err(ReceiveError::Gone) => break,
                Ok(Some(received)) => self.deliver(received),
                Err(
                    ReceiveError::Truncated { .. } | ReceiveError::Rejected(_) | ReceiveError::Runt { .. },
                ) => {}
                Err(error) => {
                    warn!("{:?}: {error}", self.shared.backend);
                    self.failed = true;
                    break;
                }
            }
            taken += 1;
        }
        found_nothing
    }

    #[inline(always)]
    fn take(&mut self) -> Result<Option<Received>, ReceiveError> {
        let mut room = [IoSliceMut::new(&mut self.buffer)];
        self.shared.backend.take(&ReceiveMemory::borrowed(&mut room))
    }

    fn deliver(&mut self, received: Received) {
        let backend = &self.shared.backend;
        backend.count_received(received.len);
        let _lost = LostToPanic(&backend.receive_counters().refused);
        if let Err(cause) = self.wait_for_guest() {
            cause.one();
            return;
        }
        if !backend.link_is_up() {
            backend.receive_counters().link_down.one();
            return;
        }
        let start = backend.clock();
        let frame = &mut self.buffer[..received.len];
        match handover::hand_over(&*self.shared.frontend, frame, received) {
            Ok(segments) => backend.count_delivered(received.len, segments),
            Err(Loss::Refused) => backend.receive_counters().refused.one(),
            Err(Loss::Rejected(reason)) => backend.count_rejected(reason),
        }
        backend.count_receive_time(start);
    }

    /// Waits until the guest has a buffer, or names the counter of the reason to drop the frame.
    fn wait_for_guest(&self) -> Result<(), &Counter> {
        let counters = self.shared.backend.receive_counters();
        loop {
            let wait = self.shared.frontend.wait_receive_available(LOOK_AROUND);
            let reasons = self.shared.control.attention();
            if reasons & RESET != 0 {
                return Err(&counters.reset);
            }
            match wait {
                Wait::Available => return Ok(()),
                Wait::Interrupted => return Err(&counters.interrupted),
                Wait::TimedOut if reasons & HALT != 0 => return Err(&counters.interrupted),
                Wait::TimedOut if !self.shared.backend.link_is_up() => return Err(&counters.link_down),
                Wait::TimedOut => {}
            }
        }
    }

    fn tell_gone(&mut self) {
        if self.shared.backend.is_gone() && !self.gone_told {
            self.gone_told = true;
            self.shared.frontend.device_gone();
        }
    }
}

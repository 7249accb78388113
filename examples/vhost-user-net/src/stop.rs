//! The wish to end, and how everything that waits hears of it.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::event::Event;

/// Shared by whoever asks for the end and whoever must come to it.
pub struct Stop {
    asked: AtomicBool,
    event: Event,
    connection: Mutex<Option<UnixStream>>,
}

impl Stop {
    /// Makes one that is not asked for.
    ///
    /// # Errors
    /// The system's, when an event descriptor cannot be had.
    pub fn new() -> io::Result<Self> {
        Ok(Self { asked: AtomicBool::new(false), event: Event::new()?, connection: Mutex::default() })
    }

    /// Asks for the end; it stays asked for.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.event.raise();
        self.cut();
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Cuts `connection` when the end is asked for, now or later; `None` lets go of the last one.
    pub fn guard(&self, connection: Option<UnixStream>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
        if self.is_asked() {
            self.cut();
        }
    }

    /// Waits for a while, or until the end is asked for.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self, time: Duration) -> io::Result<()> {
        let limit = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.event, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until `fd` is readable; `false` when the end was asked for instead.
    ///
    /// # Errors
    /// The system's.
    pub fn wait_readable(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        while !self.is_asked() {
            let mut polled =
                [PollFd::from_borrowed_fd(fd, PollFlags::IN), PollFd::new(&self.event, PollFlags::IN)];
            match poll(&mut polled, None) {
                Ok(_) if !polled[0].revents().is_empty() => return Ok(true),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    fn cut(&self) {
        if let Some(connection) = &*self.connection.lock().unwrap_or_else(PoisonError::into_inner) {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl AsFd for Stop {
    /// Readable once the end was asked for.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

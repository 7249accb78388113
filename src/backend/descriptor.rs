//! The descriptor that carries the frames, as event loops take it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::Backend;

impl Backend {
    /// Duplicates the descriptor, for a poller that takes one interest for each descriptor. The copy is close-on-exec and
    /// its number is above the standard streams.
    ///
    /// The copy holds the interface as the original does: drop it before a detach. Make it anew when
    /// [`reattach`](Self::reattach) has given `true`.
    ///
    /// # Errors
    /// The system's, as a rule `EMFILE`.
    pub fn duplicate_fd(&self) -> io::Result<OwnedFd> {
        // The standard library asks for a number of at least 3.
        self.as_fd().try_clone_to_owned()
    }
}

impl AsFd for Backend {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }
}

impl AsRawFd for Backend {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

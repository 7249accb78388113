//! A descriptor that comes in as a number, from a configuration.
//!
//! UNSAFETY: nothing but the kernel can tell whether such a number is an open descriptor.
#![expect(unsafe_code, reason = "asks the kernel about a descriptor known by number only")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Duplicates the descriptor `number`, close-on-exec and above the standard streams. The original stays its owner's.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes integers only; the kernel answers EBADF to a number that is not open.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if duplicate < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has made this descriptor in the call above, and nobody else has seen its number.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

//! One frame by one call of the C library.

// UNSAFETY: the types of the slices promise that the bytes behind them may be read, or written, during the call.
#![expect(unsafe_code, reason = "nix takes slices that Rust may borrow, and guest memory is none")]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::memory::{FrameSlice, RoomSlice};

/// Writes one frame: write(2) for one slice, writev(2) for several. An errno comes as it is.
#[inline]
pub(crate) fn write(fd: BorrowedFd<'_>, slices: &[FrameSlice<'_>]) -> Result<usize, i32> {
    if let [one] = slices {
        // SAFETY: reads `one.len()` bytes, which can be read for the life time of the borrow; that outlasts the call.
        return outcome(unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) });
    }
    // SAFETY: reads as many iovecs as stated (or refuses a number that is too large), from the caller's array of a type laid out
    // so, and the bytes behind them, which can be read for the life time of the borrow; that outlasts the call.
    outcome(unsafe { libc::writev(fd.as_raw_fd(), slices.as_ptr().cast(), count(slices.len())) })
}

/// Reads one frame: read(2) for one slice, readv(2) for several. An errno comes as it is.
#[inline]
pub(crate) fn read(fd: BorrowedFd<'_>, slices: &[RoomSlice<'_>]) -> Result<usize, i32> {
    if let [one] = slices {
        // SAFETY: writes at most `one.len()` bytes, which can be written for the life time of the borrow and are referred to by
        // nobody; that outlasts the call.
        return outcome(unsafe { libc::read(fd.as_raw_fd(), one.as_mut_ptr().cast(), one.len()) });
    }
    // SAFETY: reads as many iovecs as stated (or refuses a number that is too large), from the caller's array of a type laid out
    // so, and writes to the bytes behind them, which can be written for the life time of the borrow; that outlasts the call.
    outcome(unsafe { libc::readv(fd.as_raw_fd(), slices.as_ptr().cast(), count(slices.len())) })
}

fn count(slices: usize) -> c_int {
    c_int::try_from(slices).unwrap_or(c_int::MAX)
}

#[inline]
fn outcome(returned: isize) -> Result<usize, i32> {
    usize::try_from(returned).map_err(|_| Errno::last_raw())
}

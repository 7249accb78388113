//! One frame by one call of the C library, for every system but Linux.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::uio::{readv, writev};
use nix::unistd::{read, write};

/// readv(2); read(2) where that is enough, since it costs less.
#[inline]
pub(crate) fn read_frame(fd: BorrowedFd<'_>, slices: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
    if let [one] = slices { read(fd, one) } else { readv(fd, slices) }
}

/// writev(2); write(2) where that is enough, since it costs less.
#[inline]
pub(crate) fn write_frame(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    if let [one] = slices { write(fd, one) } else { writev(fd, slices) }
}

//! One frame by one system call, made where it is wanted and not by way of the C library: the return from there is
//! mispredicted behind a system call, which costs more than all checks of a frame.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use rustix::io::{read, readv, write, writev};

/// readv(2); read(2) where that is enough, since it costs less.
#[inline(always)]
pub(crate) fn read_frame(fd: BorrowedFd<'_>, slices: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
    let result = if let [one] = slices { read(fd, &mut **one) } else { readv(fd, slices) };
    result.map_err(errno)
}

/// writev(2); write(2) where that is enough, since it costs less.
#[inline(always)]
pub(crate) fn write_frame(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    let result = if let [one] = slices { write(fd, one) } else { writev(fd, slices) };
    result.map_err(errno)
}

#[cold]
fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

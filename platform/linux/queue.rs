//! Detaching and attaching one queue of several at run time.

use std::io;
use std::os::fd::BorrowedFd;

use super::inspect::{ATTACHED, Bound, DETACHED};
use super::ioctl;
use super::request::Request;

/// Makes the kernel use this queue, or not (`TUNSETQUEUE`). A detached queue loses the frames it holds.
pub(crate) fn set_queue_enabled(fd: BorrowedFd<'_>, enabled: bool) -> io::Result<()> {
    if Bound::of(fd)?.has(DETACHED) != enabled {
        return Ok(());
    }
    let flag = if enabled { ATTACHED } else { DETACHED };
    ioctl::SET_QUEUE.call(fd, Request::EMPTY.with_flags(flag)).map(drop)
}

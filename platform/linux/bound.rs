//! What a descriptor of `/dev/net/tun` (or of a macvtap) is bound to, and in which mode.

use std::io;
use std::os::fd::BorrowedFd;

use super::ioctl::{self, Request};

use super::state::{Cause, Failure, header_len};
use crate::attach::InterfaceName;

pub(super) const TUN: u16 = libc::IFF_TUN as u16;
pub(super) const TAP: u16 = libc::IFF_TAP as u16;
pub(super) const NO_PACKET_INFO: u16 = libc::IFF_NO_PI as u16;
pub(super) const HEADER: u16 = libc::IFF_VNET_HDR as u16;
pub(super) const MULTI_QUEUE: u16 = libc::IFF_MULTI_QUEUE as u16;
pub(super) const PERSISTENT: u16 = libc::IFF_PERSIST as u16;
pub(super) const EXCLUSIVE: u16 = libc::IFF_TUN_EXCL as u16;
/// Each slice of a frame must lie in one page, and a frame has 18 of them at most.
pub(super) const PAGES_ONLY: u16 = libc::IFF_NAPI_FRAGS as u16;
pub(super) const DETACHED: u16 = libc::IFF_DETACH_QUEUE as u16;
const ATTACHED: u16 = libc::IFF_ATTACH_QUEUE as u16;

/// The answer of `TUNGETIFF`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) name: InterfaceName,
    pub(super) flags: u16,
}

impl Bound {
    /// `EBADFD` when the descriptor is bound to nothing, or its interface was removed; `ENOTTY` when it is of another kind.
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let request = ioctl::GET_IFF.call(fd, Request::EMPTY)?;
        let name = InterfaceName::from_c_bytes(request.name()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { name, flags: request.flags() })
    }

    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Tells whether a packet-info header precedes each frame.
    ///
    /// The flag word cannot say it: `IFF_NO_PI` is the bit of `IFF_NOFILTER`, which is set wherever no socket filter is
    /// attached. But the kernel takes packet-info off before it checks the length, and checks the length before it copies
    /// the rest. So a write is made of the least length that passes without packet-info, with all but the first four bytes
    /// unreadable. The answer is EFAULT without packet-info and EINVAL with it. No frame is ever made.
    ///
    /// # Errors
    /// `EIO` from a kernel before 5.1 when the interface is down.
    pub(super) fn packet_info(&self, fd: BorrowedFd<'_>) -> Result<bool, Failure> {
        let least = if self.has(HEADER) { header_len(fd)? } else { ETHERNET_HEADER };
        let answer = ioctl::write_unreadable(fd, least);
        match answer.raw_os_error() {
            Some(libc::EFAULT) => Ok(false),
            Some(libc::EINVAL) => Ok(true),
            _ => Err(Failure { request: "writev", cause: Cause::Refused(answer) }),
        }
    }
}

/// Tells whether the interface behind the descriptor was removed: a TAP is bound to nothing then, a macvtap has lost its link.
pub(super) fn is_removed(fd: BorrowedFd<'_>) -> bool {
    let errno = Bound::of(fd).err().and_then(|error| error.raw_os_error());
    matches!(errno, Some(libc::EBADFD | libc::ENOLINK))
}

/// Bytes of an Ethernet header, below which the kernel refuses a frame.
const ETHERNET_HEADER: usize = 14;

/// Makes the kernel use this queue, or not (`TUNSETQUEUE`). A detached queue loses the frames it holds. A macvtap does not
/// tell whether the kernel uses its queue (`tells`). It refuses a request for the state that the queue has already.
pub(super) fn set_queue_enabled(fd: BorrowedFd<'_>, enabled: bool, tells: bool) -> io::Result<()> {
    if Bound::of(fd)?.has(DETACHED) != enabled && tells {
        return Ok(());
    }
    let flag = if enabled { ATTACHED } else { DETACHED };
    match ioctl::SET_QUEUE.call(fd, Request::EMPTY.with_flags(flag)) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && !tells => Ok(()),
        result => result.map(drop),
    }
}

//! Systems without an attach of their own: TAPs come in as inherited descriptors.
//!
//! On the BSDs a TAP is a character device that moves one frame a call (tap(4)); nothing more can be asked of it in a way
//! that all of them answer alike.

use std::io;
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::fault::{ReadFault, WriteFault};
use super::tap::{Attached, FrameLimits};
use crate::config::Config;
use crate::error::{AdoptError, AttachError, DetachError};
use crate::name::InterfaceName;
use crate::offload::Offload;

/// There is nothing to plumb.
#[derive(Debug)]
pub(crate) enum Plumbing {}

impl Plumbing {
    pub(crate) fn undo(self) -> Result<(), DetachError> {
        match self {}
    }
}

const LIMITS: FrameLimits = FrameLimits { shortest: 14, longest: 65535 + 14 };

pub(crate) fn check_name(_: &str) -> Result<(), AttachError> {
    Err(AttachError::Unsupported { what: "attaching by name" })
}

pub(crate) fn attach(_: Option<&str>, _: &Config, _: u16) -> Result<Vec<Attached>, AttachError> {
    Err(AttachError::Unsupported { what: "making a TAP" })
}

/// Takes any character device that is open for reading and writing, without a virtio-net header.
pub(crate) fn adopt(fd: OwnedFd, offload: &Offload) -> Result<Attached, AdoptError> {
    if offload.header_len != 0 {
        let found = "a device without virtio-net headers".to_owned();
        return Err(AdoptError { fd, found, remedy: "ask for no offload", source: None });
    }
    Ok(Attached { plumbing: None, fd, offload: Offload::NONE, limits: LIMITS, multi_queue: false })
}

pub(crate) fn rebind(
    _: BorrowedFd<'_>,
    _: &mut Option<Plumbing>,
    _: &Config,
    _: bool,
) -> Result<(bool, Offload), AttachError> {
    Err(AttachError::Unsupported { what: "re-attaching" })
}

pub(crate) fn set_offload(_: BorrowedFd<'_>, _: Option<&Plumbing>, wanted: Offload) -> io::Result<Offload> {
    // Only a socket has a header here, and what its peer sends is between the peer and the caller.
    Ok(wanted)
}

pub(crate) fn set_queue_enabled(_: BorrowedFd<'_>, _: bool) -> io::Result<()> {
    unsupported()
}

pub(crate) fn name(_: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<InterfaceName> {
    unsupported()
}

pub(crate) fn mtu(_: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<u32> {
    unsupported()
}

pub(crate) fn set_mtu(_: BorrowedFd<'_>, _: Option<&Plumbing>, _: u32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn hardware_address(_: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<[u8; 6]> {
    unsupported()
}

pub(crate) fn set_hardware_address(_: BorrowedFd<'_>, _: Option<&Plumbing>, _: [u8; 6]) -> io::Result<()> {
    unsupported()
}

pub(crate) fn is_up(_: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn set_up(_: BorrowedFd<'_>, _: Option<&Plumbing>, _: bool) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_address(_: BorrowedFd<'_>, _: Option<&Plumbing>, _: IpAddr, _: u8) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_carrier(_: BorrowedFd<'_>, _: Option<&Plumbing>, _: bool) -> io::Result<()> {
    unsupported()
}

pub(crate) fn dropped_by_host(_: BorrowedFd<'_>, _: Option<&Plumbing>) -> Option<u64> {
    None
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn read_fault(errno: i32) -> ReadFault {
    match errno {
        libc::EAGAIN => ReadFault::Empty,
        libc::EINTR => ReadFault::Interrupted,
        libc::ENXIO | libc::ENODEV | libc::ECONNRESET | libc::ENOTCONN => ReadFault::Gone,
        // tap(4): the interface is down or not ready.
        libc::EHOSTDOWN => ReadFault::Empty,
        _ => ReadFault::Other,
    }
}

pub(crate) fn write_fault(errno: i32) -> WriteFault {
    match errno {
        libc::EAGAIN => WriteFault::WouldBlock,
        libc::EINTR => WriteFault::Interrupted,
        libc::ENOBUFS | libc::ENOMEM => WriteFault::NoBufferSpace,
        libc::EHOSTDOWN | libc::ENETDOWN => WriteFault::Down,
        libc::EMSGSIZE => WriteFault::BadLength,
        libc::ENXIO | libc::ENODEV => WriteFault::Gone,
        libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOTCONN | libc::EPIPE => WriteFault::Gone,
        _ => WriteFault::Other,
    }
}

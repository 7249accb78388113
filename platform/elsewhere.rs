//! Systems without an attach of their own: TAPs come in as inherited descriptors.
//!
//! On the BSDs a TAP is a character device that moves one frame a call (tap(4)). What else it can be asked differs from one
//! of them to the next, but for the name of its node.

use std::fs::{File, Metadata, read_dir};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::fault::{ReadFault, WriteFault};
pub(crate) use super::posix::{read_frame, write_frame};
use super::tap::{Attached, FrameLimits};
use crate::config::Config;
use crate::error::{AdoptError, AttachError, DetachError};
use crate::name::InterfaceName;
use crate::offload::Offload;

/// There is nothing to plumb.
#[derive(Debug)]
pub(crate) enum Plumbing {}

impl Plumbing {
    pub(crate) fn is_needed(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_lost(&self) -> bool {
        match *self {}
    }

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

/// Takes any character device that is open for reading and writing, unless its node's name shows that it is no TAP.
pub(crate) fn adopt(fd: OwnedFd, offload: &Offload) -> Result<Attached, AdoptError> {
    let node = name(fd.as_fd(), None).ok();
    if let Some(node) = node.filter(|node| !is_tap(node.as_bytes())) {
        let found = format!("the character device {node}, no TAP");
        return Err(AdoptError { fd, found, remedy: "a TAP's descriptor is needed", source: None });
    }
    if offload.header_len != 0 {
        let found = "a device without virtio-net headers".to_owned();
        return Err(AdoptError { fd, found, remedy: "ask for no offload", source: None });
    }
    Ok(Attached { plumbing: None, fd, offload: Offload::NONE, limits: LIMITS, multi_queue: false })
}

/// The names of tap(4), and of FreeBSD's TAPs for virtual machines.
fn is_tap(node: &[u8]) -> bool {
    [&b"tap"[..], b"vmnet"].iter().any(|prefix| node.starts_with(prefix))
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

/// Finds the device's node, which bears the interface's name (tap(4)) as long as nobody renames that.
pub(crate) fn name(fd: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<InterfaceName> {
    let device = File::from(fd.try_clone_to_owned()?).metadata()?;
    let is_same = |node: &Metadata| node.file_type().is_char_device() && node.rdev() == device.rdev();
    let node = read_dir("/dev")?.flatten().find(|entry| entry.metadata().is_ok_and(|node| is_same(&node)));
    let name = node.filter(|_| device.file_type().is_char_device()).map(|node| node.file_name());
    let name = name.and_then(|name| InterfaceName::from_c_bytes(name.as_bytes()));
    name.ok_or_else(|| io::ErrorKind::Unsupported.into())
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

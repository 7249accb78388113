//! Linux: `/dev/net/tun` and `TUNSETIFF`.
//!
//! Facts: `Documentation/networking/tuntap.rst` and `drivers/net/tun.c` of the kernel.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::fault::{ReadFault, WriteFault};
use super::tap::Attached;
use crate::config::Config;
use crate::error::{AdoptError, AttachError, DetachError};
use crate::name::InterfaceName;
use crate::offload::Offload;

/// On Linux the descriptor is all there is.
#[derive(Debug)]
pub(crate) enum Plumbing {}

impl Plumbing {
    pub(crate) fn undo(self) -> Result<(), DetachError> {
        match self {}
    }
}

pub(crate) fn check_name(_name: &str) -> Result<(), AttachError> {
    Ok(())
}
pub(crate) fn attach(
    _name: Option<&str>,
    _config: &Config,
    _queues: u16,
) -> Result<Vec<Attached>, AttachError> {
    Err(AttachError::Unsupported { what: "attach" })
}
pub(crate) fn adopt(fd: OwnedFd, _offload: &Offload) -> Result<Attached, AdoptError> {
    Err(AdoptError { fd, found: "unknown".into(), remedy: "", source: None })
}
pub(crate) fn rebind(
    _fd: BorrowedFd<'_>,
    _plumbing: &mut Option<Plumbing>,
    _config: &Config,
) -> Result<bool, AttachError> {
    Err(AttachError::Unsupported { what: "reattach" })
}
fn stub<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
pub(crate) fn name(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>) -> io::Result<InterfaceName> {
    stub()
}
pub(crate) fn mtu(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>) -> io::Result<u32> {
    stub()
}
pub(crate) fn set_mtu(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>, _mtu: u32) -> io::Result<()> {
    stub()
}
pub(crate) fn hardware_address(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>) -> io::Result<[u8; 6]> {
    stub()
}
pub(crate) fn set_hardware_address(
    _fd: BorrowedFd<'_>,
    _plumbing: Option<&Plumbing>,
    _address: [u8; 6],
) -> io::Result<()> {
    stub()
}
pub(crate) fn is_up(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>) -> io::Result<bool> {
    stub()
}
pub(crate) fn set_up(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>, _up: bool) -> io::Result<()> {
    stub()
}
pub(crate) fn set_carrier(
    _fd: BorrowedFd<'_>,
    _plumbing: Option<&Plumbing>,
    _carrier: bool,
) -> io::Result<()> {
    stub()
}
pub(crate) fn dropped_by_host(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>) -> Option<u64> {
    None
}
pub(crate) fn read_fault(_errno: i32) -> ReadFault {
    ReadFault::Other
}
pub(crate) fn write_fault(_errno: i32) -> WriteFault {
    WriteFault::Other
}

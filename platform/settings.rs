//! What a configuration says of the interface, applied after the claim. Each setting is read first and written only where
//! it differs, so that an unprivileged process can use an interface that was made ready for it.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::sys;
use crate::attach::config::Config;
use crate::attach::error::AttachError;

/// Checks the settings that can be wrong whatever the system says.
pub(super) fn check(config: &Config) -> Result<(), AttachError> {
    let Some((address, prefix)) = config.address else { return Ok(()) };
    check_prefix(address, prefix)
        .map_err(|reason| AttachError::BadOption { option: "address".to_owned(), reason })
}

fn check_prefix(address: IpAddr, prefix: u8) -> Result<(), String> {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if prefix > longest { Err(format!("{address} has no prefix of {prefix} bits")) } else { Ok(()) }
}

/// Applies hardware address, MTU, address and up, in this order: the interface goes up complete.
pub(super) fn apply(
    fd: BorrowedFd<'_>,
    plumbing: Option<&sys::Plumbing>,
    config: &Config,
) -> Result<(), AttachError> {
    let set = |what, result: io::Result<()>| result.map_err(|source| refused(fd, plumbing, what, source));
    if let Some(address) = config.hardware_address {
        set("hardware address", set_hardware_address(fd, plumbing, address))?;
    }
    if let Some(mtu) = config.mtu {
        set("MTU", set_mtu(fd, plumbing, mtu))?;
    }
    if let Some((address, prefix)) = config.address {
        set("address", sys::set_address(fd, plumbing, address, prefix))?;
    }
    if config.up {
        set("up", set_up(fd, plumbing, true))?;
    }
    Ok(())
}

pub(super) fn set_hardware_address(
    fd: BorrowedFd<'_>,
    plumbing: Option<&sys::Plumbing>,
    address: [u8; 6],
) -> io::Result<()> {
    if sys::hardware_address(fd, plumbing).is_ok_and(|current| current == address) {
        return Ok(());
    }
    sys::set_hardware_address(fd, plumbing, address)
}

pub(super) fn set_mtu(fd: BorrowedFd<'_>, plumbing: Option<&sys::Plumbing>, mtu: u32) -> io::Result<()> {
    if sys::mtu(fd, plumbing).is_ok_and(|current| current == mtu) {
        return Ok(());
    }
    sys::set_mtu(fd, plumbing, mtu)
}

pub(super) fn set_up(fd: BorrowedFd<'_>, plumbing: Option<&sys::Plumbing>, up: bool) -> io::Result<()> {
    if sys::is_up(fd, plumbing).is_ok_and(|current| current == up) {
        return Ok(());
    }
    sys::set_up(fd, plumbing, up)
}

pub(super) fn set_address(
    fd: BorrowedFd<'_>,
    plumbing: Option<&sys::Plumbing>,
    address: IpAddr,
    prefix: u8,
) -> io::Result<()> {
    check_prefix(address, prefix).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
    sys::set_address(fd, plumbing, address, prefix)
}

fn refused(
    fd: BorrowedFd<'_>,
    plumbing: Option<&sys::Plumbing>,
    request: &'static str,
    source: io::Error,
) -> AttachError {
    let object =
        sys::name(fd, plumbing).map_or_else(|_| "the descriptor".to_owned(), |name| name.to_string());
    let remedy = match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "an administrator's privilege over its network is needed; what an administrator has set beforehand is left as it is"
        }
        _ => "",
    };
    AttachError::Request { request, object, remedy, source }
}

//! What a `Tap` asks of its interface.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::interface::Interface;
use super::mux_link::{Family, Mux};
use super::name::{Ppa, TapName};
use super::plumbing::Plumbing;
use super::{control, dlpi, options};
use crate::error::AttachError;
use crate::name::InterfaceName;
use crate::offload::Offload;

/// The name: what it was plumbed as, or what the device's number makes of it. It cannot be changed here.
pub(crate) fn name(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>) -> io::Result<InterfaceName> {
    Ok(tap_name(fd, plumbing)?.text())
}

pub(crate) fn mtu(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>) -> io::Result<u32> {
    match plumbing.and_then(Plumbing::sides) {
        Some(sides) => Ok(sides.mtu()?),
        None => foreign(fd, plumbing, Family::V4, |interface| interface.mtu()),
    }
}

pub(crate) fn set_mtu(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>, mtu: u32) -> io::Result<()> {
    match plumbing.and_then(Plumbing::sides) {
        Some(sides) => Ok(sides.set_mtu(mtu)?),
        None => foreign(fd, plumbing, Family::V4, |interface| interface.set_mtu(mtu)),
    }
}

pub(crate) fn is_up(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>) -> io::Result<bool> {
    match plumbing.and_then(Plumbing::sides) {
        Some(sides) => Ok(sides.is_up()?),
        None => foreign(fd, plumbing, Family::V4, |interface| interface.is_up()),
    }
}

pub(crate) fn set_up(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>, up: bool) -> io::Result<()> {
    match plumbing.and_then(Plumbing::sides) {
        Some(sides) => Ok(sides.set_up(up)?),
        None => foreign(fd, plumbing, Family::V4, |interface| interface.set_up(up)),
    }
}

pub(crate) fn hardware_address(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>) -> io::Result<[u8; 6]> {
    Ok(dlpi::address(ppa(fd, plumbing)?)?)
}

/// Only where nobody has plumbed yet: IP reads the address then, and goes on announcing it after a change.
pub(crate) fn set_hardware_address(
    fd: BorrowedFd<'_>,
    plumbing: Option<&Plumbing>,
    address: [u8; 6],
) -> io::Result<()> {
    if plumbing.is_some_and(Plumbing::is_needed) || is_up(fd, plumbing).is_ok() {
        let why =
            "IP does not notice that a plumbed TAP's address changes: give it in Config::hardware_address";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    if !options::is_station_address(address) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, options::NO_STATION_ADDRESS));
    }
    Ok(dlpi::set_address(ppa(fd, plumbing)?, address)?)
}

/// Gives the interface an address. On one that somebody else plumbed, an IPv6 address needs its IPv6 side.
pub(crate) fn set_address(
    fd: BorrowedFd<'_>,
    plumbing: Option<&Plumbing>,
    address: IpAddr,
    prefix: u8,
) -> io::Result<()> {
    if let Some(sides) = plumbing.and_then(Plumbing::sides) {
        return Ok(sides.set_address(address, prefix)?);
    }
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    foreign(fd, plumbing, family, |interface| interface.give_address(address, prefix).map(drop))
}

/// The driver has none to grant. With a header it is a socket, whose peer alone knows what it sends.
pub(crate) fn set_offload(
    _fd: BorrowedFd<'_>,
    _plumbing: Option<&Plumbing>,
    wanted: Offload,
) -> io::Result<Offload> {
    Ok(if wanted.header_len == 0 { Offload::NONE } else { wanted })
}

/// A device has one control stream, and a frame no choice of queue.
pub(crate) fn set_queue_enabled(_fd: BorrowedFd<'_>, _enabled: bool) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "a TAP has one queue here"))
}

/// The driver has no such signal.
pub(crate) fn set_carrier(
    _fd: BorrowedFd<'_>,
    _plumbing: Option<&Plumbing>,
    _carrier: bool,
) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the tap driver has no carrier"))
}

/// The driver drops what nobody reads without counting it.
pub(crate) fn dropped_by_host(_fd: BorrowedFd<'_>, _plumbing: Option<&Plumbing>) -> Option<u64> {
    None
}

fn ppa(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>) -> io::Result<Ppa> {
    Ok(tap_name(fd, plumbing)?.ppa())
}

fn tap_name(fd: BorrowedFd<'_>, plumbing: Option<&Plumbing>) -> io::Result<TapName> {
    match plumbing.and_then(Plumbing::name) {
        Some(name) => Ok(name),
        None => Ok(TapName::of(control::ppa_of(fd)?)?),
    }
}

/// Asks about the interface that somebody else plumbed over the device.
fn foreign<T>(
    fd: BorrowedFd<'_>,
    plumbing: Option<&Plumbing>,
    family: Family,
    ask: impl FnOnce(Interface<'_>) -> Result<T, AttachError>,
) -> io::Result<T> {
    let name = tap_name(fd, plumbing)?.text();
    let mux = Mux::open(family)?;
    Ok(ask(Interface { through: &mux, name })?)
}

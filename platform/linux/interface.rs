//! What is asked of the interface itself. Its name is read from the descriptor each time, because it can be renamed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::ioctl::{self, IfreqCall};
use super::request::Request;
use super::{Plumbing, namespace};
use crate::attach::name::InterfaceName;

/// `IFF_UP` of netdevice(7).
const UP: u16 = libc::IFF_UP as u16;

pub(crate) fn name(fd: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<InterfaceName> {
    let request = ioctl::GET_IFF.call(fd, Request::EMPTY)?;
    InterfaceName::from_c_bytes(request.name()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

pub(crate) fn mtu(fd: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<u32> {
    let mtu = Interface::of(fd)?.ask(ioctl::GET_MTU)?.int();
    u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

pub(crate) fn set_mtu(fd: BorrowedFd<'_>, _: Option<&Plumbing>, mtu: u32) -> io::Result<()> {
    let mtu = i32::try_from(mtu).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    Interface::of(fd)?.tell(ioctl::SET_MTU, |request| request.with_int(mtu))
}

/// The descriptor itself takes this request, without privilege and from any network namespace.
pub(crate) fn hardware_address(fd: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<[u8; 6]> {
    ioctl::GET_MAC.call(fd, Request::EMPTY).map(|request| request.mac())
}

pub(crate) fn set_hardware_address(
    fd: BorrowedFd<'_>,
    _: Option<&Plumbing>,
    address: [u8; 6],
) -> io::Result<()> {
    ioctl::SET_MAC.call(fd, Request::EMPTY.with_mac(address)).map(drop)
}

pub(crate) fn is_up(fd: BorrowedFd<'_>, _: Option<&Plumbing>) -> io::Result<bool> {
    Interface::of(fd)?.ask(ioctl::GET_FLAGS).map(|request| request.flags() & UP != 0)
}

pub(crate) fn set_up(fd: BorrowedFd<'_>, _: Option<&Plumbing>, up: bool) -> io::Result<()> {
    let interface = Interface::of(fd)?;
    let flags = interface.ask(ioctl::GET_FLAGS)?.flags();
    let wanted = if up { flags | UP } else { flags & !UP };
    interface.tell(ioctl::SET_FLAGS, |request| request.with_flags(wanted))
}

pub(crate) fn set_carrier(fd: BorrowedFd<'_>, _: Option<&Plumbing>, carrier: bool) -> io::Result<()> {
    ioctl::SET_CARRIER.set(fd, carrier.into()).map_err(|error| match error.raw_os_error() {
        // A macvtap, a kernel before 5.0, a socket.
        Some(libc::EINVAL | libc::ENOTTY) => io::ErrorKind::Unsupported.into(),
        _ => error,
    })
}

pub(crate) fn set_address(
    fd: BorrowedFd<'_>,
    _: Option<&Plumbing>,
    address: IpAddr,
    prefix: u8,
) -> io::Result<()> {
    match address {
        IpAddr::V4(address) => set_ipv4(fd, address, prefix),
        IpAddr::V6(address) => add_ipv6(fd, address, prefix),
    }
}

/// Sets the interface's first IPv4 address, and its netmask, which setting the address resets.
fn set_ipv4(fd: BorrowedFd<'_>, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let interface = Interface::of(fd)?;
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0).to_be_bytes();
    // EADDRNOTAVAIL: there is no address yet.
    let current = |call| interface.ask(call).ok().map(|request| request.ipv4());
    if current(ioctl::GET_ADDRESS) != Some(address.octets()) {
        interface.tell(ioctl::SET_ADDRESS, |request| request.with_ipv4(address.octets()))?;
    }
    if current(ioctl::GET_NETMASK) != Some(mask) {
        interface.tell(ioctl::SET_NETMASK, |request| request.with_ipv4(mask))?;
    }
    Ok(())
}

fn add_ipv6(fd: BorrowedFd<'_>, address: Ipv6Addr, prefix: u8) -> io::Result<()> {
    let index = Interface::of(fd)?.ask(ioctl::GET_INDEX)?.int();
    let socket = datagram_socket(AddressFamily::Inet6)?;
    match ioctl::add_ipv6(socket.as_fd(), index, address, prefix) {
        // The interface has it already.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result,
    }
}

/// An interface as the requests by name see it: only in the network namespace of the calling thread.
pub(super) struct Interface {
    socket: OwnedFd,
    request: Request,
}

impl Interface {
    /// The interface behind `fd`. `ENODEV` when it is in another namespace, where its name here may be somebody else's.
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let name = name(fd, None)?;
        let interface = Self::named(name.as_bytes())?;
        if namespace::is_here(fd, &interface)? {
            Ok(interface)
        } else {
            Err(io::Error::from_raw_os_error(libc::ENODEV))
        }
    }

    /// Whatever interface of this name the calling thread's namespace has.
    pub(super) fn named(name: &[u8]) -> io::Result<Self> {
        Ok(Self { socket: datagram_socket(AddressFamily::Inet)?, request: Request::about(name) })
    }

    pub(super) fn ask(&self, call: IfreqCall) -> io::Result<Request> {
        call.call(self.socket.as_fd(), self.request)
    }

    pub(super) fn tell(&self, call: IfreqCall, change: impl FnOnce(Request) -> Request) -> io::Result<()> {
        call.call(self.socket.as_fd(), change(self.request)).map(drop)
    }

    /// The driver's name, and what it calls its bus.
    pub(super) fn driver(&self) -> io::Result<(String, String)> {
        ioctl::driver(self.socket.as_fd(), self.request)
    }
}

fn datagram_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?)
}

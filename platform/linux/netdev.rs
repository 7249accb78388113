//! What is asked of the interface itself. Its name is read from the descriptor each time, because it can be renamed.
//!
//! A descriptor keeps working when its interface is moved to another network namespace. A request by name would then reach
//! nobody, or an unrelated interface of the same name. The crate believes an answer if the hardware addresses are equal. A
//! request that changes something also compares the namespaces, where the kernel lets the process ask.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use log::warn;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::fstat;

use super::super::tap::descriptors::above_standard_streams;
use super::bound::Bound;
use super::ioctl::{self, IfreqCall, Request};
use super::rtnetlink::{Address, Rtnetlink};
use crate::attach::InterfaceName;

/// `IFF_UP` of netdevice(7).
const UP: u16 = libc::IFF_UP as u16;

pub(super) fn name(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
    Bound::of(fd).map(|bound| bound.name)
}

pub(super) fn mtu(device: &NetDevice) -> io::Result<u32> {
    let mtu = device.ask(ioctl::GET_MTU)?.int();
    u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

pub(super) fn set_mtu(device: &NetDevice, mtu: u32) -> io::Result<()> {
    let mtu = i32::try_from(mtu).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    device.tell(ioctl::SET_MTU, |request| request.with_int(mtu))
}

/// The descriptor itself takes this request, without privilege and from any network namespace.
pub(super) fn hardware_address(fd: BorrowedFd<'_>) -> io::Result<[u8; 6]> {
    ioctl::GET_MAC.call(fd, Request::EMPTY).map(|request| request.mac())
}

pub(super) fn set_hardware_address(fd: BorrowedFd<'_>, address: [u8; 6]) -> io::Result<()> {
    ioctl::SET_MAC.call(fd, Request::EMPTY.with_mac(address)).map(drop)
}

pub(super) fn is_up(device: &NetDevice) -> io::Result<bool> {
    device.ask(ioctl::GET_FLAGS).map(|request| request.flags() & UP != 0)
}

pub(super) fn set_up(device: &NetDevice, up: bool) -> io::Result<()> {
    let flags = device.ask(ioctl::GET_FLAGS)?.flags();
    let wanted = if up { flags | UP } else { flags & !UP };
    device.tell(ioctl::SET_FLAGS, |request| request.with_flags(wanted))
}

/// Frames that the kernel keeps for a reader.
pub(super) fn queue_length(device: &NetDevice) -> io::Result<u32> {
    let frames = device.ask(ioctl::GET_QUEUE_LENGTH)?.int();
    u32::try_from(frames).map_err(|_| io::ErrorKind::InvalidData.into())
}

pub(super) fn set_queue_length(device: &NetDevice, frames: u32) -> io::Result<()> {
    let frames = i32::try_from(frames).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    device.tell(ioctl::SET_QUEUE_LENGTH, |request| request.with_int(frames))
}

/// Adds an address, unless the interface has it; one that it has with another prefix gets the prefix asked for.
pub(super) fn set_address(device: &NetDevice, address: IpAddr, prefix: u8) -> io::Result<()> {
    let index = device.index()?;
    let netlink = Rtnetlink::open()?;
    let before = netlink.addresses(index)?;
    // If the address has a peer, the prefix belongs to the peer's address.
    let same = || before.iter().filter(|present| present.address == address && !present.has_peer);
    if same().any(|present| present.prefix == prefix) {
        return Ok(());
    }
    match same().next() {
        None => netlink.add_address(index, address, prefix),
        Some(old) if address.is_ipv6() => replace_ipv6(&netlink, index, old, prefix),
        Some(old) => replace_ipv4(&netlink, index, old, prefix, &before),
    }
}

/// IPv6 has an address once only, so the old one goes first, and comes back when the new one is refused.
fn replace_ipv6(netlink: &Rtnetlink, index: u32, old: &Address, prefix: u8) -> io::Result<()> {
    netlink.delete_address(old)?;
    netlink.add_address(index, old.address, prefix).inspect_err(|_| {
        if let Err(error) = netlink.restore_address(old) {
            warn!(
                "the address {}/{} was taken off to be replaced, and could not be put back: {error}; add it with `ip addr add`",
                old.address, old.prefix
            );
        }
    })
}

/// The interface has both IPv4 addresses for a moment. When the first address of a subnet is deleted, the kernel deletes the
/// others (unless `promote_secondaries` is set). Those are somebody else's, so this function adds them again.
fn replace_ipv4(
    netlink: &Rtnetlink,
    index: u32,
    old: &Address,
    prefix: u8,
    before: &[Address],
) -> io::Result<()> {
    netlink.add_address(index, old.address, prefix)?;
    netlink.delete_address(old)?;
    let now = netlink.addresses(index)?;
    let is = |one: &Address, other: &Address| (one.address, one.prefix) == (other.address, other.prefix);
    let lost = before.iter().filter(|one| !is(one, old) && !now.iter().any(|other| is(one, other)));
    lost.into_iter().try_for_each(|one| netlink.restore_address(one))
}

/// The addresses of both families, with their prefix lengths in bits.
pub(super) fn addresses(device: &NetDevice) -> io::Result<Vec<(IpAddr, u8)>> {
    let addresses = Rtnetlink::open()?.addresses(device.index()?)?;
    Ok(addresses.into_iter().map(|one| (one.address, one.prefix)).collect())
}

/// An interface as the requests by name see it: only in the network namespace of the calling thread.
pub(super) struct NetDevice {
    socket: OwnedFd,
    request: Request,
}

impl NetDevice {
    /// The interface behind `fd`, to be asked. `ENODEV` when it is in another namespace; its name may belong to another
    /// interface here.
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let device = Self::just_bound(fd)?;
        if device.has_address_of(fd)? { Ok(device) } else { Err(io::Error::from_raw_os_error(libc::ENODEV)) }
    }

    /// The same, to be changed.
    pub(super) fn surely_of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let device = Self::just_bound(fd)?;
        if device.is_here(fd)? { Ok(device) } else { Err(io::Error::from_raw_os_error(libc::ENODEV)) }
    }

    /// The interface behind `fd`, which this thread has bound by its name a moment ago: it cannot be elsewhere.
    pub(super) fn just_bound(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::named(name(fd)?.as_bytes())
    }

    /// Whatever interface of this name the calling thread's namespace has.
    pub(super) fn named(name: &[u8]) -> io::Result<Self> {
        Ok(Self { socket: datagram_socket()?, request: Request::about(name) })
    }

    /// The interface's number.
    pub(super) fn index(&self) -> io::Result<u32> {
        let index = self.ask(ioctl::GET_INDEX)?.int();
        u32::try_from(index).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    pub(super) fn ask(&self, call: IfreqCall) -> io::Result<Request> {
        call.call(self.socket.as_fd(), self.request)
    }

    pub(super) fn tell(&self, call: IfreqCall, change: impl FnOnce(Request) -> Request) -> io::Result<()> {
        call.call(self.socket.as_fd(), change(self.request)).map(drop)
    }

    /// Tells whether this is the interface behind `fd`, whose name it has. Nothing of it needs `/proc`.
    fn is_here(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        let namespaces = ioctl::device_namespace(fd).and_then(|theirs| {
            let ours = ioctl::socket_namespace(self.socket.as_fd())?;
            Ok((fstat(&theirs)?, fstat(&ours)?))
        });
        match namespaces {
            Ok((theirs, ours)) => Ok((theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)),
            // The kernel does not tell the namespace without CAP_NET_ADMIN over both namespaces, on a macvtap, and before
            // Linux 5.10.
            Err(_) => self.has_address_of(fd),
        }
    }

    /// Tells whether the hardware addresses are equal, which an ordinary user may ask as well.
    fn has_address_of(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        let behind = ioctl::GET_MAC.call(fd, Request::EMPTY)?;
        Ok(self.ask(ioctl::GET_MAC).is_ok_and(|named| named.mac() == behind.mac()))
    }

    /// The driver's name, and what it calls its bus.
    pub(super) fn driver(&self) -> io::Result<(String, String)> {
        ioctl::driver(self.socket.as_fd(), self.request)
    }
}

fn datagram_socket() -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    above_standard_streams(socket)
}

/// Frames that found the queue full (`tx_queue_len`), or the interface without a reader.
pub(super) fn dropped_by_host(device: &NetDevice) -> Option<u64> {
    let index = device.index().ok()?;
    Rtnetlink::open().and_then(|netlink| netlink.transmit_dropped(index)).ok()?
}

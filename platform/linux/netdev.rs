//! What is asked of the interface itself. Its name is read from the descriptor each time, because it can be renamed.
//!
//! A descriptor keeps working when its interface is moved to another network namespace, but a request by name would then
//! reach nobody, or an unrelated interface of the same name.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{fstat, stat};

use super::ioctl::{self, IfreqCall, Request};
use crate::attach::InterfaceName;

/// `IFF_UP` of netdevice(7).
const UP: u16 = libc::IFF_UP as u16;

pub(super) fn name(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
    let request = ioctl::GET_IFF.call(fd, Request::EMPTY)?;
    InterfaceName::from_c_bytes(request.name()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

pub(super) fn mtu(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mtu = NetDevice::of(fd)?.ask(ioctl::GET_MTU)?.int();
    u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

pub(super) fn set_mtu(fd: BorrowedFd<'_>, mtu: u32) -> io::Result<()> {
    let mtu = i32::try_from(mtu).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    NetDevice::of(fd)?.tell(ioctl::SET_MTU, |request| request.with_int(mtu))
}

/// The descriptor itself takes this request, without privilege and from any network namespace.
pub(super) fn hardware_address(fd: BorrowedFd<'_>) -> io::Result<[u8; 6]> {
    ioctl::GET_MAC.call(fd, Request::EMPTY).map(|request| request.mac())
}

pub(super) fn set_hardware_address(fd: BorrowedFd<'_>, address: [u8; 6]) -> io::Result<()> {
    ioctl::SET_MAC.call(fd, Request::EMPTY.with_mac(address)).map(drop)
}

pub(super) fn is_up(fd: BorrowedFd<'_>) -> io::Result<bool> {
    NetDevice::of(fd)?.ask(ioctl::GET_FLAGS).map(|request| request.flags() & UP != 0)
}

pub(super) fn set_up(fd: BorrowedFd<'_>, up: bool) -> io::Result<()> {
    let device = NetDevice::of(fd)?;
    let flags = device.ask(ioctl::GET_FLAGS)?.flags();
    let wanted = if up { flags | UP } else { flags & !UP };
    device.tell(ioctl::SET_FLAGS, |request| request.with_flags(wanted))
}

pub(super) fn set_address(fd: BorrowedFd<'_>, address: IpAddr, prefix: u8) -> io::Result<()> {
    match address {
        IpAddr::V4(address) => set_ipv4(fd, address, prefix),
        IpAddr::V6(address) => add_ipv6(fd, address, prefix),
    }
}

/// Sets the interface's first IPv4 address, and its netmask, which setting the address resets.
fn set_ipv4(fd: BorrowedFd<'_>, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let device = NetDevice::of(fd)?;
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0).to_be_bytes();
    // EADDRNOTAVAIL: there is no address yet.
    let current = |call| device.ask(call).ok().map(|request| request.ipv4());
    if current(ioctl::GET_ADDRESS) != Some(address.octets()) {
        device.tell(ioctl::SET_ADDRESS, |request| request.with_ipv4(address.octets()))?;
    }
    if current(ioctl::GET_NETMASK) != Some(mask) {
        device.tell(ioctl::SET_NETMASK, |request| request.with_ipv4(mask))?;
    }
    Ok(())
}

fn add_ipv6(fd: BorrowedFd<'_>, address: Ipv6Addr, prefix: u8) -> io::Result<()> {
    let index = NetDevice::of(fd)?.ask(ioctl::GET_INDEX)?.int();
    let socket = datagram_socket(AddressFamily::Inet6)?;
    match ioctl::add_ipv6(socket.as_fd(), index, address, prefix) {
        // The interface has it already.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result,
    }
}

/// An interface as the requests by name see it: only in the network namespace of the calling thread.
pub(super) struct NetDevice {
    socket: OwnedFd,
    request: Request,
}

impl NetDevice {
    /// The interface behind `fd`. `ENODEV` when it is in another namespace, where its name here may be somebody else's.
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let name = name(fd)?;
        let device = Self::named(name.as_bytes())?;
        if is_here(fd, &device)? { Ok(device) } else { Err(io::Error::from_raw_os_error(libc::ENODEV)) }
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

/// Tells whether `device`, found by the name of the device behind `fd`, is that one.
fn is_here(fd: BorrowedFd<'_>, device: &NetDevice) -> io::Result<bool> {
    match ioctl::device_namespace(fd) {
        Ok(namespace) => {
            let (theirs, ours) = (fstat(&namespace)?, stat("/proc/thread-self/ns/net")?);
            Ok((theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino))
        }
        // Without CAP_NET_ADMIN over that namespace, on a macvtap and before Linux 5.10 nobody tells; then equal hardware
        // addresses must do.
        Err(_) => {
            let behind = ioctl::GET_MAC.call(fd, Request::EMPTY)?;
            Ok(device.ask(ioctl::GET_MAC).is_ok_and(|named| named.mac() == behind.mac()))
        }
    }
}

/// The column of `drop` among the transmit columns, counted after the name (proc_net_dev of proc(5)).
const TRANSMIT_DROP: usize = 11;

/// Frames that found the queue full (`tx_queue_len`), or the interface without a reader.
pub(super) fn dropped_by_host(fd: BorrowedFd<'_>) -> Option<u64> {
    // The table is that of this thread's namespace, where another interface could bear the name.
    NetDevice::of(fd).ok()?;
    let name = name(fd).ok()?;
    let table = fs::read("/proc/thread-self/net/dev").ok()?;
    table.split(|byte| *byte == b'\n').find_map(|line| drops(line, name.as_bytes()))
}

fn drops(line: &[u8], name: &[u8]) -> Option<u64> {
    let counters = line.trim_ascii_start().strip_prefix(name)?.strip_prefix(b":")?;
    let mut columns = counters.split(u8::is_ascii_whitespace).filter(|column| !column.is_empty());
    std::str::from_utf8(columns.nth(TRANSMIT_DROP)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::drops;

    #[test]
    fn the_transmit_drops_are_read_and_no_other_column() {
        let line = b"  tap0:     1    2    3    4    5     6          7         8        9      10   11   12    13    14       15         16";
        assert_eq!(drops(line, b"tap0"), Some(12));
        assert_eq!(drops(line, b"tap"), None);
        assert_eq!(drops(b" face |bytes    packets", b"face"), None);
    }
}

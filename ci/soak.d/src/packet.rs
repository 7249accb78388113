//! The host's side of a TAP: a packet socket, which sees and sends whole frames (packet(7)).

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Bound to one interface; its calls do not wait.
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    pub(crate) fn new(interface: &str) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol.into()) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was made just now and is nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.bind(nix::net::if_::if_nametoindex(interface)?, protocol)?;
        Ok(socket)
    }

    fn bind(&self, index: u32, protocol: u16) -> io::Result<()> {
        // SAFETY: a sockaddr_ll holds integers only, which may all be zero.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = index as i32;
        let (pointer, len) = ((&raw const address).cast(), size_of::<libc::sockaddr_ll>() as u32);
        // SAFETY: `pointer` is to a sockaddr_ll of this frame, which is `len` bytes long and outlives the call.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), pointer, len) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

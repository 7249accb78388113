//! The host's side of a TAP: a packet socket that sees and sends whole frames, and the `ip` command.

// UNSAFETY: a packet socket is bound by a structure that no safe library builds.
#![expect(unsafe_code, reason = "packet(7) has no safe binding")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use tap_plumb::{Backend, Config};

pub(crate) use super::host_side::{ip, is_root_of_the_machine, try_ip, wait_for_carrier, wait_until};

/// A backend on `tap0`, up and silent.
pub(crate) fn backend(config: Config) -> Arc<Backend> {
    quiet();
    Arc::new(Backend::new(config.name("tap0").up().attach().expect("attach tap0")))
}

/// Keeps the host from sending anything of its own accord.
pub(crate) fn quiet() {
    for scope in ["all", "default"] {
        // A kernel without IPv6 has nothing to be silenced.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
}

/// Renames an interface while it is up; where the kernel refuses that, it goes down for a moment.
pub(crate) fn rename(from: &str, to: &str) {
    let Err(refused) = try_ip(&format!("link set {from} name {to}")) else { return };
    println!("not tried: a new name while up: {} (Linux 6.2 allows it)", refused.trim());
    ip(&format!("link set {from} down"));
    ip(&format!("link set {from} name {to}"));
    ip(&format!("link set {to} up"));
}

/// A frame of `len` bytes that no protocol of the host takes, marked with `mark`.
pub(crate) fn frame(len: usize, mark: u64) -> Vec<u8> {
    let mut frame = vec![0; len];
    frame[..12].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    frame[14..22].copy_from_slice(&mark.to_be_bytes());
    frame
}

/// Every frame that was offered or taken is accounted for.
pub(crate) fn assert_adds_up(backend: &Backend) {
    let all = backend.statistics();
    assert_eq!(all.transmit.frames_offered, all.transmit.frames_sent + all.transmit.dropped(), "{all:?}");
    assert_eq!(all.receive.frames_received, all.receive.frames_delivered + all.receive.dropped(), "{all:?}");
}

/// A packet socket on one interface (packet(7)).
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    pub(crate) fn new(interface: &str) -> Self {
        let protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol) };
        assert!(fd >= 0, "packet socket: {}", io::Error::last_os_error());
        // SAFETY: `fd` is open and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let index = nix::net::if_::if_nametoindex(interface).expect("the interface");
        // SAFETY: all-zero bytes are a valid sockaddr_ll, which holds integers only.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol as u16;
        address.sll_ifindex = index as i32;
        let pointer = (&raw const address).cast();
        // SAFETY: `pointer` is to a sockaddr_ll of the length given, which lives until after the call.
        let result =
            unsafe { libc::bind(socket.0.as_raw_fd(), pointer, size_of::<libc::sockaddr_ll>() as u32) };
        assert_eq!(result, 0, "bind: {}", io::Error::last_os_error());
        socket
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        assert_eq!(nix::unistd::write(&self.0, frame), Ok(frame.len()));
    }

    /// Takes a frame that the guest sent, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        nix::unistd::read(&self.0, buffer).ok()
    }
}

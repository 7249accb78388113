//! Frames from the host to the guest: UDP datagrams to a neighbour that is said to be there.

use std::net::UdpSocket;

use super::host::ip;

/// Bytes before a datagram's payload: Ethernet, IPv4 and UDP headers.
pub(crate) const HEADERS: usize = 14 + 20 + 8;

/// The destination address of every frame.
pub(crate) const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub(crate) struct Host(UdpSocket);

impl Host {
    /// Brings the interface up with an address. The MTU is below what IPv6 needs, so that the kernel announces nothing.
    pub(crate) fn on(name: &str) -> Self {
        ip(&format!("link set {name} mtu 1200"));
        ip(&format!("link set {name} up"));
        ip(&format!("addr add 10.9.0.1/24 dev {name}"));
        ip(&format!("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev {name}"));
        let socket = UdpSocket::bind("10.9.0.1:7000").unwrap();
        socket.connect("10.9.0.2:7001").unwrap();
        Self(socket)
    }

    /// Sends a frame with `payload`, which is readable when this returns.
    pub(crate) fn send(&self, payload: &[u8]) {
        assert_eq!(self.0.send(payload).unwrap(), payload.len());
    }
}

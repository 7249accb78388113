//! An echo request of our own (RFC 792), for hosts without `ping`. It needs the right to open a raw socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Ipv4Packet};

const PAYLOAD: &[u8] = b"tap-plumb guest example";

/// Sends one echo request and returns the time to its answer.
pub(crate) fn ping(guest: Ipv4Addr, patience: Duration) -> io::Result<Duration> {
    let flags = SockFlag::empty();
    let socket = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
    let limit = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(limit))?;
    // Anything does that another process is unlikely to use in this namespace now.
    let ident = std::process::id() as u16;
    let start = Instant::now();
    let target = SockaddrIn::from(SocketAddrV4::new(guest, 0));
    sendto(socket.as_raw_fd(), &request(ident), &target, MsgFlags::empty())?;
    while start.elapsed() < patience {
        if is_answer(&receive(&socket)?, guest, ident) {
            return Ok(start.elapsed());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn receive(socket: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; 2048];
    let len = recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty())?;
    packet.truncate(len);
    Ok(packet)
}

fn request(ident: u16) -> Vec<u8> {
    let request = Icmpv4Repr::EchoRequest { ident, seq_no: 1, data: PAYLOAD };
    let mut packet = vec![0; request.buffer_len()];
    request.emit(&mut Icmpv4Packet::new_unchecked(&mut packet[..]), &ChecksumCapabilities::default());
    packet
}

/// A raw socket sees every ICMP packet of the host, with its IP header.
fn is_answer(packet: &[u8], guest: Ipv4Addr, wanted: u16) -> bool {
    let Ok(ip) = Ipv4Packet::new_checked(packet) else { return false };
    let Ok(icmp) = Icmpv4Packet::new_checked(ip.payload()) else { return false };
    let parsed = Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default());
    ip.src_addr() == guest
        && matches!(parsed, Ok(Icmpv4Repr::EchoReply { ident, data: PAYLOAD, .. }) if ident == wanted)
}

//! A UDP socket as a TAP: what the network says of a datagram that it did not carry, and how long one may be.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, setsockopt, socket,
    sockopt::SndBuf,
};
use tap_plumb::{
    Backend, Config, Frame, LinkState, ReceiveError, Tap, Threads, TransmitError, internet_checksum,
};

use super::device::Device;
use super::host::{self, ip, wait_until};

/// Destination unreachable: the code, and for "fragmentation needed" the MTU.
const OF_IPV4: [(u8, u8); 8] = [(2, 0), (3, 0), (4, 100), (7, 0), (9, 0), (10, 0), (13, 0), (6, 0)];
/// The type and the code: nothing listens, administratively prohibited, a header that is wrong.
const OF_IPV6: [(u8, u8); 3] = [(1, 4), (1, 1), (4, 1)];

/// Tells the sender of a datagram from `from` to `to` that it did not get there.
fn refuse(from: SocketAddr, to: SocketAddr, (first, second): (u8, u8)) {
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let datagram = [&ports[..], &[0, 8, 0, 0]].concat();
    let (family, protocol, mut message) = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let mut header = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
            header.extend([source.octets(), target.octets()].concat());
            let message = [&[3, first, 0, 0, 0, 0, 0, second][..], &header, &datagram].concat();
            (AddressFamily::Inet, SockProtocol::Icmp, message)
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let header = [&[0x60, 0, 0, 0, 0, 8, 17, 64][..], &source.octets(), &target.octets()].concat();
            let message = [&[first, second, 0, 0, 0, 0, 0, 0][..], &header, &datagram].concat();
            (AddressFamily::Inet6, SockProtocol::IcmpV6, message)
        }
        other => panic!("{other:?}"),
    };
    if family == AddressFamily::Inet {
        let sum = internet_checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let raw: OwnedFd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    let place = SockaddrStorage::from(SocketAddr::new(from.ip(), 0));
    sendto(raw.as_raw_fd(), &message, &place, MsgFlags::empty()).unwrap();
}

/// A backend over a UDP socket, its place, and the peer.
fn udp(address: &str) -> (Arc<Backend>, SocketAddr, UdpSocket) {
    let [ours, peer] = [(); 2].map(|()| UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap());
    let own = ours.local_addr().unwrap();
    ours.connect(peer.local_addr().unwrap()).unwrap();
    peer.connect(own).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (Arc::new(Backend::new(Tap::from_fd(ours.into()).unwrap())), own, peer)
}

fn send(backend: &Backend, frame: &[u8]) -> Result<(), TransmitError> {
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(frame)]))
}

/// Row X9.
pub(crate) fn what_icmp_says_of_an_earlier_datagram_costs_no_later_one() {
    ip("link set lo up");
    let v4 = OF_IPV4.map(|refusal| ("127.0.0.1", refusal));
    let v6 = OF_IPV6.map(|refusal| ("::1", refusal));
    for (address, refusal) in v4.into_iter().chain(v6) {
        let case = format!("{address} {refusal:?}");
        let (backend, own, peer) = udp(address);
        let refuse = || refuse(own, peer.local_addr().unwrap(), refusal);
        let frame = host::frame(60, 1);
        refuse();
        send(&backend, &frame).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(peer.recv(&mut [0; 100]).unwrap(), 60, "{case}");
        refuse();
        let written = backend.send_verbatim(&[IoSlice::new(&frame)]);
        assert_eq!(written.unwrap_or_else(|error| panic!("{case}: {error}")), 60, "{case}");
        refuse();
        let nothing = backend.receive(&mut [IoSliceMut::new(&mut [0; 100])]);
        assert!(matches!(nothing, Ok(None)), "{case}: {nothing:?}");
        peer.send(&frame).unwrap();
        refuse();
        // A busy machine delivers after the send has returned.
        wait_until("the frame", || {
            let received = backend.receive(&mut [IoSliceMut::new(&mut [0; 100])]);
            received.unwrap_or_else(|error| panic!("{case}: {error}")).is_some()
        });
        let all = backend.statistics();
        assert_eq!((all.transmit.io_error, all.receive.io_error), (0, 0), "{case}");
        host::assert_adds_up(&backend);
    }
}

/// Row X9.
pub(crate) fn what_icmp_says_while_a_frame_waits_is_no_end() {
    ip("link set lo up");
    let _below = Config::new().name("below0").up().attach().unwrap();
    ip("addr add 10.9.0.1/24 dev below0");
    let ours = UdpSocket::bind("10.9.0.1:7000").unwrap();
    ours.connect("10.9.0.2:7001").unwrap();
    setsockopt(&ours, SndBuf, &4096).unwrap();
    let backend = Arc::new(Backend::new(Tap::from_fd(ours.into()).unwrap()));
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    // Nobody tells the neighbour's address, so that the frames stay in the send buffer.
    let frame = host::frame(1000, 1);
    let full = (0..100).find_map(|_| send(&backend, &frame).err());
    assert!(matches!(full, Some(TransmitError::WouldBlock { .. })), "{full:?}");
    // The receive thread would take the answer before the other one can see it.
    backend.set_link_state(LinkState::Down);
    std::thread::sleep(Duration::from_millis(50));
    let (own, peer) = (
        SocketAddr::from((Ipv4Addr::new(10, 9, 0, 1), 7000)),
        SocketAddr::from((Ipv4Addr::new(10, 9, 0, 2), 7001)),
    );
    refuse(own, peer, (3, 0));
    wait_until("a frame that may be sent again", || device.pending.load(Ordering::SeqCst) > 0);
    assert_eq!(device.gone.load(Ordering::SeqCst), 0);
    backend.set_link_state(LinkState::Up);
    let received = backend.receive(&mut [IoSliceMut::new(&mut [0; 100])]);
    assert!(!matches!(received, Err(ReceiveError::Gone)), "{received:?}");
    threads.stop().unwrap();
}

/// Row X10.
pub(crate) fn a_datagram_of_ipv6_may_be_longer_than_one_of_ipv4() {
    ip("link set lo up");
    for (address, most) in [("127.0.0.1", 65_535 - 20 - 8), ("::1", 65_535 - 8)] {
        let (backend, _, peer) = udp(address);
        send(&backend, &vec![7; most]).unwrap();
        assert_eq!(peer.recv(&mut vec![0; 70_000]).unwrap(), most);
        let error = send(&backend, &vec![7; most + 1]).unwrap_err();
        match error {
            TransmitError::Oversize { limit, .. } => assert_eq!(limit, most),
            TransmitError::LengthRefused { .. } => {}
            other => panic!("{other}"),
        }
        assert_eq!(backend.statistics().transmit.oversize, 1);
    }
}

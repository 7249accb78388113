//! Sockets by std: each family and kind, their options and addresses.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

fn datagram_there_and_back(local: SocketAddr) {
    let one = UdpSocket::bind(local).unwrap();
    let other = UdpSocket::bind(local).unwrap();
    assert_eq!(one.send_to(b"ping", other.local_addr().unwrap()).unwrap(), 4);
    let mut buffer = [0; 16];
    assert_eq!(other.recv_from(&mut buffer).unwrap(), (4, one.local_addr().unwrap()));
    assert_eq!(&buffer[..4], b"ping");
    other.connect(one.local_addr().unwrap()).unwrap();
    assert_eq!(other.peer_addr().unwrap(), one.local_addr().unwrap());
    other.send(b"pong").unwrap();
    assert_eq!(one.peek(&mut buffer).unwrap(), 4);
    assert_eq!(one.recv(&mut buffer).unwrap(), 4);
}

#[test]
fn datagrams_of_both_versions() {
    datagram_there_and_back((Ipv4Addr::LOCALHOST, 0).into());
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has IPv6");
        return eprintln!("skipped: this machine has no IPv6 loopback");
    }
    datagram_there_and_back((Ipv6Addr::LOCALHOST, 0).into());
}

#[test]
fn a_stream_is_accepted_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        stream.write_all(b"request").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (stream.local_addr().unwrap(), answer)
    });
    let (mut stream, peer) = listener.accept().unwrap();
    let mut request = String::new();
    stream.read_to_string(&mut request).unwrap();
    stream.write_all(request.to_uppercase().as_bytes()).unwrap();
    drop(stream);
    assert_eq!(client.join().unwrap(), (peer, "REQUEST".to_string()));
}

#[test]
fn time_limits_end_the_wait() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let limit = Duration::from_millis(40);
    socket.set_read_timeout(Some(limit)).unwrap();
    assert_eq!(socket.read_timeout().unwrap(), Some(limit));
    let start = Instant::now();
    assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn options_are_kept() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_broadcast(true).unwrap();
    assert!(socket.broadcast().unwrap());
    socket.set_ttl(33).unwrap();
    assert_eq!(socket.ttl().unwrap(), 33);
    socket.set_multicast_loop_v4(false).unwrap();
    assert!(!socket.multicast_loop_v4().unwrap());
    assert!(socket.take_error().unwrap().is_none());
    use nix::sys::socket::{getsockopt, setsockopt, sockopt};
    setsockopt(&socket, sockopt::SndBuf, &20_000).unwrap();
    assert!(getsockopt(&socket, sockopt::SndBuf).unwrap() >= 20_000);
    assert_eq!(getsockopt(&socket, sockopt::SockType).unwrap(), nix::sys::socket::SockType::Datagram);
}

#[test]
fn an_error_that_came_later_is_told_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // A socket that hears itself alone keeps the port: no other test can bind it and take the datagram.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    deaf.connect(deaf.local_addr().unwrap()).unwrap();
    socket.connect(deaf.local_addr().unwrap()).unwrap();
    socket.send(b"into the void").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let error = socket.recv(&mut [0]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    assert!(socket.take_error().unwrap().is_none());
}

#[test]
fn a_pair_of_datagram_sockets_keeps_boundaries() {
    let (one, other) = UnixDatagram::pair().unwrap();
    one.send(b"first").unwrap();
    one.send(b"").unwrap();
    one.send(b"second, longer").unwrap();
    let mut buffer = [0; 8];
    assert_eq!(other.recv(&mut buffer).unwrap(), 5);
    assert_eq!(other.recv(&mut buffer).unwrap(), 0);
    assert_eq!(other.recv(&mut buffer).unwrap(), 8);
    one.set_nonblocking(true).unwrap();
    assert_eq!(one.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    one.set_nonblocking(false).unwrap();
}

#[test]
fn unix_sockets_have_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(path.as_path()));
    let client = UnixStream::connect(&path).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert!(peer.is_unnamed());
    assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(path.as_path()));
    drop(server);
    let bound = UnixDatagram::bind(folder.path().join("datagram")).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"x", folder.path().join("datagram")).unwrap();
    let (length, from) = bound.recv_from(&mut [0; 4]).unwrap();
    assert_eq!((length, from.is_unnamed()), (1, true));
}

#[test]
fn numbers_and_localhost_are_resolved() {
    let found: Vec<_> = "127.0.0.1:80".to_socket_addrs().unwrap().collect();
    assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
    let found: Vec<_> = ("localhost", 80).to_socket_addrs().unwrap().collect();
    assert!(found.iter().all(|address| address.ip().is_loopback()) && !found.is_empty(), "{found:?}");
    assert!(("name.invalid", 80).to_socket_addrs().is_err());
}

#[test]
fn an_attempt_to_connect_gives_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert!(TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok());
}

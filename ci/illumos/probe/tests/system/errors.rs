//! Errors of the host's kernel reach the program under illumos' numbers.

use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::{fs, io::Write};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};

fn number(result: io::Result<impl Sized>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn files_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert_eq!(number(fs::File::open(path.join("missing"))), Some(libc::ENOENT));
    assert_eq!(number(fs::File::open(path.join("x".repeat(300)))), Some(libc::ENAMETOOLONG));
    symlink("circle", path.join("circle")).unwrap();
    assert_eq!(number(fs::File::open(path.join("circle"))), Some(libc::ELOOP));
    fs::write(path.join("file"), "").unwrap();
    assert_eq!(number(fs::File::open(path.join("file/below"))), Some(libc::ENOTDIR));
    assert_eq!(number(fs::File::create_new(path.join("file"))), Some(libc::EEXIST));
    assert_eq!(number(fs::read(path)), Some(libc::EISDIR));
}

#[test]
fn folders_that_cannot_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = fs::remove_dir(folder.path()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTEMPTY));
    assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
}

#[test]
fn addresses_in_use_and_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let error = TcpListener::bind(address).unwrap_err();
    assert_eq!((error.raw_os_error(), error.kind()), (Some(libc::EADDRINUSE), ErrorKind::AddrInUse));
    // A socket that does not listen keeps the port: no other test can listen there.
    let deaf = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    bind(deaf.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let address = getsockname::<SockaddrIn>(deaf.as_raw_fd()).unwrap();
    let error = TcpStream::connect((address.ip(), address.port())).unwrap_err();
    assert_eq!(
        (error.raw_os_error(), error.kind()),
        (Some(libc::ECONNREFUSED), ErrorKind::ConnectionRefused)
    );
    let error = UdpSocket::bind("192.0.2.1:1").unwrap_err();
    assert_eq!(
        (error.raw_os_error(), error.kind()),
        (Some(libc::EADDRNOTAVAIL), ErrorKind::AddrNotAvailable)
    );
}

#[test]
fn sockets_not_ready_not_connected_and_broken() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    assert_eq!(number(socket.recv(&mut [0])), Some(libc::EAGAIN));
    assert_eq!(number(socket.peer_addr()), Some(libc::ENOTCONN));
    assert_eq!(number(socket.send(&[0])), Some(libc::EDESTADDRREQ));
    let (mut one, other) = UnixStream::pair().unwrap();
    drop(other);
    // std ignores SIGPIPE, so that this is an error and no death
    assert_eq!(number(one.write(&[0])), Some(libc::EPIPE));
}

#[test]
fn a_datagram_too_long() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = number(socket.send_to(&[0; 70_000], socket.local_addr().unwrap()));
    assert_eq!(error, Some(libc::EMSGSIZE));
}

#[test]
fn every_error_has_a_text() {
    assert_eq!(
        io::Error::from_raw_os_error(libc::ECONNREFUSED).to_string(),
        format!("Connection refused (os error {})", libc::ECONNREFUSED)
    );
    assert!(io::Error::from_raw_os_error(4711).to_string().starts_with("Unknown error"));
}

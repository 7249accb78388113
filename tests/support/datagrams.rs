//! Datagram sockets in the place of TAPs, on systems that queue and deliver them in different ways: a datagram that was
//! sent may arrive later, few may fit, and a long one may not be one.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{SysconfVar, sysconf};

/// Milliseconds after which something is wrong.
const LIMIT: u16 = 5000;

/// Waits until there is a datagram, or an error, to be read.
#[track_caller]
pub(crate) fn wait_readable(socket: impl AsFd) {
    wait(socket, PollFlags::POLLIN);
}

/// Waits until a datagram fits.
#[track_caller]
pub(crate) fn wait_writable(socket: impl AsFd) {
    wait(socket, PollFlags::POLLOUT);
}

#[track_caller]
fn wait(socket: impl AsFd, events: PollFlags) {
    let mut waiting = [PollFd::new(socket.as_fd(), events)];
    let found = loop {
        match poll(&mut waiting, PollTimeout::from(LIMIT)) {
            Err(Errno::EINTR) => {}
            found => break found,
        }
    };
    assert_eq!(found, Ok(1), "no {events:?} within {LIMIT} ms");
}

/// Takes as many datagrams as were sent, and asserts that there is no other.
#[track_caller]
pub(crate) fn drain(host: &UnixDatagram, count: u64) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 70_000];
    let frames = (0..count).map(|_| {
        wait_readable(host);
        let len = host.recv(&mut buffer).expect("a datagram that was announced");
        buffer[..len].to_vec()
    });
    let frames = frames.collect();
    host.set_nonblocking(true).unwrap();
    assert!(host.recv(&mut buffer).is_err(), "one more than {count}");
    frames
}

/// Can a datagram have as many bytes on this system?
pub(crate) fn can_carry(len: usize) -> bool {
    let (one, _other) = UnixDatagram::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    let sent = one.send(&vec![0; len]);
    !sent.is_err_and(|error| error.raw_os_error() == Some(Errno::EMSGSIZE as i32))
}

/// The most slices that one call takes on this system, or that the library gives it.
pub(crate) fn most_slices() -> usize {
    let limit = sysconf(SysconfVar::IOV_MAX).ok().flatten().and_then(|limit| usize::try_from(limit).ok());
    limit.unwrap_or(16).clamp(16, 1024)
}

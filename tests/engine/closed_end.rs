//! The host's end closes. Some systems tell an error of it once and then nothing for ever: it must not be forgotten.

// UNSAFETY: a descriptor's number is given to another socket.
#![expect(unsafe_code, reason = "dup2 of a number that the backend owns")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, send as send_packet, socketpair};
use tap_plumb::{Backend, Frame, LinkState, ReceiveError, Tap, TransmitError};

use crate::pair;

fn send(backend: &Backend) -> Result<(), TransmitError> {
    let frame = pair::frame(60, 1);
    backend.begin_transmit().expect("no other session").send(&Frame::new(&[IoSlice::new(&frame)]))
}

/// Sends until that fails: where the error of a frame comes with the next call, the first ones are on their way.
fn send_until_refused(backend: &Backend) -> TransmitError {
    (0..1000).find_map(|_| send(backend).err()).expect("an error within 1000 frames")
}

fn receive(backend: &Backend) -> Result<Option<usize>, ReceiveError> {
    let mut buffer = [0; 2000];
    Ok(backend.receive(&mut [IoSliceMut::new(&mut buffer)])?.map(|received| received.len))
}

/// Row O10.
#[test]
fn a_sender_is_told_that_the_end_is_gone_whoever_took_the_error() {
    let (backend, host) = pair::backend();
    drop(host);
    // Another reader of the same socket: it takes what the system tells once, where it tells anything.
    for _ in 0..50 {
        let taken = nix::unistd::read(backend.tap(), &mut [0; 100]);
        assert!(taken.is_err(), "{taken:?}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let error = send_until_refused(&backend);
    assert!(matches!(error, TransmitError::Gone), "{error:?}");
    assert!(matches!(receive(&backend), Err(ReceiveError::Gone)));
    pair::assert_adds_up(&backend);
}

/// Row O10.
#[test]
fn an_end_that_closes_while_the_link_is_down_is_gone_when_it_comes_up() {
    let (backend, host) = pair::backend();
    backend.set_link_state(LinkState::Down);
    host.send(&pair::frame(60, 1)).unwrap();
    drop(host);
    assert!(matches!(receive(&backend), Ok(None) | Err(ReceiveError::Gone)));
    backend.set_link_state(LinkState::Up);
    let error = send_until_refused(&backend);
    assert!(matches!(error, TransmitError::Gone), "{error:?}");
    pair::assert_adds_up(&backend);
}

/// An end that keeps frames apart and tells of its closed peer on every system.
fn packets() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty()).unwrap()
}

/// A drain, and how it is begun.
type Drain = fn(&Backend);

/// Row O10.
#[test]
fn a_drain_that_finds_the_end_does_not_swallow_it() {
    let drains: [Drain; 3] = [
        |backend| assert_eq!(backend.discard_queued(), 0),
        |backend| {
            backend.set_link_state(LinkState::Down);
            backend.set_link_state(LinkState::Up);
        },
        |backend| {
            backend.set_link_state(LinkState::Down);
            assert!(matches!(receive(backend), Ok(None) | Err(ReceiveError::Gone)));
        },
    ];
    for (number, drain) in drains.into_iter().enumerate() {
        let (ours, host) = packets();
        let backend = Backend::new(Tap::from_fd(ours).unwrap());
        drop(host);
        drain(&backend);
        // From here on the descriptor is a living end, which has never told of anything.
        let (fresh, host) = packets();
        let number_of_ours = backend.as_fd().as_raw_fd();
        // SAFETY: takes numbers; what the backend's number refers to is closed, and nothing else is.
        let taken = unsafe { libc::dup2(fresh.as_raw_fd(), number_of_ours) };
        assert!(taken >= 0, "{}", io::Error::last_os_error());
        send_packet(host.as_raw_fd(), &pair::frame(60, 1), nix::sys::socket::MsgFlags::empty()).unwrap();
        assert!(matches!(receive(&backend), Err(ReceiveError::Gone)), "drain {number}");
        assert!(matches!(send(&backend), Err(TransmitError::Gone)), "drain {number}");
    }
}

/// Row O10.
#[test]
fn what_is_queued_comes_before_the_end() {
    let (backend, host) = pair::backend();
    host.send(&pair::frame(60, 1)).unwrap();
    drop(host);
    pair::wait_readable(&backend);
    assert_eq!(receive(&backend).unwrap(), Some(60));
}

/// A connected socket of a system that tells by the next call.
/// Row O5.
#[test]
fn a_peer_by_name_that_is_gone_is_found() {
    let path = std::env::temp_dir().join(format!("tap-plumb-{}-closed", std::process::id()));
    let host = UnixDatagram::bind(&path).unwrap();
    let ours = UnixDatagram::unbound().unwrap();
    ours.connect(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let backend = Backend::new(Tap::from_fd(ours.into()).unwrap());
    send(&backend).unwrap();
    drop(host);
    let error = send_until_refused(&backend);
    assert!(matches!(error, TransmitError::Gone), "{error:?}");
    pair::assert_adds_up(&backend);
}

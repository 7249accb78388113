//! What comes in: frames, and the end.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, send as send_packet, socketpair};
use tap_plumb::{Backend, Frame, LinkState, ReceiveError, Tap, TransmitError};

use crate::pair;

// What comes in is one frame a read, whole or not at all.

/// Rows F18, B14, S7.
#[test]
fn queued_frames_come_one_by_one_until_none_is_left() {
    let (backend, host) = pair::backend();
    for mark in 0..5 {
        host.send(&pair::frame(60 + usize::from(mark), mark)).unwrap();
    }
    let mut buffer = vec![0; backend.receive_buffer_len()];
    for mark in 0..5 {
        let received = pair::take(&backend, &mut [IoSliceMut::new(&mut buffer)]).unwrap().expect("a frame");
        assert_eq!(buffer[..received.len], pair::frame(60 + usize::from(mark), mark));
    }
    assert_eq!(backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap(), None);
    pair::assert_adds_up(&backend);
}

/// Rows B13 and S8.
#[test]
fn frame_longer_than_the_buffer_is_counted_and_never_delivered_cut() {
    let (backend, host) = pair::backend();
    for room in [60, 100, 1513] {
        host.send(&pair::frame(1514, 1)).unwrap();
        let result = pair::take(&backend, &mut [IoSliceMut::new(&mut vec![0; room])]);
        assert!(matches!(result, Err(ReceiveError::Truncated { room: r }) if r == room), "{result:?}");
    }
    assert_eq!(backend.statistics().receive.truncated, 3);
    pair::assert_adds_up(&backend);
}

/// Rows B13 and S8.
#[test]
fn buffer_of_the_advised_size_tells_a_frame_that_fills_it_from_a_longer_one() {
    let (backend, host) = pair::backend();
    let room = backend.receive_buffer_len();
    let mut truncated = 0;
    for parts in [1, 2] {
        let lengths = [(room - 1, true), (room, false), (room + 1000, false)];
        for (len, fits) in lengths.into_iter().filter(|(len, _)| pair::can_carry(*len)) {
            truncated += u64::from(!fits);
            host.send(&pair::frame(len, 1)).unwrap();
            let mut memory = vec![0; room];
            let mut slices: Vec<IoSliceMut<'_>> =
                memory.chunks_mut(room.div_ceil(parts)).map(IoSliceMut::new).collect();
            let result = pair::take(&backend, &mut slices);
            assert_eq!(
                result.is_ok_and(|received| received.is_some()),
                fits,
                "{len} bytes in {parts} slices"
            );
        }
    }
    assert_eq!(backend.statistics().receive.truncated, truncated);
    pair::assert_adds_up(&backend);
}

#[test]
fn frame_of_exactly_the_buffer_fits() {
    let (backend, host) = pair::backend();
    host.send(&pair::frame(1514, 1)).unwrap();
    let received = pair::take(&backend, &mut [IoSliceMut::new(&mut [0; 1514])]).unwrap().expect("a frame");
    assert_eq!(received.len, 1514);
}

#[test]
fn scattered_buffer_takes_one_frame() {
    let (backend, host) = pair::backend();
    let most = pair::most_slices();
    // With a byte to spare in the slices.
    for parts in [2, 18, 19, 30, 1000].into_iter().filter(|parts| *parts <= most) {
        let frame = pair::frame(1514, 4);
        host.send(&frame).unwrap();
        let mut memory = vec![0; 2000];
        let mut slices: Vec<IoSliceMut<'_>> =
            memory.chunks_mut(2000_usize.div_ceil(parts)).map(IoSliceMut::new).collect();
        assert_eq!(pair::take(&backend, &mut slices).unwrap().expect("a frame").len, 1514);
        assert_eq!(memory[..1514], frame);
    }
    host.send(&pair::frame(1514, 4)).unwrap();
    let mut memory = vec![0; 1000];
    // With a byte to spare behind them, in a slice more.
    let mut slices: Vec<IoSliceMut<'_>> =
        memory.chunks_mut(1000_usize.div_ceil(100.min(most - 1))).map(IoSliceMut::new).collect();
    assert!(matches!(pair::take(&backend, &mut slices), Err(ReceiveError::Truncated { room: 1000 })));
}

#[test]
fn runt_is_consumed_and_counted() {
    let (backend, host) = pair::backend();
    host.send(&[1; 13]).unwrap();
    let result = pair::take(&backend, &mut [IoSliceMut::new(&mut [0; 2000])]);
    assert!(matches!(result, Err(ReceiveError::Runt { len: 13 })), "{result:?}");
    // A room that it fills to the last byte.
    host.send(&[1; 13]).unwrap();
    let result = pair::take(&backend, &mut [IoSliceMut::new(&mut [0; 13])]);
    assert!(matches!(result, Err(ReceiveError::Runt { len: 13 })), "{result:?}");
    pair::assert_adds_up(&backend);
}

#[test]
fn too_many_slices_are_an_error_that_names_the_limit() {
    let (backend, host) = pair::backend();
    host.send(&pair::frame(60, 1)).unwrap();
    let mut memory = vec![0; 1100];
    let mut slices: Vec<IoSliceMut<'_>> = memory.chunks_mut(1).map(IoSliceMut::new).collect();
    let result = pair::take(&backend, &mut slices);
    assert!(
        matches!(result, Err(ReceiveError::TooManySlices { limit, .. }) if limit == pair::most_slices()),
        "{result:?}"
    );
    assert!(
        pair::take(&backend, &mut [IoSliceMut::new(&mut [0; 2000])]).unwrap().is_some(),
        "nothing was consumed"
    );
}

/// Row S1.
#[test]
fn queued_frames_can_be_dropped_and_are_counted_as_stale() {
    let (backend, host) = pair::backend();
    for _ in 0..9 {
        host.send(&pair::frame(1514, 1)).unwrap();
    }
    let mut dropped = 0;
    while dropped < 9 {
        pair::wait_readable(&backend);
        dropped += backend.discard_queued();
    }
    assert_eq!(dropped, 9);
    assert_eq!(backend.statistics().receive.stale, 9);
    pair::assert_adds_up(&backend);
}

// The host's end closes. Some systems tell an error of it once and then nothing for ever: it must not be forgotten.

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
#[expect(unsafe_code, reason = "dup2 of a number that the backend owns")]
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

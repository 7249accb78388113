//! Transmit sessions, and the buffers that they send.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tap_plumb::{Backend, Frame, TransmitError};

use crate::pair;

// At most one transmit session is open; who is turned away is owed a wake-up.

/// Row F1.
#[test]
fn second_session_is_refused_without_waiting() {
    let (backend, _host) = pair::backend();
    let first = backend.begin_transmit();
    assert!(first.is_some());
    let other = Arc::clone(&backend);
    let refused = std::thread::spawn(move || other.begin_transmit().is_none()).join().unwrap();
    assert!(refused);
    assert_eq!(backend.statistics().transmit.sessions_refused, 1);
}

/// Row F11.
#[test]
fn end_of_session_lets_the_next_one_begin() {
    let (backend, _host) = pair::backend();
    for _ in 0..3 {
        drop(backend.begin_transmit().expect("a session"));
    }
    assert_eq!(backend.statistics().transmit.sessions, 3);
}

/// Row B25.
#[test]
fn same_thread_cannot_nest_sessions() {
    let (backend, _host) = pair::backend();
    let _first = backend.begin_transmit().expect("a session");
    assert!(backend.begin_transmit().is_none());
    assert!(Arc::clone(&backend).begin_transmit_owned().is_none());
}

/// Row F12.
#[test]
fn owned_session_moves_between_threads_and_ends_once() {
    let (backend, host) = pair::backend();
    let mut session = Arc::clone(&backend).begin_transmit_owned().expect("a session");
    let frame = pair::frame(60, 7);
    let sent = frame.clone();
    std::thread::spawn(move || session.send(&Frame::new(&[IoSlice::new(&sent)])).unwrap()).join().unwrap();
    assert_eq!(pair::host_receive(&host), frame);
    assert!(backend.begin_transmit().is_some());
}

/// Row B12.
#[test]
fn who_is_turned_away_is_called_back_once_after_the_release() {
    let (backend, _host) = pair::backend();
    let calls = Arc::new(AtomicUsize::new(0));
    let (seen, inner) = (Arc::clone(&calls), Arc::downgrade(&backend));
    backend.on_transmit_ready(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        let backend = inner.upgrade().expect("the backend");
        assert!(backend.begin_transmit().is_some(), "no lock is held during the callback");
    });
    let session = backend.begin_transmit();
    assert!(backend.begin_transmit().is_none());
    assert!(backend.begin_transmit().is_none());
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    drop(session);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    drop(backend.begin_transmit());
    assert_eq!(calls.load(Ordering::SeqCst), 1, "nobody was turned away this time");
}

/// Row B12.
#[test]
fn no_wake_up_is_lost_between_racing_threads() {
    let (backend, _host) = pair::backend();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    backend.on_transmit_ready(move || {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    let tries = |backend: &Backend| {
        let mut refused = false;
        for _ in 0..20_000 {
            refused |= backend.begin_transmit().is_none();
        }
        refused
    };
    let other = Arc::clone(&backend);
    let thread = std::thread::spawn(move || tries(&other));
    let refused = tries(&backend) | thread.join().unwrap();
    assert_eq!(refused, calls.load(Ordering::SeqCst) > 0);
    let all = backend.statistics().transmit;
    assert_eq!(all.sessions + all.sessions_refused, 40_000);
}

// Buffers for devices that build their frames.

/// Row F2.
#[test]
fn buffer_has_at_least_the_length_asked_for_and_is_initialised() {
    let (backend, _host) = pair::backend();
    let mut session = backend.begin_transmit().unwrap();
    for len in [0, 1, 60, 1514, 2048, 2049, 65557] {
        let buffer = session.allocate(len).unwrap();
        assert_eq!(buffer.len(), len);
        assert!(buffer.available() >= len);
        assert!(buffer.iter().all(|byte| *byte == 0), "new memory is zero");
    }
}

/// Rows F4 and B10.
#[test]
fn absurd_length_is_an_error() {
    let (backend, _host) = pair::backend();
    let mut session = backend.begin_transmit().unwrap();
    for len in [65598, usize::MAX - 15, usize::MAX] {
        assert!(matches!(session.allocate(len), Err(TransmitError::Oversize { limit: 65597, .. })));
    }
}

/// Row F5.
#[test]
fn buffer_may_be_dropped_unsent_and_is_used_again() {
    let (backend, _host) = pair::backend();
    let mut session = backend.begin_transmit().unwrap();
    let first = session.allocate(1000).unwrap();
    let address = first.as_ptr();
    drop(first);
    assert_eq!(session.allocate(1500).unwrap().as_ptr(), address);
}

/// Row B9.
#[test]
fn use_beyond_what_is_available_is_an_error() {
    let (backend, host) = pair::backend();
    let mut session = backend.begin_transmit().unwrap();
    let mut buffer = session.allocate(100).unwrap();
    let available = buffer.available();
    assert!(matches!(buffer.set_used(available + 1), Err(TransmitError::Oversize { .. })));
    buffer.set_used(60).unwrap();
    buffer.fill(5);
    session.send_buffer(buffer, None).unwrap();
    assert_eq!(pair::host_receive(&host), [5; 60]);
}

/// Row F9.
#[test]
fn buffer_is_consumed_whatever_the_outcome() {
    let (backend, _host) = pair::backend();
    let mut session = backend.begin_transmit().unwrap();
    let runt = session.allocate(5).unwrap();
    let address = runt.as_ptr();
    assert!(session.send_buffer(runt, None).is_err());
    assert_eq!(session.allocate(5).unwrap().as_ptr(), address, "it went back to the pool");
}

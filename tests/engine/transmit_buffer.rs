//! Buffers for devices that build their frames.

use crate::pair;
use tap_plumb::TransmitError;

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

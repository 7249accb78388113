//! A datagram socket pair is a TAP: one datagram a frame, and the test holds the host's end.

use std::io::IoSliceMut;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tap_plumb::{Backend, ReceiveError, Received, Tap};

pub(crate) use crate::datagrams::{can_carry, drain, most_slices, wait_readable, wait_writable};

/// A backend, and the host's end of its wire.
pub(crate) fn backend() -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().expect("a socket pair");
    host.set_read_timeout(Some(Duration::from_secs(5))).expect("a time limit");
    let tap = Tap::from_fd(ours.into()).expect("a datagram socket is a TAP");
    (Arc::new(Backend::new(tap)), host)
}

/// A frame of `len` bytes with an Ethernet header and `mark` in every byte behind it.
pub(crate) fn frame(len: usize, mark: u8) -> Vec<u8> {
    let mut frame = vec![mark; len];
    frame[..12].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    frame
}

/// Takes one frame on the host's side.
pub(crate) fn host_receive(host: &UnixDatagram) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    // Not every system looks at a socket's own time limit.
    wait_readable(host);
    let len = host.recv(&mut buffer).expect("a frame within 5 s");
    buffer.truncate(len);
    buffer
}

/// Takes a frame that the host has sent, and which may still be on its way.
pub(crate) fn take(
    backend: &Backend,
    slices: &mut [IoSliceMut<'_>],
) -> Result<Option<Received>, ReceiveError> {
    wait_readable(backend);
    backend.receive(slices)
}

/// Waits until `condition` holds; panics after 5 s.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "waited 5 s for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every frame that was offered or taken is accounted for.
pub(crate) fn assert_adds_up(backend: &Backend) {
    let all = backend.statistics();
    assert_eq!(all.transmit.frames_offered, all.transmit.frames_sent + all.transmit.dropped(), "{all:?}");
    assert_eq!(all.receive.frames_received, all.receive.frames_delivered + all.receive.dropped(), "{all:?}");
}

//! What goes out is one write of exactly the frame; what cannot go out is refused, dropped and counted.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pair;
use tap_plumb::{Backend, Checksum, Frame, LinkState, RejectReason, TransmitError};

fn send(backend: &Arc<Backend>, bytes: &[u8]) -> Result<(), TransmitError> {
    backend.begin_transmit().expect("a session").send(&Frame::new(&[IoSlice::new(bytes)]))
}

/// Row F6.
#[test]
fn frame_goes_out_in_one_write_of_exactly_its_bytes() {
    let (backend, host) = pair::backend();
    for len in [14, 60, 1514, 9014, 65535] {
        let frame = pair::frame(len, 3);
        send(&backend, &frame).unwrap();
        assert_eq!(pair::host_receive(&host), frame);
    }
    pair::assert_adds_up(&backend);
}

/// Row F6.
#[test]
fn scattered_frame_is_one_frame() {
    let (backend, host) = pair::backend();
    let frame = pair::frame(1514, 9);
    let counts = [2, 3, 16, 19, 20, 21, 200, 1000].into_iter().filter(|parts| *parts <= pair::most_slices());
    let mut sent = 0;
    for parts in counts {
        sent += 1514;
        let slices: Vec<IoSlice<'_>> = frame.chunks(frame.len().div_ceil(parts)).map(IoSlice::new).collect();
        backend.begin_transmit().unwrap().send(&Frame::new(&slices)).unwrap();
        assert_eq!(pair::host_receive(&host), frame);
    }
    assert_eq!(backend.statistics().transmit.bytes_sent, sent);
}

/// Row B10.
#[test]
fn runt_and_oversize_are_refused_before_the_kernel_is_asked() {
    let (backend, host) = pair::backend();
    assert!(matches!(send(&backend, &[0; 13]), Err(TransmitError::Runt { len: 13, limit: 14 })));
    assert!(matches!(send(&backend, &[]), Err(TransmitError::Runt { len: 0, .. })));
    let long = vec![0; 40 + 65535 + 14 + 8 + 1];
    assert!(matches!(send(&backend, &long), Err(TransmitError::Oversize { len: 65598, limit: 65597 })));
    host.set_nonblocking(true).unwrap();
    assert_eq!(host.recv(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let all = backend.statistics().transmit;
    assert_eq!((all.runt, all.oversize, all.frames_sent), (2, 1, 0));
    pair::assert_adds_up(&backend);
}

#[test]
fn too_many_slices_are_an_error_that_names_the_limit() {
    let (backend, _host) = pair::backend();
    let limit = pair::most_slices();
    // The second is too long besides.
    for slice in [&[1; 14][..], &[1; 100]] {
        let slices = vec![IoSlice::new(slice); limit + 1];
        let result = backend.begin_transmit().unwrap().send(&Frame::new(&slices));
        assert!(
            matches!(result, Err(TransmitError::TooManySlices { slices, limit: told }) if (slices, told) == (limit + 1, limit)),
            "{result:?}"
        );
    }
    assert_eq!(backend.statistics().transmit.too_many_slices, 2);
}

/// Sends until the host's queue is full.
fn fill(backend: &Arc<Backend>) -> (u64, TransmitError) {
    let frame = pair::frame(60, 1);
    for count in 0.. {
        if let Err(error) = send(backend, &frame) {
            return (count, error);
        }
    }
    unreachable!("the queue of a socket is finite")
}

/// Rows F10, B5, B6.
#[test]
fn full_device_is_would_block_and_consumes_nothing() {
    let (backend, host) = pair::backend();
    let (count, error) = fill(&backend);
    assert!(matches!(error, TransmitError::WouldBlock { sent: 0 }), "{error:?}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::WouldBlock);
    pair::drain(&host, count);
    pair::wait_writable(&backend);
    send(&backend, &pair::frame(60, 2)).expect("room again");
    let all = backend.statistics().transmit;
    assert_eq!((all.frames_sent, all.would_block), (count + 1, 1));
    pair::assert_adds_up(&backend);
}

/// Row B11.
#[test]
fn counters_count_what_happened() {
    let (backend, host) = pair::backend();
    send(&backend, &pair::frame(60, 0)).unwrap();
    drop(host);
    // Some systems tell of the closed end by the call after.
    let error = (0..100).find_map(|_| send(&backend, &pair::frame(60, 0)).err()).expect("an error");
    let all = backend.statistics().transmit;
    let sent = all.frames_offered - 1;
    assert!(sent >= 1, "{error:?}");
    assert_eq!((all.frames_sent, all.bytes_sent, all.segments_sent), (sent, 60 * sent, sent), "{error:?}");
    assert_eq!(all.dropped(), 1);
    pair::assert_adds_up(&backend);
}

/// Rows F14 and S2.
#[test]
fn link_down_drops_and_counts_in_both_ways() {
    let (backend, host) = pair::backend();
    for _ in 0..2 {
        backend.set_link_state(LinkState::Down);
        assert!(matches!(send(&backend, &pair::frame(60, 0)), Err(TransmitError::LinkDown)));
        host.send(&pair::frame(60, 0)).unwrap();
        let mut buffer = [0; 2000];
        assert_eq!(pair::take(&backend, &mut [io::IoSliceMut::new(&mut buffer)]).unwrap(), None);
    }
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_readable(&backend);
    backend.set_link_state(LinkState::Up);
    send(&backend, &pair::frame(60, 0)).unwrap();
    let all = backend.statistics();
    assert_eq!((all.transmit.link_down, all.receive.link_down, all.transmit.frames_sent), (2, 3, 1));
    pair::assert_adds_up(&backend);
}

/// Row F13.
#[test]
fn promiscuous_mode_is_accepted_and_may_repeat() {
    let (backend, _host) = pair::backend();
    for on in [true, true, false, false] {
        backend.set_promiscuous(on);
    }
}

/// A datagram that long is Linux' own.
#[cfg(target_os = "linux")]
#[test]
fn the_longest_frame_may_leave_its_checksum_to_be_done() {
    let (backend, host) = pair::backend();
    let bytes = vec![1; 65597];
    let slices = [IoSlice::new(&bytes)];
    let frame = Frame::new(&slices).checksum(Checksum::Partial { start: 34, offset: 6 });
    backend.begin_transmit().unwrap().send(&frame).unwrap();
    assert_eq!(pair::host_receive(&host).len(), bytes.len());
    pair::assert_adds_up(&backend);
}

#[test]
fn a_frame_that_is_too_long_is_refused_before_its_checksum_is_summed() {
    let (backend, _host) = pair::backend();
    let memory = vec![1; 16 << 20];
    // As a guest's descriptors may all name the same memory.
    let slices = vec![IoSlice::new(&memory); pair::most_slices() - 4];
    let frame = Frame::new(&slices).checksum(Checksum::Partial { start: 34, offset: 6 });
    let start = Instant::now();
    let result = backend.begin_transmit().unwrap().send(&frame);
    let took = start.elapsed();
    assert!(
        matches!(result, Err(TransmitError::Oversize { .. } | TransmitError::TooManySlices { .. })),
        "{result:?}"
    );
    assert!(took < Duration::from_millis(200), "{took:?}");
    let far = Frame::new(&slices).checksum(Checksum::Partial { start: 33, offset: 6 });
    let result = backend.begin_transmit().unwrap().send(&far);
    assert!(matches!(result, Err(TransmitError::Rejected(RejectReason::ChecksumRange))), "{result:?}");
    pair::assert_adds_up(&backend);
}

//! Whatever the form of the call, and whether its time is measured or not, the host is given the same bytes.

// UNSAFETY: the raw forms are tested beside the others.
#![expect(unsafe_code, reason = "the raw form of send")]

use std::io::{IoSlice, IoSliceMut};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tap_plumb::{
    Backend, Checksum, Config, Frame, LinkState, Offload, RawSlice, TransmitError, TransmitStatistics,
};

use crate::pair;
use crate::segments::oversized;

/// A backend whose host takes a virtio-net header, where `offload` has one, and does the work it asks for.
fn backend(offload: Offload) -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    let tap = Config::new().inherited(ours.into()).offload(offload).attach().unwrap();
    (Arc::new(Backend::new(tap)), host)
}

/// Cut at `place`, and what follows into `parts`.
fn cut(bytes: &[u8], place: usize, parts: usize) -> Vec<IoSlice<'_>> {
    let (front, back) = bytes.split_at(place);
    let (piece, rest) = (back.len() / parts, back.len() % parts);
    let (longer, equal) = back.split_at(rest + piece);
    let pieces = [front, longer].into_iter().chain(equal.chunks(piece.max(1)));
    pieces.map(IoSlice::new).collect()
}

fn raw(slices: &[IoSlice<'_>]) -> Vec<RawSlice> {
    slices.iter().map(|slice| RawSlice::new(slice.as_ptr().cast_mut(), slice.len())).collect()
}

/// Sends it in every form there is, scattered over `parts` slices behind `place`.
fn send_all_forms(backend: &Backend, header: &[u8], frame: &[u8], place: usize, parts: usize) -> usize {
    let whole = [header, frame].concat();
    let (with_header, bare) = (cut(&whole, place, parts), cut(frame, place, parts));
    assert_eq!((with_header.len(), bare.len()), (1 + parts, 1 + parts));
    let described = Frame::from_virtio(header, &bare).unwrap();
    let (gso, checksum) = match (header[1], header[0]) {
        (1, _) => (Some(oversized().1), Checksum::Partial { start: 34, offset: 16 }),
        (_, 1) => (None, Checksum::Partial { start: 34, offset: 16 }),
        _ => (None, Checksum::Complete),
    };
    let mut session = backend.begin_transmit().unwrap();
    session.send(&described).unwrap();
    session.send_with_header(&with_header, header.len()).unwrap();
    // SAFETY: the slices lie in `frame`, which is borrowed until the end and not written to.
    unsafe { session.send_raw(&raw(&bare), gso, checksum) }.unwrap();
    // SAFETY: the slices lie in `whole`, which lives until the end and is not written to.
    unsafe { session.send_raw_with_header(&raw(&with_header), header.len()) }.unwrap();
    4
}

/// What the backend has sent.
fn received(backend: &Backend, host: &UnixDatagram) -> Vec<Vec<u8>> {
    pair::drain(host, backend.statistics().transmit.segments_sent)
}

/// What the host got, and what was counted.
fn outcome(
    offload: Offload,
    measured: bool,
    header: &[u8],
    frame: &[u8],
    place: usize,
    parts: usize,
) -> (Vec<Vec<u8>>, TransmitStatistics) {
    let (backend, host) = backend(offload);
    backend.measure_time(measured);
    let sent = send_all_forms(&backend, header, frame, place, parts);
    let (frames, counted) = (received(&backend, &host), backend.statistics().transmit);
    let each = frames.len() / sent;
    assert!(frames.chunks(each).all(|form| form == &frames[..each]), "each form gives the same");
    assert_eq!(counted.frames_sent, sent as u64);
    assert_eq!(backend.statistics().transmit_time.is_zero(), !measured);
    pair::assert_adds_up(&backend);
    (frames, counted)
}

const CUT: [u8; 12] = [1, 1, 0xff, 0, 0xe8, 3, 34, 0, 16, 0, 1, 0];
const COMPLETE: [u8; 12] = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0];
const NOTHING: [u8; 12] = [0; 12];

#[test]
fn all_forms_give_the_host_the_same_bytes() {
    let (frame, _) = oversized();
    for offload in [Offload::ALL, Offload::NONE] {
        for (header, len) in [(CUT, frame.len()), (COMPLETE, frame.len()), (NOTHING, 400)] {
            for header_len in [12, 10] {
                for place in [0, 5, 12, 20, 54, 66, 300] {
                    // With a slice in front of them, and one for the header.
                    let most = pair::most_slices() - 2;
                    for parts in [1, 2, 3, 18, 19, 20, 40].into_iter().filter(|parts| *parts <= most) {
                        let [one, other] = [false, true].map(|measured| {
                            outcome(offload, measured, &header[..header_len], &frame[..len], place, parts)
                        });
                        assert!(one == other, "{offload:?} {header:?} {header_len} {place} {parts}");
                    }
                }
            }
        }
    }
}

/// Row B3.
#[test]
fn one_frame_for_the_host_and_segments_without_it() {
    let (frame, _) = oversized();
    let (whole, _) = outcome(Offload::ALL, false, &CUT, &frame, 54, 1);
    assert_eq!(whole.len(), 4);
    assert!(whole.iter().all(|write| write[..2] == [1, 1] && write.len() == 12 + frame.len()));
    let (segments, counted) = outcome(Offload::NONE, false, &CUT, &frame, 54, 1);
    assert_eq!((segments.len(), counted.segments_sent), (16, 16));
    for (offload, header_len) in [(Offload::ALL, 12), (Offload::NONE, 0)] {
        let (backend, host) = backend(offload);
        backend.use_host_offload(false);
        send_all_forms(&backend, &CUT, &frame, 54, 1);
        let all = received(&backend, &host);
        let all = all.iter().map(|segment| &segment[header_len..]);
        assert!(all.eq(segments.iter().map(|segment| &segment[..])), "{offload:?}");
    }
}

#[test]
fn a_link_that_is_down_stops_every_frame_measured_or_not() {
    for (offload, measured) in [Offload::ALL, Offload::NONE].map(|all| [(all, false), (all, true)]).concat() {
        let (backend, host) = backend(offload);
        backend.measure_time(measured);
        backend.set_link_state(LinkState::Down);
        let frame = pair::frame(60, 1);
        let result = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]));
        assert!(matches!(result, Err(TransmitError::LinkDown)), "{result:?}");
        assert!(received(&backend, &host).is_empty());
        host.send(&frame).unwrap();
        let taken = pair::take(&backend, &mut [IoSliceMut::new(&mut vec![0; 70_000])]).unwrap();
        assert_eq!((taken, backend.statistics().receive.link_down), (None, 1));
    }
}

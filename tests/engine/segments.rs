//! Oversized frames through the engine: one write a segment, in order, resumable.

use std::io::IoSlice;

use tap_plumb::{Frame, Gso, GsoKind, RejectReason, TransmitError};

use crate::pair;

const PAYLOAD: usize = 4000;
const SIZE: u16 = 1000;

/// TCP over IPv4, in a frame that passes the validator.
pub(crate) fn oversized() -> (Vec<u8>, Gso) {
    let mut frame: Vec<u8> = (0..54 + PAYLOAD).map(|at| at as u8).collect();
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    let total = u16::try_from(40 + PAYLOAD).unwrap().to_be_bytes();
    frame[14..34]
        .copy_from_slice(&[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame[34..54].copy_from_slice(&[0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    let gso = Gso {
        kind: GsoKind::Tcp4,
        header_len: 54,
        segment_size: SIZE,
        network_offset: 14,
        transport_offset: 34,
    };
    (frame, gso)
}

/// Rows F3 and F7.
#[test]
fn buffer_with_a_context_goes_out_as_segments() {
    let (backend, host) = pair::backend();
    let (frame, gso) = oversized();
    let mut session = backend.begin_transmit().unwrap();
    let mut buffer = session.allocate(frame.len()).unwrap();
    buffer.copy_from_slice(&frame);
    session.send_buffer(buffer, Some(gso)).unwrap();
    for index in 0..4 {
        let segment = pair::host_receive(&host);
        let at = 54 + index * usize::from(SIZE);
        assert_eq!(segment[54..], frame[at..at + usize::from(SIZE)]);
    }
}

/// Row F44.
#[test]
fn oversized_frame_is_one_frame_and_as_many_segments_as_went_out() {
    let (backend, _host) = pair::backend();
    let (frame, gso) = oversized();
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]).gso(gso)).unwrap();
    let all = backend.statistics().transmit;
    assert_eq!((all.frames_offered, all.frames_sent, all.segments_sent), (1, 1, 4));
    assert_eq!(all.bytes_sent, frame.len() as u64);
    pair::assert_adds_up(&backend);
}

/// Rows F8 and B7.
#[test]
fn train_stops_at_the_first_refusal_and_the_rest_can_be_resumed() {
    let (backend, host) = pair::backend();
    let (frame, gso) = oversized();
    let slices = [IoSlice::new(&frame)];
    let frame = Frame::new(&slices).gso(gso);
    let mut session = backend.begin_transmit().unwrap();
    // Whole trains until the queue is full in the middle of one.
    let mut taken = 0;
    let sent = loop {
        match session.send(&frame) {
            Ok(()) => {}
            Err(TransmitError::WouldBlock { sent: 0 }) => {
                pair::host_receive(&host);
                taken += 1;
            }
            Err(TransmitError::WouldBlock { sent }) => break sent,
            Err(error) => panic!("{error}"),
        }
    };
    assert!((1..4).contains(&sent));
    let before = backend.statistics().transmit.segments_sent;
    let last = pair::drain(&host, before - taken).pop().unwrap();
    assert_eq!(sequence(&last), 1 + (sent - 1) * u32::from(SIZE));
    pair::wait_writable(&backend);
    session.resume(&frame, sent).unwrap();
    assert_eq!(backend.statistics().transmit.segments_sent, before + u64::from(4 - sent));
    for (segment, index) in pair::drain(&host, (4 - sent).into()).iter().zip(sent..4) {
        assert_eq!(sequence(segment), 1 + index * u32::from(SIZE));
    }
    drop(session);
    pair::assert_adds_up(&backend);
}

fn sequence(segment: &[u8]) -> u32 {
    u32::from_be_bytes(segment[38..42].try_into().unwrap())
}

/// Row B1.
#[test]
fn context_that_contradicts_the_frame_is_counted_by_reason() {
    let (backend, _host) = pair::backend();
    let (frame, gso) = oversized();
    let wrong = Gso { transport_offset: 38, header_len: 58, ..gso };
    let result = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]).gso(wrong));
    let Err(TransmitError::Rejected(reason)) = result else { panic!("{result:?}") };
    assert_eq!(backend.statistics().rejected_for(reason), 1);
    assert_eq!(backend.statistics().rejected_for(RejectReason::UnknownKind), 0);
    assert_eq!(backend.statistics().transmit.rejected, 1);
    pair::assert_adds_up(&backend);
}

/// Row B16.
#[test]
fn frame_with_a_virtio_header_of_its_own_is_validated_and_segmented() {
    let (backend, host) = pair::backend();
    let (frame, _) = oversized();
    // NEEDS_CSUM, TCPV4, header length (a hint, wrong here), 1000, start 34, offset 16, one buffer.
    let header = [1, 1, 0xff, 0, 0xe8, 3, 34, 0, 16, 0, 1, 0];
    for (header_len, cut) in [(12, 0), (10, 0), (12, 5), (12, 20)] {
        let whole: Vec<u8> = header[..header_len].iter().chain(&frame).copied().collect();
        // The header alone, the header cut in two, and the header in one slice with the frame's first bytes.
        let (front, back) = whole.split_at(if cut == 0 { header_len } else { cut });
        let slices = [IoSlice::new(front), IoSlice::new(back)];
        backend.begin_transmit().unwrap().send_with_header(&slices, header_len).unwrap();
        for index in 0..4 {
            assert_eq!(
                sequence(&pair::host_receive(&host)),
                1 + index * u32::from(SIZE),
                "{header_len} {cut}"
            );
        }
    }
    let short = backend.begin_transmit().unwrap().send_with_header(&[IoSlice::new(&header[..9])], 12);
    assert!(matches!(short, Err(TransmitError::Rejected(RejectReason::ShortVirtioHeader))), "{short:?}");
    pair::assert_adds_up(&backend);
}

/// What hypervisors call whose guest memory must not become a Rust reference.
mod raw {
    // UNSAFETY: the raw form is what is tested.
    #![expect(unsafe_code, reason = "the raw form of send and receive")]

    use tap_plumb::{Checksum, RawSlice};

    use super::{oversized, pair, sequence};

    /// Row B1.
    #[test]
    fn raw_frames_go_out_and_come_in_like_borrowed_ones() {
        let (backend, host) = pair::backend();
        let (mut frame, gso) = oversized();
        let start = frame.as_mut_ptr();
        let slices = [RawSlice::new(start, 40), RawSlice::new(start.wrapping_add(40), frame.len() - 40)];
        let mut session = backend.begin_transmit().unwrap();
        // SAFETY: both slices lie in `frame`, which lives until the end and is not touched during the call.
        unsafe { session.send_raw(&slices, Some(gso), Checksum::Complete) }.unwrap();
        for index in 0..4 {
            assert_eq!(sequence(&pair::host_receive(&host)), 1 + index * 1000);
        }
        host.send(&pair::frame(1000, 9)).unwrap();
        pair::wait_readable(&backend);
        // SAFETY: as above; the call may write to it.
        let received = unsafe { backend.receive_raw(&slices) }.unwrap().expect("a frame");
        assert_eq!(received.len, 1000);
        assert_eq!(frame[..1000], pair::frame(1000, 9));
        host.send(&pair::frame(4060, 9)).unwrap();
        pair::wait_readable(&backend);
        // SAFETY: as above.
        let result = unsafe { backend.receive_raw(&slices) };
        assert!(matches!(result, Err(tap_plumb::ReceiveError::Truncated { room: 4054 })), "{result:?}");
        // With more room than any frame needs the slices go to the kernel as they are.
        let mut large = vec![0_u8; 70_000];
        let start = large.as_mut_ptr();
        let slices = [RawSlice::new(start, 100), RawSlice::new(start.wrapping_add(100), 69_900)];
        host.send(&pair::frame(4060, 9)).unwrap();
        pair::wait_readable(&backend);
        // SAFETY: as above, with `large` in the place of `frame`.
        let received = unsafe { backend.receive_raw(&slices) }.unwrap().expect("a frame");
        assert_eq!(received.len, 4060);
        assert_eq!(large[..4060], pair::frame(4060, 9));
        pair::assert_adds_up(&backend);
    }
}

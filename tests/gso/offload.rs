//! What a host that cuts and completes by itself is given, and the feature bits that say so.

use std::convert::Infallible;
use std::io::IoSlice;

use tap_plumb::{CarveError, Checksum, Completion, Frame, Gso, GsoKind, Offload, RejectReason};

use crate::check::assert_train_right;
use crate::frames::{Recipe, keep};

// What a host that cuts and completes by itself is given: one write with the right virtio-net header, or segments.

fn writes(frame: &Frame<'_>, header_len: usize) -> Vec<Vec<u8>> {
    let mut writes = Vec::new();
    let count = frame.offload(header_len, 0, keep(&mut writes)).unwrap();
    assert_eq!(count as usize, writes.len());
    writes
}

fn offloaded(recipe: &Recipe) -> Vec<Vec<u8>> {
    let (bytes, gso) = recipe.build();
    writes(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso), 12)
}

/// Row B3.
#[test]
fn one_write_asks_the_host_to_cut() {
    let table = [
        (
            Recipe { tcp_options: 12, ..Recipe::plain(GsoKind::Tcp4, 3000, 1448) },
            [1, 1, 66, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0],
        ),
        (
            Recipe { tags: vec![0x8100], ..Recipe::plain(GsoKind::Tcp6, 3000, 1000) },
            [1, 4, 78, 0, 0xe8, 3, 58, 0, 16, 0, 0, 0],
        ),
        (
            Recipe { tcp_flags: 0x90, ..Recipe::plain(GsoKind::Tcp4, 3000, 1448) },
            [1, 0x81, 54, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0],
        ),
        (Recipe::plain(GsoKind::Udp4Datagrams, 3000, 1448), [1, 5, 42, 0, 0xa8, 5, 34, 0, 6, 0, 0, 0]),
        (Recipe::plain(GsoKind::Udp6Datagrams, 3000, 1448), [1, 5, 62, 0, 0xa8, 5, 54, 0, 6, 0, 0, 0]),
        (
            Recipe { tcp_flags: 0x90, ..Recipe::plain(GsoKind::Tcp4, 300, 300) },
            [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0],
        ),
        (Recipe::plain(GsoKind::Udp4Fragments, 64, 72), [1, 0, 0, 0, 0, 0, 34, 0, 6, 0, 0, 0]),
    ];
    for (recipe, header) in table {
        let [write] = &offloaded(&recipe)[..] else { panic!("more than one write for {recipe:?}") };
        assert_eq!(write[..12], header, "{recipe:?}");
        let (bytes, gso) = recipe.build();
        let mut pseudo = Vec::new();
        let slices = [IoSlice::new(&bytes)];
        Frame::new(&slices).gso(gso).complete(Completion::Pseudo, keep(&mut pseudo)).unwrap();
        assert!(write[12..] == pseudo[0], "the frame with lengths and the pseudo sum put right");
    }
}

/// Row B16.
#[test]
fn a_header_that_was_written_reads_the_same() {
    for kind in [GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp4Datagrams, GsoKind::Udp6Datagrams] {
        let write = offloaded(&Recipe { tcp_flags: 0x90, ..Recipe::plain(kind, 5000, 1448) }).concat();
        let (header, bytes) = write.split_at(12);
        let slices = [IoSlice::new(bytes)];
        let frame = Frame::from_virtio(header, &slices).unwrap();
        assert_eq!(writes(&frame, 12), [&write[..]], "{kind:?}");
    }
    let bytes = [0; 400];
    let slices = [IoSlice::new(&bytes)];
    let header = [1, 0, 0, 0, 0, 0, 0x01, 0x01, 0x20, 0, 0, 0];
    let frame = Frame::from_virtio(&header, &slices).unwrap();
    assert_eq!(writes(&frame, 12)[0][..12], header);
}

/// Row B3.
#[test]
fn ten_byte_headers_are_the_same_without_the_tail() {
    let (bytes, gso) = Recipe::plain(GsoKind::Tcp4, 3000, 1448).build();
    let slices = [IoSlice::new(&bytes)];
    let frame = Frame::new(&slices).gso(gso);
    let (long, short) = (writes(&frame, 12), writes(&frame, 10));
    assert!(long[0][..10] == short[0][..10] && long[0][12..] == short[0][10..]);
    for len in [0, 9, 11, 13, 24] {
        let refused = frame.offload(len, 0, |_| Ok::<(), Infallible>(()));
        assert_eq!(refused, Err(CarveError::Rejected(RejectReason::ShortVirtioHeader)));
    }
}

/// Row B3.
#[test]
fn what_the_host_has_no_form_for_is_cut_here() {
    for (kind, payload, size, count) in [
        (GsoKind::Udp4Fragments, 500, 104, 5),
        (GsoKind::Tcp6In4, 500, 100, 5),
        (GsoKind::Udp6In4, 500, 100, 5),
        (GsoKind::Udp4Datagrams, 129, 1, 129),
        (GsoKind::Udp6Datagrams, 129, 1, 129),
    ] {
        let (bytes, gso) = Recipe::plain(kind, payload, size).build();
        let writes = writes(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso), 12);
        assert_eq!(writes.len(), count, "{kind:?}");
        assert!(writes.iter().all(|write| write[..12] == [0; 12]));
        let segments: Vec<Vec<u8>> = writes.iter().map(|write| write[12..].to_vec()).collect();
        assert_train_right(&bytes, &gso, &segments);
    }
    assert_eq!(
        offloaded(&Recipe::plain(GsoKind::Udp4Datagrams, 128, 1)).len(),
        1,
        "128 is as many as Linux takes"
    );
}

#[test]
fn a_frame_left_whole_goes_behind_a_header() {
    let bytes: Vec<u8> = (0..100).collect();
    let slices: Vec<IoSlice<'_>> = bytes.chunks(7).map(IoSlice::new).collect();
    let plain = Frame::new(&slices);
    assert_eq!(plain.total_len(), 100);
    assert_eq!(writes(&plain, 12), [[&[0; 12], &bytes[..]].concat()]);
    assert_eq!(writes(&plain, 10), [[&[0; 10], &bytes[..]].concat()]);
    let partial = plain.checksum(Checksum::Partial { start: 40, offset: 300 - 256 });
    assert_eq!(writes(&partial, 12), [[&[1, 0, 0, 0, 0, 0, 40, 0, 44, 0, 0, 0], &bytes[..]].concat()]);
    let outside = plain.checksum(Checksum::Partial { start: 40, offset: 59 });
    let refused = outside.offload(12, 0, |_| Ok::<(), Infallible>(()));
    assert_eq!(refused, Err(CarveError::Rejected(RejectReason::ChecksumRange)));
}

#[test]
fn a_frame_of_one_write_has_nothing_to_resume() {
    let bytes = [7; 100];
    let slices = [IoSlice::new(&bytes)];
    let gone = |_: &[IoSlice<'_>]| -> Result<(), Infallible> { panic!("written twice") };
    assert_eq!(Frame::new(&slices).carve(1, gone), Ok(1));
    assert_eq!(
        Frame::new(&slices).checksum(Checksum::Partial { start: 34, offset: 16 }).carve(1, gone),
        Ok(1)
    );
    let (bytes, gso) = Recipe::plain(GsoKind::Tcp4, 3000, 1448).build();
    let slices = [IoSlice::new(&bytes)];
    assert_eq!(Frame::new(&slices).gso(gso).carve(3, gone), Ok(3));
    assert_eq!(Frame::new(&slices).gso(gso).carve(u32::MAX, gone), Ok(3));
}

/// Row B7.
#[test]
fn a_train_begun_in_segments_ends_in_segments() {
    let (bytes, gso) = Recipe::plain(GsoKind::Tcp4, 3000, 1448).build();
    let slices = [IoSlice::new(&bytes)];
    let frame = Frame::new(&slices).gso(gso);
    let (mut all, mut rest) = (Vec::new(), Vec::new());
    frame.carve(0, keep(&mut all)).unwrap();
    assert_eq!(frame.offload(12, 1, keep(&mut rest)), Ok(3));
    let expected: Vec<Vec<u8>> = all[1..].iter().map(|segment| [&[0; 12], &segment[..]].concat()).collect();
    assert_eq!(rest, expected);
}

#[test]
fn segments_over_many_slices_are_built_and_over_too_many_are_an_error() {
    let (bytes, gso) = Recipe::plain(GsoKind::Tcp4, 5000, 2500).build();
    let (headers, payload) = bytes.split_at(54);
    let carve = |slices: &[IoSlice<'_>], gso: Gso| {
        let mut segments = Vec::new();
        let outcome = Frame::new(slices).gso(gso).carve(0, keep(&mut segments));
        (outcome, segments)
    };
    let scattered = |len: usize| -> Vec<IoSlice<'_>> {
        let (first, second) = payload.split_at(2500);
        let many = second.chunks(len).map(IoSlice::new);
        [IoSlice::new(headers), IoSlice::new(first)].into_iter().chain(many).collect()
    };
    let (_, whole) = carve(&[IoSlice::new(&bytes)], gso);
    // 15, 16, 17 and 18 slices in the frame: both sides of the room on the hot path. 1023 is the most beside the headers.
    for len in [2500_usize.div_ceil(13), 2500_usize.div_ceil(14), 2500_usize.div_ceil(15), 157, 149, 100, 3] {
        assert_eq!(carve(&scattered(len), gso), (Ok(2), whole.clone()), "{len}");
    }
    let (outcome, segments) = carve(&scattered(1), gso);
    // Pairs of bytes, and all that is left in the last slice: the most that one write takes, and one slice more.
    let of_count = |count: usize| -> Vec<IoSlice<'_>> {
        let (first, second) = payload.split_at(2500);
        let (pairs, rest) = second.split_at(2 * (count - 1));
        let many = pairs.chunks(2).map(IoSlice::new).chain([IoSlice::new(rest)]);
        [IoSlice::new(headers), IoSlice::new(first)].into_iter().chain(many).collect()
    };
    assert_eq!(carve(&of_count(1023), gso), (Ok(2), whole.clone()));
    let one_more = Err(CarveError::TooManySlices { sent: 1, slices: 1025, limit: 1024 });
    assert_eq!(carve(&of_count(1024), gso).0, one_more);
    assert_eq!(outcome, Err(CarveError::TooManySlices { sent: 1, slices: 2501, limit: 1024 }));
    assert_eq!(segments, whole[..1]);
}

// Feature bits of a virtio network device and offloads, both ways.

const CSUM: u64 = 1;
const GUEST_CSUM: u64 = 1 << 1;
const GUEST_TSO4: u64 = 1 << 7;
const GUEST_TSO6: u64 = 1 << 8;
const GUEST_ECN: u64 = 1 << 9;
const GUEST_UFO: u64 = 1 << 10;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const HOST_ECN: u64 = 1 << 13;
const HOST_UFO: u64 = 1 << 14;
const MRG_RXBUF: u64 = 1 << 15;
const VERSION_1: u64 = 1 << 32;
const GUEST_USO4: u64 = 1 << 54;
const GUEST_USO6: u64 = 1 << 55;
const HOST_USO: u64 = 1 << 56;
const TRANSMIT: u64 = CSUM | HOST_TSO4 | HOST_TSO6 | HOST_ECN | HOST_USO;
const RECEIVE: u64 = GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN | GUEST_USO4 | GUEST_USO6;

/// The flags of an offload, in the order of its fields.
fn flags(offload: Offload) -> [bool; 5] {
    [offload.checksum, offload.tcp4, offload.tcp6, offload.tcp_ecn, offload.udp]
}

/// Row B16.
#[test]
fn acknowledged_bits_become_offloads() {
    let table = [
        (0, [false; 5]),
        (GUEST_CSUM, [true, false, false, false, false]),
        (GUEST_CSUM | GUEST_TSO4, [true, true, false, false, false]),
        (GUEST_CSUM | GUEST_TSO6 | GUEST_ECN, [true, false, true, true, false]),
        (GUEST_CSUM | GUEST_TSO4 | GUEST_ECN, [true, true, false, true, false]),
        (GUEST_CSUM | GUEST_USO4 | GUEST_USO6, [true, false, false, false, true]),
        (RECEIVE, [true; 5]),
        // A bit without what it depends on.
        (RECEIVE & !GUEST_CSUM, [false; 5]),
        (GUEST_CSUM | GUEST_ECN, [true, false, false, false, false]),
        (GUEST_CSUM | GUEST_USO4, [true, false, false, false, false]),
        (GUEST_CSUM | GUEST_USO6, [true, false, false, false, false]),
        // What a guest may send, and fragments, say nothing about receiving.
        (TRANSMIT | GUEST_UFO | HOST_UFO, [false; 5]),
    ];
    for (bits, expected) in table {
        assert_eq!(flags(Offload::from_virtio_features(bits)), expected, "{bits:#x}");
    }
}

/// Row B16.
#[test]
fn the_header_has_room_for_a_buffer_count_where_there_is_one() {
    for (bits, len) in [(0, 10), (VERSION_1, 12), (MRG_RXBUF, 12), (VERSION_1 | MRG_RXBUF, 12), (RECEIVE, 10)]
    {
        assert_eq!(Offload::from_virtio_features(bits).header_len, len);
    }
}

/// Row B16.
#[test]
fn what_is_offered_needs_nothing_that_is_not() {
    assert_eq!(Offload::NONE.virtio_features(), TRANSMIT);
    assert_eq!(Offload::ALL.virtio_features(), TRANSMIT | RECEIVE);
    let mut ecn = Offload::NONE;
    (ecn.checksum, ecn.tcp_ecn, ecn.tcp4) = (true, true, true);
    assert_eq!(
        ecn.virtio_features(),
        TRANSMIT | GUEST_CSUM | GUEST_TSO4 | GUEST_ECN,
        "one kind of TCP is enough"
    );
    for bits in 0..32_u8 {
        let has = |bit: u8| bits & 1 << bit != 0;
        let mut offload = Offload::NONE;
        (offload.checksum, offload.tcp4, offload.tcp6) = (has(0), has(1), has(2));
        (offload.tcp_ecn, offload.udp) = (has(3), has(4));
        let offered = offload.virtio_features();
        let back = Offload::from_virtio_features(offered);
        assert_eq!(back.virtio_features(), offered, "{offload:?}");
        assert_eq!(back.checksum, offload.checksum);
        assert_eq!(offered & (GUEST_UFO | HOST_UFO), 0, "fragments are never offered");
        assert_eq!(offered & TRANSMIT, TRANSMIT, "software does what the host cannot");
    }
}

#[test]
fn a_header_of_its_own_has_one_of_two_lengths() {
    for len in [10, 12] {
        let offload = Offload::with_header(len).unwrap();
        assert_eq!((offload.header_len, flags(offload)), (len, [false; 5]));
    }
    for len in [0, 9, 11, 13, 20] {
        assert_eq!(Offload::with_header(len), None);
    }
}

//! What holds of every frame, every context and every checksum.

use std::convert::Infallible;
use std::io::IoSlice;
use std::ops::Range;

use etherparse::checksum::Sum16BitWords;
use proptest::prelude::*;
use tap_plumb::{CarveError, Checksum, Completion, Frame, Gso, GsoKind, internet_checksum};

use crate::check::assert_train_right;
use crate::frames::{KINDS, Random, Recipe, flat, keep};

// What holds of every frame and every context, whoever made them.

fn recipe() -> impl Strategy<Value = Recipe> {
    (any::<u64>(), 0..KINDS.len()).prop_map(|(seed, kind)| Recipe::random(KINDS[kind], &mut Random(seed)))
}

/// Cuts `bytes` into slices at random places, so that headers straddle them; some are empty.
fn scatter<'b>(bytes: &'b [u8], seed: u64, most: usize) -> Vec<IoSlice<'b>> {
    let random = &mut Random(seed);
    let mut rest = bytes;
    let mut slices = Vec::new();
    for _ in 0..random.within(0, most) {
        let reach = if random.one_in(2) { 100 } else { rest.len() };
        let (slice, after) = rest.split_at(random.within(0, reach.min(rest.len())));
        slices.push(IoSlice::new(slice));
        rest = after;
    }
    slices.push(IoSlice::new(rest));
    slices
}

fn carve(frame: &Frame<'_>) -> Result<Vec<Vec<u8>>, CarveError<Infallible>> {
    let mut segments = Vec::new();
    let count = frame.carve(0, keep(&mut segments))?;
    assert_eq!(count as usize, segments.len());
    Ok(segments)
}

fn addresses(slice: &[u8]) -> Range<usize> {
    let range = slice.as_ptr_range();
    range.start.addr()..range.end.addr()
}

fn arbitrary_gso() -> impl Strategy<Value = Gso> {
    (0..KINDS.len(), 0..200_u16, any::<u16>(), 10..30_u16, 0..150_u16).prop_map(
        |(kind, header_len, segment_size, network_offset, transport_offset)| Gso {
            kind: KINDS[kind],
            header_len,
            segment_size,
            network_offset,
            transport_offset,
        },
    )
}

fn arbitrary_checksum() -> impl Strategy<Value = Checksum> {
    prop_oneof![
        Just(Checksum::Complete),
        (any::<u16>(), any::<u16>()).prop_map(|(start, offset)| Checksum::Partial { start, offset }),
        (0..120_u16, 0..40_u16).prop_map(|(start, offset)| Checksum::Partial { start, offset }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Row F7.
    #[test]
    fn every_segment_is_right_and_the_payload_conserved(recipe in recipe(), cuts: u64) {
        let (bytes, gso) = recipe.build();
        let slices = scatter(&bytes, cuts, 12);
        let frame = Frame::new(&slices).gso(gso);
        prop_assert_eq!(frame.validate(), Ok(()));
        assert_train_right(&bytes, &gso, &carve(&frame).unwrap());
    }

    /// Row B2.
    #[test]
    fn payload_stays_where_it_is(recipe in recipe(), cuts: u64) {
        let (bytes, gso) = recipe.build();
        let slices = scatter(&bytes, cuts, 40);
        let whole = addresses(&bytes);
        Frame::new(&slices).gso(gso).carve(0, |segment| {
            let [headers, payload @ ..] = segment else { panic!("an empty segment") };
            assert!(!whole.contains(&addresses(headers).start), "headers are a copy");
            // Behind a fragment header the UDP header is a copy of its own.
            let moved = payload.first().is_some_and(|slice| slice.len() == 8 && !whole.contains(&addresses(slice).start));
            assert!(!moved || recipe.kind == GsoKind::Udp6Fragments);
            for slice in &payload[usize::from(moved)..] {
                let place = addresses(slice);
                assert!(!slice.is_empty() && whole.start <= place.start && place.end <= whole.end);
            }
            Ok::<(), Infallible>(())
        }).unwrap();
    }

    /// Row B7.
    #[test]
    fn a_train_goes_on_where_it_stopped(recipe in recipe(), cuts: u64, stop: u32) {
        let (bytes, gso) = recipe.build();
        let slices = scatter(&bytes, cuts, 5);
        let frame = Frame::new(&slices).gso(gso);
        let all = carve(&frame).unwrap();
        let stop = stop % all.len() as u32;
        let mut parts = Vec::new();
        let refused = frame.carve(0, |segment| {
            if parts.len() as u32 == stop {
                return Err("full");
            }
            parts.push(flat(segment));
            Ok(())
        });
        prop_assert_eq!(refused, Err(CarveError::Sink { sent: stop, error: "full" }));
        let count = frame.carve(stop, keep(&mut parts)).unwrap();
        prop_assert_eq!(count as usize, all.len());
        prop_assert!(parts == all);
    }

    /// Row B1.
    #[test]
    fn no_frame_and_no_context_does_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        gso in arbitrary_gso(),
        checksum in arbitrary_checksum(),
        cuts: u64,
        first: u32,
    ) {
        let slices = scatter(&bytes, cuts, 5);
        let frame = Frame::new(&slices).checksum(checksum);
        let _ = frame.carve(first, |_| Ok::<(), Infallible>(()));
        let frame = frame.gso(gso);
        let verdict = frame.validate();
        prop_assert_eq!(carve(&frame).map(drop), verdict.map_err(CarveError::Rejected));
        let _ = frame.carve(first, |_| Ok::<(), Infallible>(()));
        let _ = frame.complete(Completion::Full, |_| Ok::<(), Infallible>(()));
        let _ = frame.offload(12, first, |_| Ok::<(), Infallible>(()));
    }

    /// A good frame with a few bytes changed is either refused or comes out right in every respect.
    /// Row B1.
    #[test]
    fn what_passes_comes_out_right(
        recipe in recipe(),
        changes in proptest::collection::vec((0..120_usize, any::<u8>()), 1..4),
        shift in prop_oneof![3 => Just(0), 1 => -8..8_i16],
    ) {
        let (mut bytes, mut gso) = recipe.build();
        for (at, value) in changes {
            let at = at.min(bytes.len() - 1);
            bytes[at] = value;
        }
        gso.header_len = gso.header_len.wrapping_add_signed(shift);
        let slices = [IoSlice::new(&bytes)];
        if let Ok(segments) = carve(&Frame::new(&slices).gso(gso)) {
            assert_train_right(&bytes, &gso, &segments);
        }
    }

    /// Row B16.
    #[test]
    fn any_virtio_header_gives_a_frame_that_passes_or_a_reason(
        recipe in recipe(),
        header in proptest::array::uniform12(any::<u8>()),
        kind in proptest::sample::select(vec![0_u8, 1, 3, 4, 5, 0x81]),
        cut in 0..13_usize,
    ) {
        let (bytes, gso) = recipe.build();
        let slices = scatter(&bytes, recipe.seed, 5);
        let _ = Frame::from_virtio(&header[..cut], &slices);
        let [start, _] = gso.transport_offset.to_le_bytes();
        let offset = if crate::frames::is_tcp(gso.kind) { 16 } else { 6 };
        let header = [1, kind, header[2], header[3], header[4], header[5], start, 0, offset, 0];
        if let Ok(frame) = Frame::from_virtio(&header, &slices) {
            prop_assert_eq!(frame.validate(), Ok(()));
            prop_assert!(carve(&frame).is_ok());
        }
    }

    #[test]
    fn partial_checksums_are_completed_without_touching_the_frame(
        bytes in proptest::collection::vec(any::<u8>(), 60..3000),
        start in 34..60_u16,
        offset in 0..30_u16,
        cuts: u64,
    ) {
        let slices = scatter(&bytes, cuts, 10);
        let frame = Frame::new(&slices).checksum(Checksum::Partial { start, offset });
        let field = usize::from(start + offset);
        let Ok(segments) = carve(&frame) else {
            prop_assert!(field + 2 > bytes.len());
            return Ok(());
        };
        let mut expected = bytes.clone();
        let sum = Sum16BitWords::new().add_slice(&bytes[usize::from(start)..]);
        let sum = match sum.ones_complement().to_be() { 0 => 0xffff, sum => sum };
        expected[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        prop_assert!(segments == [expected]);
    }
}

// The Internet checksum against its definition, and against another crate's.

/// RFC 1071, word by word.
fn by_definition(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn the_example_of_rfc_1071_comes_out_right() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(internet_checksum(&bytes), !0xddf2);
}

#[test]
fn every_length_and_alignment_gives_the_defined_sum() {
    let bytes: Vec<u8> = (0..700_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for start in 0..33 {
        for end in start..bytes.len() {
            let run = &bytes[start..end];
            assert_eq!(internet_checksum(run), by_definition(run), "{start}..{end}");
        }
    }
}

#[test]
fn carries_are_kept_over_the_longest_frame() {
    for len in [1, 2, 7, 63, 64, 65, 1460, 65_535, 65_536, 1 << 20] {
        assert_eq!(
            internet_checksum(&vec![0xff; len]),
            by_definition(&vec![0xff; len]),
            "{len} bytes of 0xff"
        );
        assert_eq!(internet_checksum(&vec![0; len]), 0xffff, "{len} bytes of 0");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_crate_agrees(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let theirs = Sum16BitWords::new().add_slice(&bytes).ones_complement().to_be();
        prop_assert_eq!(internet_checksum(&bytes), theirs);
    }
}

//! What other drivers get wrong when they cut frames, each held against the rule that it breaks.

use std::convert::Infallible;
use std::io::IoSlice;

use tap_plumb::{CarveError, Frame, Gso, GsoKind, RejectReason};

use crate::check::{assert_fragments_right, assert_train_right};
use crate::frames::{Recipe, keep};

const TRANSPORT: usize = 34;
const FLAGS: usize = TRANSPORT + 13;
const FRAGMENT: usize = 20;

fn carve(bytes: &[u8], gso: Gso) -> Result<Vec<Vec<u8>>, CarveError<Infallible>> {
    let slices = [IoSlice::new(bytes)];
    let mut segments = Vec::new();
    Frame::new(&slices).gso(gso).carve(0, keep(&mut segments))?;
    Ok(segments)
}

fn carved(recipe: &Recipe) -> Vec<Vec<u8>> {
    let (bytes, gso) = recipe.build();
    let segments = carve(&bytes, gso).unwrap();
    assert_train_right(&bytes, &gso, &segments);
    segments
}

fn word(segment: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([segment[at], segment[at + 1]])
}

/// Row D1.
#[test]
fn cwr_is_on_the_first_segment_only() {
    let flags = |recipe: Recipe| carved(&recipe).iter().map(|segment| segment[FLAGS]).collect::<Vec<u8>>();
    let recipe = Recipe { tcp_flags: 0xd9, ..Recipe::plain(GsoKind::Tcp4, 250, 100) };
    assert_eq!(flags(recipe.clone()), [0xd0, 0x50, 0x59], "CWR first, FIN and PSH last, ECE and ACK on all");
    assert_eq!(flags(Recipe { segment_size: 250, ..recipe }), [0xd9], "one segment keeps its flags");
}

/// Finds a payload whose checksum is 0 and looks at what is sent instead.
/// Row D2.
#[test]
fn a_zero_udp_checksum_of_a_segment_is_sent_as_all_ones() {
    for (kind, size) in
        [(GsoKind::Udp4Datagrams, 64), (GsoKind::Udp6Datagrams, 64), (GsoKind::Udp4Fragments, 72)]
    {
        let (mut bytes, gso) = Recipe::plain(kind, 128, size).build();
        let (at, field) = (usize::from(gso.header_len), usize::from(gso.transport_offset) + 6);
        bytes[at..at + 2].fill(0);
        // The checksum over a 0 in this place is what makes the sum zero when it stands there.
        let missing = carve(&bytes, gso).unwrap()[0][field..field + 2].to_vec();
        bytes[at..at + 2].copy_from_slice(&missing);
        let segments = carve(&bytes, gso).unwrap();
        assert_eq!(word(&segments[0], field), 0xffff, "{kind:?}");
        assert_train_right(&bytes, &gso, &segments);
    }
}

/// Row D2.
#[test]
fn a_tcp_checksum_of_zero_stays_zero() {
    let (mut bytes, gso) = Recipe::plain(GsoKind::Tcp4, 128, 64).build();
    let (at, field) = (usize::from(gso.header_len), TRANSPORT + 16);
    bytes[at..at + 2].fill(0);
    let missing = carve(&bytes, gso).unwrap()[0][field..field + 2].to_vec();
    bytes[at..at + 2].copy_from_slice(&missing);
    assert_eq!(word(&carve(&bytes, gso).unwrap()[0], field), 0);
    // One that is left whole is no segment to Linux, which completes every checksum alike.
    let whole = Gso { segment_size: 128, ..gso };
    bytes[at..at + 2].fill(0);
    let missing = carve(&bytes, whole).unwrap()[0][field..field + 2].to_vec();
    bytes[at..at + 2].copy_from_slice(&missing);
    assert_eq!(word(&carve(&bytes, whole).unwrap()[0], field), 0xffff);
}

/// Row D3.
#[test]
fn a_fragment_size_is_rounded_down_to_eight() {
    let sizes = |size| {
        let segments = carved(&Recipe::plain(GsoKind::Udp4Fragments, 250, size));
        segments.iter().map(|segment| segment.len() - TRANSPORT).collect::<Vec<usize>>()
    };
    assert_eq!(sizes(100), [96, 96, 66]);
    assert_eq!(sizes(103), [96, 96, 66]);
    assert_eq!(sizes(104), [104, 104, 50]);
    assert_eq!(sizes(8).len(), 33, "the UDP header alone makes the first fragment");
    let (bytes, gso) = Recipe::plain(GsoKind::Udp4Fragments, 250, 7).build();
    assert_eq!(carve(&bytes, gso), Err(CarveError::Rejected(RejectReason::SegmentSize)));
}

/// Row D4.
#[test]
fn a_lying_total_length_changes_nothing() {
    for kind in [GsoKind::Udp4Fragments, GsoKind::Tcp4, GsoKind::Udp4Datagrams] {
        let (mut bytes, gso) = Recipe::plain(kind, 250, 104).build();
        let honest = carve(&bytes, gso).unwrap();
        for lie in [0_u16, 20, 28, 277, 279, 0xffff] {
            bytes[16..18].copy_from_slice(&lie.to_be_bytes());
            assert_eq!(carve(&bytes, gso).unwrap(), honest, "{kind:?} {lie}");
        }
    }
}

/// Row D5.
#[test]
fn a_lying_udp_length_is_put_right() {
    let (mut bytes, gso) = Recipe::plain(GsoKind::Udp4Fragments, 136, 64).build();
    for lie in [0_u16, 3, 8, 143, 145, 0xffff] {
        bytes[TRANSPORT + 4..TRANSPORT + 6].copy_from_slice(&lie.to_be_bytes());
        let fragments = carve(&bytes, gso).unwrap();
        assert_eq!(word(&fragments[0], TRANSPORT + 4), 144);
        assert_eq!(assert_fragments_right(&fragments, &gso), bytes[42..]);
    }
}

/// Row D6.
#[test]
fn fragments_lose_dont_fragment_and_one_piece_keeps_it() {
    let recipe = Recipe { dont_fragment: true, ..Recipe::plain(GsoKind::Udp4Fragments, 136, 72) };
    let fields = |recipe: &Recipe| carved(recipe).iter().map(|it| word(it, FRAGMENT)).collect::<Vec<u16>>();
    assert_eq!(fields(&recipe), [0x2000, 9]);
    assert_eq!(fields(&Recipe { segment_size: 144, ..recipe }), [0x4000]);
}

/// Row D6.
#[test]
fn a_fragment_is_not_cut_again() {
    for field in [0x2000_u16, 1, 0x1fff] {
        let (mut bytes, gso) = Recipe::plain(GsoKind::Udp4Fragments, 136, 72).build();
        bytes[FRAGMENT..FRAGMENT + 2].copy_from_slice(&field.to_be_bytes());
        assert_eq!(carve(&bytes, gso), Err(CarveError::Rejected(RejectReason::Fragment)));
    }
}

/// Row D7.
#[test]
fn urg_and_its_pointer_are_on_every_segment() {
    let segments = carved(&Recipe { tcp_flags: 0x30, ..Recipe::plain(GsoKind::Tcp4, 250, 100) });
    let pointers: Vec<u16> = segments.iter().map(|segment| word(segment, TRANSPORT + 18)).collect();
    assert!(
        segments.iter().all(|segment| segment[FLAGS] == 0x30)
            && pointers.windows(2).all(|two| two[0] == two[1])
    );
}

/// Row D8.
#[test]
fn an_ipv4_header_length_below_five_is_refused() {
    let (mut bytes, gso) = Recipe::plain(GsoKind::Tcp4, 250, 100).build();
    for words in 0..5 {
        bytes[14] = 0x40 | words;
        assert_eq!(carve(&bytes, gso), Err(CarveError::Rejected(RejectReason::IpHeaderLength)));
    }
}

/// Row D9.
#[test]
fn the_identification_counts_up_and_wraps_with_dont_fragment_too() {
    let recipe =
        Recipe { identification: 0xfffe, dont_fragment: true, ..Recipe::plain(GsoKind::Tcp4, 350, 100) };
    let numbers: Vec<u16> = carved(&recipe).iter().map(|segment| word(segment, 18)).collect();
    assert_eq!(numbers, [0xfffe, 0xffff, 0, 1]);
    let recipe = Recipe { kind: GsoKind::Udp4Fragments, ..recipe };
    assert!(carved(&recipe).iter().all(|segment| word(segment, 18) == 0xfffe), "one datagram, one number");
}

/// Row D10.
#[test]
fn fragments_and_datagrams_are_two_kinds() {
    let fragments = carved(&Recipe::plain(GsoKind::Udp4Fragments, 192, 96));
    let datagrams = carved(&Recipe::plain(GsoKind::Udp4Datagrams, 192, 96));
    assert_eq!(fragments.iter().map(Vec::len).collect::<Vec<_>>(), [34 + 96, 34 + 96, 34 + 8]);
    assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [42 + 96, 42 + 96]);
}

/// Row D11.
#[test]
fn a_header_length_that_is_not_the_frames_is_refused() {
    let (bytes, gso) = Recipe { tcp_options: 12, ..Recipe::plain(GsoKind::Tcp4, 250, 100) }.build();
    for header_len in [54, 62, 70] {
        let outcome = carve(&bytes, Gso { header_len, ..gso });
        assert_eq!(outcome, Err(CarveError::Rejected(RejectReason::HeaderLength)));
    }
    let from_zero_header_len = Frame::from_virtio(&[1, 1, 0, 0, 100, 0, 34, 0, 16, 0], &[]);
    assert_eq!(
        from_zero_header_len.map(drop),
        Err(RejectReason::Truncated),
        "a frame is needed, a hint is not"
    );
}

/// Row D12.
#[test]
fn pieces_of_one_byte_keep_the_sum_in_step() {
    let (bytes, gso) = Recipe::plain(GsoKind::Tcp4, 101, 33).build();
    let whole = carve(&bytes, gso).unwrap();
    let slices: Vec<IoSlice<'_>> = bytes.chunks(1).map(IoSlice::new).collect();
    let mut scattered = Vec::new();
    Frame::new(&slices).gso(gso).carve(0, keep(&mut scattered)).unwrap();
    assert_eq!(scattered, whole);
}

/// Row B4.
#[test]
fn sequence_numbers_wrap() {
    let segments = carved(&Recipe { sequence: u32::MAX - 149, ..Recipe::plain(GsoKind::Tcp6, 250, 100) });
    let numbers: Vec<u8> = segments.iter().map(|segment| segment[54 + 7]).collect();
    assert_eq!(numbers, [0x6a, 0xce, 50]);
}

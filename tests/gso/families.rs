//! What is alike and what differs between the kinds: frames without payload, routes of the sender's, fragments of either
//! family, and the IPv4 checksum alone.

use std::convert::Infallible;
use std::io::IoSlice;

use tap_plumb::{CarveError, Checksum, Frame, Gso, GsoKind, RejectReason, internet_checksum};

use crate::check::{assert_fragments_right, assert_train_right};
use crate::frames::{KINDS, Recipe, is_fragments, is_tcp, keep};

fn carve(frame: &Frame<'_>) -> Result<Vec<Vec<u8>>, CarveError<Infallible>> {
    let mut segments = Vec::new();
    frame.carve(0, keep(&mut segments))?;
    Ok(segments)
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The header that a virtio driver puts before the frame.
fn virtio_header(gso: &Gso, tcp: bool) -> [u8; 10] {
    let kind = match gso.kind {
        GsoKind::Tcp4 => 1,
        GsoKind::Tcp6 => 4,
        GsoKind::Udp4Fragments | GsoKind::Udp6Fragments => 3,
        _ => 5,
    };
    let [sl, sh] = gso.segment_size.to_le_bytes();
    let [cl, ch] = gso.transport_offset.to_le_bytes();
    [1, kind, 0, 0, sl, sh, cl, ch, if tcp { 16 } else { 6 }, 0]
}

/// Row X2.
#[test]
fn a_payload_up_to_the_segment_size_makes_one_segment_none_included() {
    for kind in KINDS {
        // The UDP header is part of what is cut into fragments.
        let most = if is_fragments(kind) { 104 - 8 } else { 104 };
        for payload in [0, 1, 7, 8, most - 1, most] {
            let (bytes, gso) = Recipe::plain(kind, payload, 104).build();
            let slices = [IoSlice::new(&bytes)];
            let frame = Frame::new(&slices).gso(gso);
            assert_eq!((frame.validate(), gso.check_layout(bytes.len())), (Ok(()), Ok(())));
            let segments = carve(&frame).unwrap();
            assert_eq!(segments.len(), 1, "{kind:?} {payload}");
            assert_train_right(&bytes, &gso, &segments);
            // A host gets it as it is, with nothing but the checksum to complete, and not marked as to be cut.
            let mut whole = Vec::new();
            frame.offload(12, 0, keep(&mut whole)).unwrap();
            assert_eq!((whole.len(), whole[0][0], whole[0][1]), (1, 1, 0), "{kind:?} {payload}");
            // The other way: a driver's header, or the kernel's, on such a frame.
            if !matches!(kind, GsoKind::Tcp6In4 | GsoKind::Udp6In4) {
                let header = virtio_header(&gso, is_tcp(kind));
                let read = Frame::from_virtio(&header, &slices).unwrap();
                assert_eq!(carve(&read).unwrap(), segments, "{kind:?} {payload}");
            }
        }
        let (bytes, gso) = Recipe::plain(kind, most + 1, 104).build();
        assert_eq!(carve(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso)).unwrap().len(), 2, "{kind:?}");
    }
}

/// Sums of segments of a routed frame follow the sum that its sender left, for the address that no header shows.
/// Row X3.
#[test]
fn the_sum_that_the_sender_left_is_brought_to_each_segments_length() {
    let hidden: u16 = 0x1234;
    for (kind, size) in [
        (GsoKind::Tcp6, 100),
        (GsoKind::Udp6Datagrams, 100),
        (GsoKind::Tcp6In4, 100),
        (GsoKind::Udp6In4, 100),
        (GsoKind::Udp6Fragments, 104),
    ] {
        let plain = Recipe { extensions: vec![(43, 2)], ..Recipe::plain(kind, 250, size) };
        let (mut bytes, gso) = plain.build();
        let transport = usize::from(gso.transport_offset);
        let field = transport + if is_tcp(kind) { 16 } else { 6 };
        if !is_tcp(kind) {
            let len = (bytes.len() - transport) as u16;
            bytes[transport + 4..transport + 6].copy_from_slice(&len.to_be_bytes());
        }
        let straight = carve(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso)).unwrap();
        // What the header's addresses give, and a difference: another last address.
        let mut pseudo = Vec::new();
        let slices = [IoSlice::new(&bytes)];
        Frame::new(&slices).gso(gso).complete(tap_plumb::Completion::Pseudo, keep(&mut pseudo)).unwrap();
        let sum = add(word(&pseudo.concat(), field), hidden);
        bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        bytes[transport - 24 + 3] = 1;
        let slices = [IoSlice::new(&bytes)];
        let offset = u16::try_from(field - transport).unwrap();
        let partial = Checksum::Partial { start: gso.transport_offset, offset };
        let frame = Frame::new(&slices).gso(gso).checksum(partial);
        let segments = carve(&frame).unwrap();
        assert_eq!(segments.len(), straight.len());
        for (index, (segment, straight)) in segments.iter().zip(&straight).enumerate() {
            let fragment = kind == GsoKind::Udp6Fragments;
            if fragment && index > 0 {
                continue;
            }
            let field = if fragment { field + 8 } else { field };
            assert_eq!(!word(segment, field), add(!word(straight, field), hidden), "{kind:?} {index}");
        }
        let complete = Frame::new(&slices).gso(gso).validate();
        assert_eq!(complete, Err(RejectReason::SourceRouted), "{kind:?}: no sum tells the address");
    }
}

fn add(left: u16, right: u16) -> u16 {
    let sum = u32::from(left) + u32::from(right);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// Row X3.
#[test]
fn a_source_route_of_ipv4_counts_until_its_last_address() {
    let verdict = |options: &[u8]| {
        let (mut bytes, gso) =
            Recipe { ip_options: options.len(), ..Recipe::plain(GsoKind::Tcp4, 300, 100) }.build();
        bytes[34..34 + options.len()].copy_from_slice(options);
        Frame::new(&[IoSlice::new(&bytes)]).gso(gso).validate()
    };
    let routed = Err(RejectReason::SourceRouted);
    assert_eq!(verdict(&[131, 7, 4, 0, 0, 0, 0, 0]), routed, "loose");
    assert_eq!(verdict(&[1, 137, 7, 4, 0, 0, 0, 0]), routed, "strict, behind one that does nothing");
    assert_eq!(verdict(&[7, 7, 4, 0, 0, 0, 0, 131, 3, 3, 0, 0]), routed, "behind another option");
    assert_eq!(verdict(&[131, 7, 8, 0, 0, 0, 0, 0]), Ok(()), "at its end");
    assert_eq!(verdict(&[7, 7, 131, 7, 4, 0, 0, 0]), Ok(()), "inside another option");
    assert_eq!(verdict(&[0, 131, 7, 4, 0, 0, 0, 0]), Ok(()), "behind the end of the options");
    assert_eq!(verdict(&[7, 1, 131, 7, 4, 0, 0, 0]), Ok(()), "behind an option of no length");
    assert_eq!(verdict(&[7, 6, 0, 0, 0, 0, 131, 3]), Ok(()), "cut short");
}

/// Row X6.
#[test]
fn a_datagram_is_cut_into_fragments_of_either_family() {
    for (kind, extensions) in [
        (GsoKind::Udp4Fragments, vec![]),
        (GsoKind::Udp6Fragments, vec![]),
        (GsoKind::Udp6Fragments, vec![(0, 0), (60, 1), (43, 0), (60, 2)]),
    ] {
        for (payload, size, count) in
            [(500, 104, 5), (500, 111, 5), (96, 104, 1), (97, 104, 2), (3000, 8, 376)]
        {
            let recipe = Recipe { extensions: extensions.clone(), ..Recipe::plain(kind, payload, size) };
            let (bytes, gso) = recipe.build();
            let slices = [IoSlice::new(&bytes)];
            let fragments = carve(&Frame::new(&slices).gso(gso)).unwrap();
            assert_eq!(fragments.len(), count, "{recipe:?}");
            assert_train_right(&bytes, &gso, &fragments);
            assert_eq!(assert_fragments_right(&fragments, &gso), bytes[usize::from(gso.header_len)..]);
            let header = virtio_header(&gso, false);
            assert_eq!(carve(&Frame::from_virtio(&header, &slices).unwrap()).unwrap(), fragments);
        }
        let (bytes, gso) = Recipe::plain(kind, 500, 7).build();
        let refused = Err(CarveError::Rejected(RejectReason::SegmentSize));
        assert_eq!(carve(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso)), refused);
    }
}

/// A train that is resumed must go on with the number it began with, and two datagrams must not have one number.
/// Row X6.
#[test]
fn fragments_have_the_number_of_their_datagram() {
    let number = |fragment: &[u8]| fragment[58..62].to_vec();
    let (mut bytes, gso) = Recipe::plain(GsoKind::Udp6Fragments, 500, 104).build();
    let all = carve(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso)).unwrap();
    let mut rest = Vec::new();
    Frame::new(&[IoSlice::new(&bytes)]).gso(gso).carve(2, keep(&mut rest)).unwrap();
    assert_eq!(rest, all[2..]);
    let mut numbers = std::collections::BTreeSet::new();
    for count in 0..2000_u16 {
        bytes[70..72].copy_from_slice(&count.to_be_bytes());
        numbers.insert(number(&carve(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso)).unwrap()[0]));
    }
    assert_eq!(numbers.len(), 2000);
}

#[test]
fn the_checksum_of_an_ipv4_header_is_completed_alone_or_with_the_transports() {
    let recipe = Recipe { tags: vec![0x8100], ip_options: 8, ..Recipe::plain(GsoKind::Tcp4, 301, 100) };
    let (bytes, gso) = recipe.build();
    let (network, transport) = (usize::from(gso.network_offset), usize::from(gso.transport_offset));
    let expect = |segments: &[Vec<u8>], partial: bool| {
        let [segment] = segments else { panic!("{} pieces", segments.len()) };
        let mut expected = bytes.clone();
        expected[network + 10..network + 12].fill(0);
        let sum = internet_checksum(&expected[network..transport]);
        expected[network + 10..network + 12].copy_from_slice(&sum.to_be_bytes());
        if partial {
            let sum = internet_checksum(&bytes[transport..]);
            expected[transport + 16..transport + 18].copy_from_slice(&sum.to_be_bytes());
        }
        assert!(*segment == expected, "partial {partial}");
    };
    for cut in [0, 1, 20, 29, 60, 300] {
        let (front, back) = bytes.split_at(cut);
        let slices = [IoSlice::new(front), IoSlice::new(back)];
        let frame = Frame::new(&slices).ipv4_checksum();
        expect(&carve(&frame).unwrap(), false);
        let partial = frame.checksum(Checksum::Partial { start: gso.transport_offset, offset: 16 });
        expect(&carve(&partial).unwrap(), true);
        let mut behind_header = Vec::new();
        frame.offload(12, 0, keep(&mut behind_header)).unwrap();
        assert_eq!(behind_header[0][..12], [0; 12]);
        expect(&[behind_header[0][12..].to_vec()], false);
    }
}

#[test]
fn a_frame_without_an_ipv4_header_has_no_checksum_to_complete() {
    let verdict = |bytes: &[u8], checksum: Checksum| {
        let slices = [IoSlice::new(bytes)];
        let frame = Frame::new(&slices).ipv4_checksum().checksum(checksum);
        let verdict = frame.validate();
        assert_eq!(carve(&frame).map(drop), verdict.map_err(CarveError::Rejected));
        verdict
    };
    let (mut bytes, _) = Recipe::plain(GsoKind::Tcp4, 10, 100).build();
    assert_eq!(verdict(&bytes, Checksum::Complete), Ok(()));
    assert_eq!(verdict(&bytes[..33], Checksum::Complete), Err(RejectReason::Truncated));
    let inside = Checksum::Partial { start: 34, offset: 16 };
    bytes[14] = 0x46;
    assert_eq!(verdict(&bytes, inside), Err(RejectReason::ChecksumRange), "it would cover the options");
    bytes[14] = 0x44;
    assert_eq!(verdict(&bytes, Checksum::Complete), Err(RejectReason::IpHeaderLength));
    bytes[14] = 0x65;
    assert_eq!(verdict(&bytes, Checksum::Complete), Err(RejectReason::IpVersion));
    let (bytes, _) = Recipe::plain(GsoKind::Tcp6, 10, 100).build();
    assert_eq!(verdict(&bytes, Checksum::Complete), Err(RejectReason::EtherType));
}

/// Row X6.
#[test]
fn a_fragment_of_the_longest_datagram_leaves_room_for_its_header() {
    for (extensions, len) in [(vec![], 0), (vec![(0, 0)], 8), (vec![(60, 1)], 16)] {
        for (missing, size) in (0..9).flat_map(|missing| [65_535, 65_528 - len].map(|size| (missing, size))) {
            let payload = 65_527 - usize::from(len) - missing;
            let recipe = Recipe {
                extensions: extensions.clone(),
                ..Recipe::plain(GsoKind::Udp6Fragments, payload, size)
            };
            let (bytes, gso) = recipe.build();
            let fragments = carve(&Frame::new(&[IoSlice::new(&bytes)]).gso(gso)).unwrap();
            if fragments.len() == 1 {
                assert!(payload + 8 <= usize::from(size / 8 * 8), "{len} {missing} {size}");
                continue;
            }
            assert_eq!(fragments.len(), 2, "{len} {missing} {size}");
            assert_eq!(assert_fragments_right(&fragments, &gso), bytes[usize::from(gso.header_len)..]);
        }
    }
}

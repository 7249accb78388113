//! Every reason to refuse a frame, and what is refused before its content is looked at.

use std::convert::Infallible;
use std::io::IoSlice;

use tap_plumb::{CarveError, Checksum, Frame, Gso, GsoKind, RejectReason};

use crate::frames::Recipe;

fn verdict(bytes: &[u8], gso: Gso) -> Result<(), RejectReason> {
    Frame::new(&[IoSlice::new(bytes)]).gso(gso).validate()
}

/// The verdict on a plain frame of `kind` after `change`.
fn changed(kind: GsoKind, change: impl FnOnce(&mut Vec<u8>, &mut Gso)) -> Result<(), RejectReason> {
    let (mut bytes, mut gso) = Recipe::plain(kind, 300, 104).build();
    change(&mut bytes, &mut gso);
    verdict(&bytes, gso)
}

/// Row B1.
#[test]
fn the_ethernet_type_must_be_the_kinds() {
    for (at, value) in [(12, 0x86), (13, 0x06), (13, 0xdd)] {
        let verdict = changed(GsoKind::Tcp4, |bytes, _| bytes[at] = value);
        assert_eq!(verdict, Err(RejectReason::EtherType));
    }
    assert_eq!(
        changed(GsoKind::Tcp6, |bytes, _| bytes[12..14].copy_from_slice(&[8, 0])),
        Err(RejectReason::EtherType)
    );
}

/// Row B1.
#[test]
fn the_version_must_be_the_ethernet_types() {
    assert_eq!(changed(GsoKind::Tcp4, |bytes, _| bytes[14] = 0x65), Err(RejectReason::IpVersion));
    assert_eq!(changed(GsoKind::Tcp6, |bytes, _| bytes[14] = 0x45), Err(RejectReason::IpVersion));
    assert_eq!(changed(GsoKind::Tcp6In4, |bytes, _| bytes[34] = 0x45), Err(RejectReason::IpVersion));
}

/// Row B1.
#[test]
fn the_protocol_must_be_the_kinds() {
    let kinds = [
        (GsoKind::Tcp4, 23, 17),
        (GsoKind::Udp4Fragments, 23, 6),
        (GsoKind::Udp4Datagrams, 23, 6),
        (GsoKind::Tcp6, 20, 17),
        (GsoKind::Udp6Datagrams, 20, 6),
        (GsoKind::Tcp6In4, 23, 6),
        (GsoKind::Tcp6In4, 40, 17),
        (GsoKind::Udp6In4, 40, 59),
    ];
    for (kind, at, value) in kinds {
        assert_eq!(changed(kind, |bytes, _| bytes[at] = value), Err(RejectReason::Protocol), "{kind:?}");
    }
}

/// Row B1.
#[test]
fn header_lengths_must_be_the_contexts() {
    let longer = changed(GsoKind::Tcp4, |bytes, _| {
        bytes[14] = 0x46;
        bytes[50] = 0x50;
    });
    assert_eq!(longer, Err(RejectReason::TransportOffset));
    assert_eq!(changed(GsoKind::Tcp4, |bytes, _| bytes[46] = 0x60), Err(RejectReason::HeaderLength));
    assert_eq!(changed(GsoKind::Tcp4, |bytes, _| bytes[46] = 0x40), Err(RejectReason::TcpDataOffset));
    let inner_elsewhere = changed(GsoKind::Tcp6In4, |bytes, _| {
        bytes[14] = 0x4f;
        bytes[74] = 0x50;
    });
    assert_eq!(inner_elsewhere, Err(RejectReason::IpVersion));
    let tagged = Recipe { tags: vec![0x8100, 0x88a8], ..Recipe::plain(GsoKind::Udp6Datagrams, 300, 100) };
    let (bytes, gso) = tagged.build();
    assert_eq!(verdict(&bytes, gso), Ok(()));
    let untagged = Gso { network_offset: 14, transport_offset: 54, header_len: 62, ..gso };
    assert_eq!(verdict(&bytes, untagged), Err(RejectReason::NetworkOffset));
}

/// Row B1.
#[test]
fn as_many_tags_as_linux_follows() {
    let tagged = |count| {
        let (bytes, gso) =
            Recipe { tags: vec![0x8100; count], ..Recipe::plain(GsoKind::Tcp4, 300, 100) }.build();
        (
            verdict(&bytes, gso),
            Frame::from_virtio(
                &[1, 1, 0, 0, 100, 0, 34 + 4 * count as u8, 0, 16, 0],
                &[IoSlice::new(&bytes)],
            )
            .map(drop),
        )
    };
    assert_eq!(tagged(8), (Ok(()), Ok(())));
    assert_eq!(tagged(9), (Err(RejectReason::NetworkOffset), Err(RejectReason::EtherType)));
}

/// Row B1.
#[test]
fn ipv6_extension_headers_are_followed_or_refused() {
    let with = |extensions: &[(u8, u8)], at: usize, value: u8| {
        let (mut bytes, gso) =
            Recipe { extensions: extensions.to_vec(), ..Recipe::plain(GsoKind::Tcp6, 300, 100) }.build();
        bytes[at] = if at == 0 { bytes[0] } else { value };
        verdict(&bytes, gso)
    };
    assert_eq!(with(&[(0, 0), (60, 2), (43, 1), (60, 255)], 0, 0), Ok(()));
    assert_eq!(with(&[(0, 255), (60, 255), (43, 255), (60, 255)], 0, 0), Ok(()), "the longest of each");
    assert_eq!(
        with(&[(0, 255), (0, 255), (60, 255), (43, 255), (60, 255)], 0, 0),
        Err(RejectReason::HeadersTooLong)
    );
    for (header, reason) in
        [(44, RejectReason::Fragment), (51, RejectReason::Protocol), (50, RejectReason::Protocol)]
    {
        assert_eq!(with(&[(header, 0)], 0, 0), Err(reason), "{header}");
    }
    let routed = Err(RejectReason::SourceRouted);
    assert_eq!(with(&[(43, 2)], 54 + 3, 1), routed, "segments left, and no sum to go on from");
    assert_eq!(with(&[(60, 2)], 54 + 2, 0xc9), routed, "a home address, and no sum");
    assert_eq!(with(&[(60, 2)], 54 + 2, 0), Ok(()), "single bytes of padding, then a shorter option");
    assert_eq!(with(&[(60, 2)], 54 + 9, 0xc9), Ok(()), "inside an option it is data");
    assert_eq!(with(&[(0, 2)], 54 + 2, 0xc9), Ok(()), "hop by hop it has no meaning");
}

/// A home address is found wherever it stands among the options, and nowhere else.
/// Row B1.
#[test]
fn options_are_walked_as_they_lie() {
    let verdict = |changes: &[(usize, u8)]| {
        let (mut bytes, gso) =
            Recipe { extensions: vec![(60, 1)], ..Recipe::plain(GsoKind::Tcp6, 300, 100) }.build();
        for (at, value) in changes {
            bytes[54 + at] = *value;
        }
        verdict(&bytes, gso)
    };
    let redirected = Err(RejectReason::SourceRouted);
    assert_eq!(verdict(&[(2, 0), (3, 0xc9)]), redirected, "behind one byte of padding");
    assert_eq!(verdict(&[(2, 1), (3, 4), (8, 0xc9)]), redirected, "behind a padding of six");
    assert_eq!(verdict(&[(2, 1), (3, 4), (7, 0xc9)]), Ok(()), "inside the padding");
    assert_eq!(verdict(&[(2, 1), (3, 12), (16, 0xc9)]), Ok(()), "in the transport header");
}

/// Row B1.
#[test]
fn frames_must_hold_their_headers() {
    for kind in crate::frames::KINDS {
        let (bytes, gso) = Recipe::plain(kind, 300, 104).build();
        let header_len = usize::from(gso.header_len);
        for len in 0..header_len {
            assert_eq!(verdict(&bytes[..len], gso), Err(RejectReason::Truncated), "{kind:?} {len}");
        }
        assert_eq!(verdict(&bytes[..header_len], gso), Ok(()), "without payload it is one segment");
        assert_eq!(verdict(&bytes[..=header_len], gso), Ok(()));
    }
}

/// Without a context the frame's own headers tell where they end, also those that are fetched in a second try.
/// Row B1.
#[test]
fn headers_cut_short_are_told_wherever_they_end() {
    let long = Recipe { extensions: vec![(0, 40), (60, 40)], ..Recipe::plain(GsoKind::Tcp6, 300, 100) };
    // All fields within the first try, the last byte of the TCP options beyond it.
    let between =
        Recipe { extensions: vec![(0, 18)], tcp_options: 40, ..Recipe::plain(GsoKind::Tcp6, 300, 100) };
    for recipe in [Recipe::plain(GsoKind::Tcp6, 300, 100), between, long] {
        let (bytes, gso) = recipe.build();
        let verdict = |len: usize| {
            let header = [0, 4, 0, 0, 100, 0, 0, 0, 0, 0];
            Frame::from_virtio(&header, &[IoSlice::new(&bytes[..len])]).map(drop)
        };
        let header_len = usize::from(gso.header_len);
        for len in 0..header_len {
            assert_eq!(verdict(len), Err(RejectReason::Truncated), "{len}");
        }
        assert_eq!(verdict(header_len), Ok(()));
        assert_eq!(verdict(header_len + 1), Ok(()));
    }
}

/// Row X4.
#[test]
fn a_packet_has_at_most_65535_bytes_which_ipv6_counts_without_its_header() {
    for kind in crate::frames::KINDS {
        let (mut bytes, gso) = Recipe::plain(kind, 1, 1400).build();
        let longest = if crate::frames::outer_is_ipv6(kind) { 65_575 } else { 65_535 };
        bytes.resize(14 + longest, 7);
        assert_eq!(verdict(&bytes, gso), Ok(()), "{kind:?}");
        bytes.push(7);
        assert_eq!(verdict(&bytes, gso), Err(RejectReason::PacketTooLong), "{kind:?}");
    }
    let (mut bytes, _) = Recipe::plain(GsoKind::Tcp4, 1, 1400).build();
    for (len, expected) in [(65_535, Ok(())), (65_536, Err(RejectReason::PacketTooLong))] {
        bytes.resize(14 + len, 7);
        let header = [0, 1, 0, 0, 100, 0, 0, 0, 0, 0];
        assert_eq!(Frame::from_virtio(&header, &[IoSlice::new(&bytes)]).map(drop), expected);
    }
}

/// Row B1.
#[test]
fn a_context_that_contradicts_itself_is_refused() {
    let tcp4 = Gso {
        kind: GsoKind::Tcp4,
        header_len: 54,
        segment_size: 100,
        network_offset: 14,
        transport_offset: 34,
    };
    let udp4 = Gso { kind: GsoKind::Udp4Fragments, header_len: 42, ..tcp4 };
    let tcp6 = Gso { kind: GsoKind::Tcp6, header_len: 74, transport_offset: 54, ..tcp4 };
    let tunnel = Gso { kind: GsoKind::Tcp6In4, header_len: 94, transport_offset: 74, ..tcp4 };
    let good = [
        tcp4,
        udp4,
        tcp6,
        tunnel,
        Gso { header_len: 94, ..tcp4 },
        Gso { transport_offset: 74, header_len: 94, ..tcp4 },
        Gso { network_offset: 46, transport_offset: 66, header_len: 86, ..tcp4 },
        Gso { transport_offset: 62, header_len: 82, ..tcp6 },
        Gso { transport_offset: 4000 + 54, header_len: 4074, ..tcp6 },
        Gso { transport_offset: 78, header_len: 98, ..tunnel },
        Gso { segment_size: 8, ..udp4 },
        Gso { segment_size: 1, ..tcp4 },
    ];
    for gso in good {
        assert_eq!(gso.check_layout(5000), Ok(()), "{gso:?}");
    }
    let bad = [
        (Gso { network_offset: 13, ..tcp4 }, RejectReason::NetworkOffset),
        (Gso { network_offset: 15, ..tcp4 }, RejectReason::NetworkOffset),
        (
            Gso { network_offset: 50, transport_offset: 70, header_len: 90, ..tcp4 },
            RejectReason::NetworkOffset,
        ),
        (Gso { transport_offset: 14, ..tcp4 }, RejectReason::TransportOffset),
        (Gso { transport_offset: 13, ..tcp4 }, RejectReason::TransportOffset),
        (Gso { transport_offset: 33, ..tcp4 }, RejectReason::TransportOffset),
        (Gso { transport_offset: 35, ..tcp4 }, RejectReason::TransportOffset),
        (Gso { transport_offset: 78, header_len: 98, ..tcp4 }, RejectReason::TransportOffset),
        (Gso { transport_offset: 46, header_len: 66, ..tcp6 }, RejectReason::TransportOffset),
        (Gso { transport_offset: 58, header_len: 78, ..tcp6 }, RejectReason::TransportOffset),
        (Gso { transport_offset: 70, header_len: 90, ..tunnel }, RejectReason::TransportOffset),
        (Gso { transport_offset: 75, header_len: 95, ..tunnel }, RejectReason::TransportOffset),
        (Gso { header_len: 53, ..tcp4 }, RejectReason::HeaderLength),
        (Gso { header_len: 55, ..tcp4 }, RejectReason::HeaderLength),
        (Gso { header_len: 98, ..tcp4 }, RejectReason::HeaderLength),
        (Gso { header_len: 30, ..tcp4 }, RejectReason::HeaderLength),
        (Gso { header_len: 41, ..udp4 }, RejectReason::HeaderLength),
        (Gso { header_len: 43, ..udp4 }, RejectReason::HeaderLength),
        (Gso { segment_size: 0, ..tcp4 }, RejectReason::SegmentSize),
        (Gso { segment_size: 7, ..udp4 }, RejectReason::SegmentSize),
    ];
    for (gso, reason) in bad {
        assert_eq!(gso.check_layout(5000), Err(reason), "{gso:?}");
    }
}

/// Row B1.
#[test]
fn a_context_is_held_against_a_length() {
    let gso = Gso {
        kind: GsoKind::Tcp4,
        header_len: 58,
        segment_size: 100,
        network_offset: 18,
        transport_offset: 38,
    };
    let lengths = [
        (0, Err(RejectReason::Truncated)),
        (57, Err(RejectReason::Truncated)),
        (58, Ok(())),
        (59, Ok(())),
        (18 + 65_535, Ok(())),
        (18 + 65_536, Err(RejectReason::PacketTooLong)),
        (usize::MAX, Err(RejectReason::PacketTooLong)),
    ];
    for (len, verdict) in lengths {
        assert_eq!(gso.check_layout(len), verdict, "{len}");
    }
}

#[test]
fn an_unfinished_checksum_must_lie_in_the_packet() {
    let bytes = [0; 60];
    let slices = [IoSlice::new(&bytes)];
    let at = |start, offset| Frame::new(&slices).checksum(Checksum::Partial { start, offset }).validate();
    assert_eq!(at(34, 24), Ok(()));
    for (start, offset) in [(34, 25), (33, 0), (0, 0), (59, 0), (0xffff, 0xffff)] {
        assert_eq!(at(start, offset), Err(RejectReason::ChecksumRange), "{start}+{offset}");
    }
}

#[test]
fn an_oversized_frames_checksum_must_be_its_transports() {
    let (bytes, gso) = Recipe::plain(GsoKind::Tcp4, 300, 100).build();
    let slices = [IoSlice::new(&bytes)];
    let at =
        |start, offset| Frame::new(&slices).gso(gso).checksum(Checksum::Partial { start, offset }).validate();
    assert_eq!(at(34, 16), Ok(()));
    for (start, offset) in [(34, 6), (14, 36), (35, 16)] {
        assert_eq!(at(start, offset), Err(RejectReason::ChecksumPlace));
    }
}

/// Row B16.
#[test]
fn a_virtio_header_is_held_against_its_frame() {
    let verdict = |kind, header: &[u8]| {
        let (bytes, _) = Recipe::plain(kind, 300, 100).build();
        Frame::from_virtio(header, &[IoSlice::new(&bytes)]).map(drop)
    };
    let tcp4 = [1, 1, 0, 0, 100, 0, 34, 0, 16, 0];
    let with = |at: usize, value: u8| {
        let mut header = tcp4;
        header[at] = value;
        header
    };
    assert_eq!(verdict(GsoKind::Tcp4, &tcp4), Ok(()));
    assert_eq!(verdict(GsoKind::Tcp4, &with(1, 0x81)), Ok(()), "ECN");
    assert_eq!(verdict(GsoKind::Tcp4, &with(0, 0)), Ok(()), "TCP goes without a start");
    assert_eq!(verdict(GsoKind::Tcp4, &with(2, 0xff)), Ok(()), "the header length is a hint");
    assert_eq!(verdict(GsoKind::Tcp4, &tcp4[..9]), Err(RejectReason::ShortVirtioHeader));
    for kind in [2, 6, 7, 0x20, 0x80, 0x83, 0x85] {
        assert_eq!(verdict(GsoKind::Tcp4, &with(1, kind)), Err(RejectReason::UnknownKind), "{kind:#x}");
    }
    assert_eq!(verdict(GsoKind::Tcp4, &with(4, 0)), Err(RejectReason::SegmentSize));
    assert_eq!(verdict(GsoKind::Tcp4, &with(6, 14)), Err(RejectReason::ChecksumPlace));
    assert_eq!(verdict(GsoKind::Tcp4, &with(8, 6)), Err(RejectReason::ChecksumPlace));
    assert_eq!(verdict(GsoKind::Tcp4, &with(1, 4)), Err(RejectReason::EtherType));
    assert_eq!(verdict(GsoKind::Tcp6, &with(6, 54)), Err(RejectReason::EtherType));
    assert_eq!(verdict(GsoKind::Udp6Datagrams, &[1, 3, 0, 0, 100, 0, 54, 0, 6, 0]), Ok(()), "fragments");
    let fragments_of_seven = [1, 3, 0, 0, 7, 0, 34, 0, 6, 0];
    assert_eq!(verdict(GsoKind::Udp4Fragments, &fragments_of_seven), Err(RejectReason::SegmentSize));
    for kind in [3, 5] {
        assert_eq!(verdict(GsoKind::Udp4Datagrams, &[1, kind, 0, 0, 100, 0, 34, 0, 6, 0]), Ok(()));
        let bare = [0, kind, 0, 0, 100, 0, 34, 0, 6, 0];
        assert_eq!(verdict(GsoKind::Udp4Datagrams, &bare), Err(RejectReason::UdpWithoutChecksum));
    }
}

#[test]
fn a_refusal_reaches_the_sink_with_nothing() {
    let (bytes, gso) = Recipe::plain(GsoKind::Tcp4, 300, 100).build();
    let slices = [IoSlice::new(&bytes)];
    let frame = Frame::new(&slices).gso(Gso { header_len: 58, ..gso });
    let rejected = Err(CarveError::Rejected(RejectReason::HeaderLength));
    assert_eq!(frame.carve(0, |_| -> Result<(), Infallible> { panic!("a segment") }), rejected);
    assert_eq!(frame.offload(12, 0, |_| -> Result<(), Infallible> { panic!("a segment") }), rejected);
}

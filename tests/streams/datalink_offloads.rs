//! What a data link, which has no offloads, leaves to us.
//!
//! Oversized frames are cut, and frames may be in many slices. A neighbour's frame whose checksum its host has left to a
//! device is finished.

use std::io::IoSlice;

use streams_model::Offload;

use crate::bench::assert_nothing_wrong;
use crate::datalink_bench::*;
use crate::{Frame, Gso, GsoKind, TransmitError};

/// A frame of TCP over IPv4 from its link headers and its payload's length.
fn stream(link_headers: &[u8], payload: usize) -> Vec<u8> {
    let mut bytes = [link_headers, &[0; 40]].concat();
    let ip = &mut bytes[link_headers.len()..];
    ip[..2].copy_from_slice(&[0x45, 0]);
    ip[2..4].copy_from_slice(&((40 + payload) as u16).to_be_bytes());
    ip[8..20].copy_from_slice(&[64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    ip[32] = 0x50;
    bytes.extend((0..payload).map(|at| at as u8));
    bytes
}

fn request(link_headers: usize, segment_size: u16) -> Gso {
    let at = |offset: usize| (link_headers + offset) as u16;
    Gso {
        kind: GsoKind::Tcp4,
        header_len: at(40),
        segment_size,
        network_offset: at(0),
        transport_offset: at(20),
    }
}

/// Row link 4.
#[test]
fn an_oversized_frame_is_cut_to_what_the_link_takes() {
    let machine = with_neighbour();
    let backend = backend();
    let plain = [&OTHER[..], &OWN, &IPV4].concat();
    let with_tag = [&OTHER[..], &OWN, &[0x81, 0, 0x20, 0], &IPV4].concat();
    for link_headers in [plain, with_tag] {
        // The last segment has one byte.
        let bytes = stream(&link_headers, 3 * 1460 + 1);
        let slices = [IoSlice::new(&bytes)];
        let frame = Frame::new(&slices).gso(request(link_headers.len(), 1460));
        backend.begin_transmit().unwrap().send(&frame).unwrap();
        let mut segments: Vec<Vec<u8>> = Vec::new();
        let keep = |segment: &[IoSlice<'_>]| -> Result<(), ()> {
            segments.push(segment.iter().flat_map(|part| part.to_vec()).collect());
            Ok(())
        };
        frame.carve(0, keep).unwrap();
        segments.iter_mut().for_each(|segment| segment.resize(segment.len().max(60), 0));
        let longest = link_headers.len() + 1500;
        let lengths: Vec<_> = segments.iter().map(Vec::len).collect();
        assert_eq!((lengths, arrived(&machine)), (vec![longest, longest, longest, 60], segments));
        // Of segments beyond the link's longest frame none goes out.
        let frame = Frame::new(&slices).gso(request(link_headers.len(), 1461));
        let outcome = backend.begin_transmit().unwrap().send(&frame);
        assert!(matches!(outcome, Err(TransmitError::Oversize { .. })), "{outcome:?}");
        assert!(arrived(&machine).is_empty());
    }
    assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0);
    assert_nothing_wrong(&machine);
}

/// Row link 10.
#[test]
fn the_filling_is_one_more_slice_within_the_systems_limit() {
    const MOST: usize = 1024;
    let machine = with_neighbour();
    let backend = backend();
    for (len, slices, fits) in
        [(42, MOST - 1, true), (42, MOST, false), (60, MOST, true), (60, MOST + 1, false)]
    {
        let bytes = frame(OTHER, OWN, IPV4, len, 3);
        let empty = std::iter::repeat_n(IoSlice::new(&[]), slices - 2);
        let list: Vec<_> =
            [IoSlice::new(&bytes[..20]), IoSlice::new(&bytes[20..])].into_iter().chain(empty).collect();
        let outcome = backend.begin_transmit().unwrap().send(&Frame::new(&list));
        let refused = matches!(outcome, Err(TransmitError::TooManySlices { limit: MOST, .. }));
        assert_eq!((outcome.is_ok(), refused), (fits, !fits), "{len} bytes in {slices} slices: {outcome:?}");
        assert_eq!(arrived(&machine).len(), usize::from(fits));
    }
}

/// A datagram of UDP over IPv4 to this address, with a right checksum.
fn datagram(to: [u8; 6], payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(to, OTHER, IPV4, 42, 0);
    let total = (28 + payload.len()) as u16;
    bytes[14..34].copy_from_slice(&[0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 224, 0, 0, 81]);
    bytes[16..18].copy_from_slice(&total.to_be_bytes());
    bytes[34..42].copy_from_slice(&[0x14, 0xe9, 0x14, 0xe9, 0, 0, 0, 0]);
    bytes[38..40].copy_from_slice(&(total - 20).to_be_bytes());
    bytes.extend_from_slice(payload);
    let pseudo = pseudo(&bytes);
    let checksum = !fold(sum(&bytes[34..]) + u32::from(pseudo));
    bytes[40..42].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// A sum by the plainest way there is.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | word.get(1).copied().map_or(0, u32::from)).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn pseudo(datagram: &[u8]) -> u16 {
    fold(sum(&datagram[26..34]) + 17 + sum(&datagram[38..40]))
}

fn unfinished(datagram: &[u8]) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    bytes[40..42].copy_from_slice(&pseudo(datagram).to_be_bytes());
    bytes
}

/// Row link 20.
#[test]
fn a_neighbours_unfinished_checksum_is_finished_in_a_group_frame() {
    let machine = with_neighbour();
    let offloads = streams_model::Offloads { partial_checksum: true, ..Default::default() };
    admin(&machine, |kernel| kernel.set_offloads("net0", offloads));
    let backend = backend();
    for to in [EVERYBODY, GROUP] {
        for payload in [&b"mDNS from a neighbour"[..], b"x", b""] {
            let right = datagram(to, payload);
            let left = Offload { partial: Some((20, 26, 28 + payload.len())), ..Offload::default() };
            admin(&machine, |kernel| kernel.link_sends_with("vnic1", &unfinished(&right), left));
            assert_eq!(receive(&backend).unwrap(), right, "{payload:?} to {to:x?}");
            // Scattered, so that the field lies across two slices.
            admin(&machine, |kernel| kernel.link_sends_with("vnic1", &unfinished(&right), left));
            let (mut first, mut second, mut third) = ([0; 41], [0; 1], [0; 1600]);
            let mut slices = [&mut first[..], &mut second, &mut third].map(std::io::IoSliceMut::new);
            let len = backend.receive(&mut slices).unwrap().unwrap().len;
            let got = [&first[..], &second, &third].concat();
            assert_eq!(got[..len], right, "{payload:?} to {to:x?}, scattered");
        }
    }
    assert_nothing_wrong(&machine);
}

/// Row link 20.
#[test]
fn what_is_right_damaged_or_to_one_station_is_left_alone() {
    let machine = with_neighbour();
    let backend = backend();
    let right = datagram(GROUP, b"whole");
    let mut damaged = right.clone();
    damaged[41] ^= 0x10;
    let mut cut = unfinished(&right);
    cut[16..18].copy_from_slice(&2000_u16.to_be_bytes());
    let mut fragment = unfinished(&right);
    fragment[20] |= 0x20;
    let unicast = unfinished(&datagram(OWN, b"whole"));
    // By way of a router, whose address the checksum does not cover.
    let mut routed = right.clone();
    routed[14] += 2;
    routed[17] += 8;
    routed.splice(34..34, [131, 7, 4, 192, 0, 2, 9, 0]);
    for sent in [right, damaged, cut, fragment, unicast, routed] {
        neighbour(&machine, &sent);
        assert_eq!(receive(&backend).unwrap(), sent);
    }
    // The length that IP tells ends before the field, or beyond the frame; the field holds the sum for that length.
    for length in [4_u16, 6, 7, 1980] {
        let mut contradicting = datagram(GROUP, &[0; 40]);
        contradicting[16..18].copy_from_slice(&(length + 20).to_be_bytes());
        let pseudo = fold(sum(&contradicting[26..34]) + 17 + u32::from(length));
        contradicting[40..42].copy_from_slice(&pseudo.to_be_bytes());
        neighbour(&machine, &contradicting);
        assert_eq!(receive(&backend).unwrap(), contradicting, "{length} bytes");
    }
    // One whose right checksum happens to be the pseudo header's sum: the ports are chosen so.
    let mut chance = datagram(GROUP, b"ab");
    let wanted = pseudo(&chance);
    chance[40..42].copy_from_slice(&[0, 0]);
    chance[34..36].copy_from_slice(&[0, 0]);
    let rest = fold(sum(&chance[34..]) + u32::from(wanted));
    let port = fold(u32::from(!wanted) + u32::from(!rest));
    chance[34..36].copy_from_slice(&port.to_be_bytes());
    chance[40..42].copy_from_slice(&wanted.to_be_bytes());
    assert_eq!(fold(sum(&chance[34..]) + u32::from(wanted)), 0xffff, "the test's own sum");
    neighbour(&machine, &chance);
    assert_eq!(receive(&backend).unwrap(), chance);
}

/// A packet of TCP or UDP (6 or 17) in a frame to a group: the frame, where its checksum lies, and the pseudo header's sum.
fn packet(ipv6: bool, protocol: u8, payload: usize) -> (Vec<u8>, usize, u16) {
    let header = if protocol == 6 { 20 } else { 8 };
    let length = (header + payload) as u16;
    let [high, low] = length.to_be_bytes();
    let mut bytes = frame(GROUP, OTHER, if ipv6 { [0x86, 0xdd] } else { IPV4 }, 14, 0);
    if ipv6 {
        bytes.extend([0x60, 0, 0, 0, high, low, protocol, 64]);
        bytes.extend((0..32).map(|at| 0xf0 | at));
    } else {
        let [high, low] = (length + 20).to_be_bytes();
        bytes.extend([0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 2, 224, 0, 0, 81]);
    }
    let (addresses, transport) = (if ipv6 { 22 } else { 26 }, bytes.len());
    bytes.extend((0..usize::from(length)).map(|at| at as u8));
    let field = transport + if protocol == 6 { 16 } else { 6 };
    if protocol == 6 {
        bytes[transport + 12] = 0x50;
    } else {
        bytes[transport + 4..transport + 6].copy_from_slice(&[high, low]);
    }
    bytes[field..field + 2].fill(0);
    let pseudo = fold(sum(&bytes[addresses..transport]) + u32::from(protocol) + u32::from(length));
    let checksum = !fold(sum(&bytes[transport..]) + u32::from(pseudo));
    bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    (bytes, field, pseudo)
}

/// Row link 20.
#[test]
fn it_is_finished_in_each_protocol_of_both_families() {
    let machine = with_neighbour();
    let backend = backend();
    for (ipv6, protocol) in [(false, 6), (false, 17), (true, 6), (true, 17)] {
        for payload in [0, 1, 2, 1000] {
            let (mut right, field, pseudo) = packet(ipv6, protocol, payload);
            // What Ethernet fills up is no part of the packet.
            right.extend([0xee; 7]);
            let mut left = right.clone();
            left[field..field + 2].copy_from_slice(&pseudo.to_be_bytes());
            neighbour(&machine, &left);
            assert_eq!(receive(&backend).unwrap(), right, "{ipv6}, {protocol}, {payload} bytes");
            // One that is neither right nor the pseudo header's sum was damaged on the way.
            left[field] ^= 0x40;
            neighbour(&machine, &left);
            assert_eq!(receive(&backend).unwrap(), left, "{ipv6}, {protocol}, {payload} bytes, damaged");
        }
    }
    assert_nothing_wrong(&machine);
}

//! Judges segments by another crate's arithmetic: etherparse knows nothing of ours.

use std::ops::Range;

use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, TcpSlice, UdpHeader};
use tap_plumb::Gso;

use crate::frames::{is_fragments, is_ipv6, is_tcp, outer_is_ipv6};

/// Addresses that a transport checksum covers.
enum Addresses {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

/// Asserts that the lengths and checksums of one segment, which is no IP fragment, are right.
pub(crate) fn assert_right(segment: &[u8], gso: &Gso) {
    let addresses = assert_network_right(segment, gso);
    let transport = &segment[usize::from(gso.transport_offset)..];
    if is_tcp(gso.kind) {
        let tcp = TcpSlice::from_slice(transport).unwrap();
        let expected = match addresses {
            Addresses::V4(from, to) => tcp.calc_checksum_ipv4(from, to),
            Addresses::V6(from, to) => tcp.calc_checksum_ipv6(from, to),
        };
        // Both zeros of one's complement say the same of TCP.
        assert_eq!(tcp.checksum() % 0xffff, expected.unwrap() % 0xffff, "TCP checksum");
    } else {
        assert_datagram_right(transport, &addresses);
    }
}

fn assert_datagram_right(datagram: &[u8], addresses: &Addresses) {
    let (header, payload) = UdpHeader::from_slice(datagram).unwrap();
    assert_eq!(usize::from(header.length), datagram.len(), "UDP length");
    let expected = match *addresses {
        Addresses::V4(from, to) => header.calc_checksum_ipv4_raw(from, to, payload),
        Addresses::V6(from, to) => header.calc_checksum_ipv6_raw(from, to, payload),
    };
    assert_eq!(header.checksum, expected.unwrap(), "UDP checksum");
}

fn assert_network_right(segment: &[u8], gso: &Gso) -> Addresses {
    let packet = &segment[usize::from(gso.network_offset)..];
    if outer_is_ipv6(gso.kind) {
        return assert_ipv6_right(packet);
    }
    let header = assert_ipv4_right(packet);
    if is_ipv6(gso.kind) {
        return assert_ipv6_right(&packet[header.slice().len()..]);
    }
    Addresses::V4(header.source(), header.destination())
}

fn assert_ipv4_right(packet: &[u8]) -> Ipv4HeaderSlice<'_> {
    let header = Ipv4HeaderSlice::from_slice(packet).unwrap();
    assert_eq!(usize::from(header.total_len()), packet.len(), "IPv4 total length");
    let sum = Sum16BitWords::new().add_slice(header.slice()).ones_complement();
    assert_eq!(sum, 0, "IPv4 checksum");
    header
}

fn assert_ipv6_right(packet: &[u8]) -> Addresses {
    let header = Ipv6HeaderSlice::from_slice(packet).unwrap();
    assert_eq!(usize::from(header.payload_length()) + 40, packet.len(), "IPv6 payload length");
    Addresses::V6(header.source(), header.destination())
}

/// Asserts that IP fragments join to one right datagram, and returns what it carries behind the UDP header.
pub(crate) fn assert_fragments_right(fragments: &[Vec<u8>], gso: &Gso) -> Vec<u8> {
    let mut datagram = Vec::new();
    let mut addresses = Addresses::V4([0; 4], [0; 4]);
    for (at, fragment) in fragments.iter().enumerate() {
        let (offset, more, rest) = if outer_is_ipv6(gso.kind) {
            addresses = assert_ipv6_right(&fragment[usize::from(gso.network_offset)..]);
            fragment6(fragment, gso, fragments)
        } else {
            let packet = &fragment[usize::from(gso.network_offset)..];
            let header = assert_ipv4_right(packet);
            addresses = Addresses::V4(header.source(), header.destination());
            let offset = usize::from(header.fragments_offset().value()) * 8;
            (offset, header.more_fragments(), &packet[header.slice().len()..])
        };
        assert_eq!(offset, datagram.len(), "fragment offset");
        assert_eq!(more, at + 1 < fragments.len(), "more fragments");
        datagram.extend(rest);
    }
    assert_datagram_right(&datagram, &addresses);
    datagram.split_off(8)
}

/// Offset, more to come, and data of an IPv6 fragment (RFC 8200 4.5), whose header stands where the UDP header stood.
fn fragment6<'f>(fragment: &'f [u8], gso: &Gso, all: &[Vec<u8>]) -> (usize, bool, &'f [u8]) {
    let (headers, rest) = fragment.split_at(usize::from(gso.transport_offset));
    if all.len() == 1 {
        return (0, false, rest);
    }
    assert_eq!(headers[last_next_header(headers, gso)], 44, "a fragment header follows");
    let (header, rest) = rest.split_at(8);
    assert_eq!(header[..2], [17, 0], "UDP follows");
    let number = &all[0][usize::from(gso.transport_offset)..][4..8];
    assert!(header[4..] == *number && number != [0; 4], "one number, not 0");
    let word = u16::from_be_bytes([header[2], header[3]]);
    assert_eq!(word & 6, 0, "reserved bits");
    (usize::from(word & !7), word & 1 == 1, rest)
}

/// The byte that names the transport protocol of an IPv6 packet.
pub(crate) fn last_next_header(frame: &[u8], gso: &Gso) -> usize {
    let (mut byte, mut at) = (usize::from(gso.network_offset) + 6, usize::from(gso.network_offset) + 40);
    while at < usize::from(gso.transport_offset) {
        byte = at;
        at += 8 * (1 + usize::from(frame[at + 1]));
    }
    byte
}

/// Asserts everything that must hold of all segments of a frame together.
pub(crate) fn assert_train_right(frame: &[u8], gso: &Gso, segments: &[Vec<u8>]) {
    let header_len = usize::from(gso.header_len);
    let payload: Vec<u8> = if is_fragments(gso.kind) {
        assert_fragments_right(segments, gso)
    } else {
        segments.iter().for_each(|segment| assert_right(segment, gso));
        segments.iter().flat_map(|segment| segment[header_len..].iter().copied()).collect()
    };
    assert!(payload == frame[header_len..], "the payload is not conserved");
    for (index, segment) in segments.iter().enumerate() {
        assert_rest_untouched(frame, gso, index, segments.len(), segment);
    }
}

/// Asserts that a segment's headers differ from the frame's in nothing but what a segment's must.
fn assert_rest_untouched(frame: &[u8], gso: &Gso, index: usize, count: usize, segment: &[u8]) {
    let (network, transport) = (usize::from(gso.network_offset), usize::from(gso.transport_offset));
    let fragments = is_fragments(gso.kind);
    if fragments && count > 1 && outer_is_ipv6(gso.kind) {
        return assert_fragment6_untouched(frame, gso, index, segment);
    }
    let repeated = if fragments && index > 0 { transport } else { usize::from(gso.header_len) };
    let mut expected = frame[..repeated].to_vec();
    let mut take = |range: Range<usize>| expected[range.clone()].copy_from_slice(&segment[range]);
    if outer_is_ipv6(gso.kind) {
        take(network + 4..network + 6);
    } else {
        take(network + 2..network + 4);
        take(network + 10..network + 12);
        if fragments && count > 1 {
            take(network + 6..network + 8);
        }
    }
    if is_ipv6(gso.kind) && !outer_is_ipv6(gso.kind) {
        let inner = network + 4 * usize::from(frame[network] & 0x0f);
        take(inner + 4..inner + 6);
    }
    if is_tcp(gso.kind) {
        take(transport + 16..transport + 18);
    } else if !fragments || index == 0 {
        take(transport + 4..transport + 8);
    }
    count_up(&mut expected, frame, gso, index, count);
    assert!(
        segment[..repeated] == expected,
        "headers of segment {index}\n{:02x?}\n{expected:02x?}",
        &segment[..repeated]
    );
}

fn assert_fragment6_untouched(frame: &[u8], gso: &Gso, index: usize, fragment: &[u8]) {
    let (network, transport) = (usize::from(gso.network_offset), usize::from(gso.transport_offset));
    let mut expected = frame[..transport].to_vec();
    expected[network + 4..network + 6].copy_from_slice(&fragment[network + 4..network + 6]);
    expected[last_next_header(frame, gso)] = 44;
    assert!(fragment[..transport] == expected, "headers of fragment {index}");
    if index == 0 {
        assert_eq!(fragment[transport + 8..transport + 12], frame[transport..transport + 4], "ports");
    }
}

/// Writes the fields that number the segments, from their definition.
fn count_up(header: &mut [u8], frame: &[u8], gso: &Gso, index: usize, count: usize) {
    let (network, transport) = (usize::from(gso.network_offset), usize::from(gso.transport_offset));
    if !outer_is_ipv6(gso.kind) && !is_fragments(gso.kind) {
        let first = u16::from_be_bytes([frame[network + 4], frame[network + 5]]);
        header[network + 4..network + 6].copy_from_slice(&first.wrapping_add(index as u16).to_be_bytes());
    }
    if !is_tcp(gso.kind) {
        return;
    }
    let first = u32::from_be_bytes(frame[transport + 4..transport + 8].try_into().unwrap());
    let sequence = first.wrapping_add((index * usize::from(gso.segment_size)) as u32);
    header[transport + 4..transport + 8].copy_from_slice(&sequence.to_be_bytes());
    let cleared = match (index == 0, index + 1 == count) {
        (true, true) => 0,
        (true, false) => 0x09,
        (false, true) => 0x80,
        (false, false) => 0x89,
    };
    header[transport + 13] = frame[transport + 13] & !cleared;
}

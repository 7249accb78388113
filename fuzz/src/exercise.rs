//! What is done with every frame that a fuzzer makes. The replay of the corpus on a stable compiler runs the same.

use std::convert::Infallible;
use std::io::IoSlice;

use tap_plumb::{CarveError, Completion, Frame, Gso, GsoKind, internet_checksum};

/// Cuts the bytes in three, so that headers straddle slices.
pub(crate) fn scatter(bytes: &[u8], first: u8, second: u8) -> [IoSlice<'_>; 3] {
    let (head, rest) = bytes.split_at(bytes.len().min(usize::from(first)));
    let (middle, tail) = rest.split_at(rest.len().min(usize::from(second)));
    [IoSlice::new(head), IoSlice::new(middle), IoSlice::new(tail)]
}

/// Every way out gives the same verdict, and what passes is right. `gso` is the frame's own context, if it has one.
pub(crate) fn exercise(frame: &Frame<'_>, gso: Option<Gso>) {
    let verdict = frame.validate().map_err(CarveError::Rejected);
    let mut segments = Vec::new();
    assert_eq!(frame.carve(0, keep(&mut segments)).map(drop), verdict);
    let mut whole = Vec::new();
    assert_eq!(frame.complete(Completion::Full, keep(&mut whole)), verdict);
    let mut offloaded = Vec::new();
    assert_eq!(frame.offload(12, 0, keep(&mut offloaded)).map(drop), verdict);
    if verdict.is_err() {
        assert!(segments.is_empty() && whole.is_empty() && offloaded.is_empty());
        return;
    }
    assert_eq!(whole.concat().len(), frame.total_len());
    if let Some(gso) = gso {
        assert_right(&whole.concat(), &segments, &gso);
    }
}

fn keep(list: &mut Vec<Vec<u8>>) -> impl FnMut(&[IoSlice<'_>]) -> Result<(), Infallible> {
    |slices| {
        list.push(slices.iter().flat_map(|slice| slice.iter().copied()).collect());
        Ok(())
    }
}

fn assert_right(whole: &[u8], segments: &[Vec<u8>], gso: &Gso) {
    let mut payload = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let (transport, header_len) = (usize::from(gso.transport_offset), usize::from(gso.header_len));
        let headers_end = match (gso.kind, index, segments.len()) {
            // The UDP header is in the first fragment alone; those of IPv6 have a header of 8 bytes more.
            (GsoKind::Udp4Fragments, 1.., _) => transport,
            (GsoKind::Udp6Fragments, 0, 2..) => header_len + 8,
            (GsoKind::Udp6Fragments, 1.., _) => transport + 8,
            _ => header_len,
        };
        payload.extend_from_slice(&segment[headers_end..]);
        assert_packet_right(&segment[usize::from(gso.network_offset)..]);
    }
    assert!(payload == whole[usize::from(gso.header_len)..], "the payload is conserved");
}

fn assert_packet_right(packet: &[u8]) {
    let word = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    if packet[0] >> 4 == 6 {
        assert_eq!(word(4) + 40, packet.len());
        return;
    }
    assert_eq!(word(2), packet.len());
    assert_eq!(internet_checksum(&packet[..4 * usize::from(packet[0] & 0x0f)]), 0);
}

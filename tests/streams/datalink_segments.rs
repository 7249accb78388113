//! Oversized frames over a data link, which has no offloads, and frames in many slices.

use std::io::IoSlice;

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

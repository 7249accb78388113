//! Held against the general way.

use std::convert::Infallible;
use std::io::IoSlice;

use proptest::prelude::*;

use super::*;
use crate::memory::body::Borrowed;
use crate::segmentation::deliver::{Port, deliver};
use crate::wire::gso::Gso;

/// The writes of the general way; `None` where it refuses.
fn general(slices: &[IoSlice<'_>], work: Work) -> Option<Vec<Vec<u8>>> {
    let mut writes = Vec::new();
    let port = Port { header_len: LONGEST, offload: true, ..Port::BARE };
    let keep = |slices: &[IoSlice<'_>]| {
        writes.push(slices.iter().flat_map(|slice| slice.iter().copied()).collect());
        Ok::<(), Infallible>(())
    };
    deliver(Borrowed(slices), work, port, 0, keep).ok()?;
    Some(writes)
}

fn straight(slices: &[IoSlice<'_>], ask: Ask) -> Option<Vec<u8>> {
    lay_out_for(slices, ask, Host { shortest: 14, longest: usize::MAX })
}

fn lay_out_for(slices: &[IoSlice<'_>], ask: Ask, host: Host) -> Option<Vec<u8>> {
    let body = Borrowed(slices);
    let (mut own, mut list) = ([0; OWN], vec![IoSlice::new(&[]); slices.len() + 1]);
    let (used, len) = lay_out(&body, ask, host, &mut own, &mut list)?;
    let all = list[..used].iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
    assert_eq!(all.len(), LONGEST + len);
    Some(all)
}

fn honest(payload: usize) -> (Vec<u8>, Gso) {
    let mut frame: Vec<u8> = (0..FRONT + payload).map(|at| (at * 7) as u8).collect();
    frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
    frame[20..24].copy_from_slice(&[0x40, 0, 64, 6]);
    frame[46] = 0x50;
    let gso = Gso {
        kind: GsoKind::Tcp4,
        header_len: 54,
        segment_size: 100,
        network_offset: 14,
        transport_offset: 34,
    };
    (frame, gso)
}

fn cut<'f>(frame: &'f [u8], places: &[usize]) -> Vec<IoSlice<'f>> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (frame.len() + 1)).collect();
    places.sort_unstable();
    places.push(frame.len());
    let mut from = 0;
    let part = |to| IoSlice::new(&frame[std::mem::replace(&mut from, to)..to]);
    places.into_iter().map(part).collect()
}

#[test]
fn b03_an_honest_frame_takes_the_straight_line() {
    for (payload, places) in
        [(101, vec![]), (3000, vec![54]), (65_000, vec![54, 9000, 20_000]), (65_495, vec![70; 18])]
    {
        let (frame, gso) = honest(payload);
        let slices = cut(&frame, &places);
        let work = Work { gso: Some(gso), checksum: Checksum::Complete };
        let write = straight(&slices, Ask::of(&work).unwrap()).expect("the straight line");
        assert!(general(&slices, work) == Some(vec![write]), "{payload} bytes, cut at {places:?}");
    }
}

#[test]
fn b03_what_is_left_to_the_general_way() {
    let (frame, gso) = honest(65_496);
    let work = Work { gso: Some(gso), checksum: Checksum::Complete };
    let ask = Ask::of(&work).unwrap();
    let partial = Work { checksum: Checksum::Partial { start: 34, offset: 16 }, ..work };
    assert!(Ask::of(&partial).is_some());
    assert!(straight(&cut(&frame, &[]), ask).is_none(), "a packet of 65536 bytes");
    let frame = &frame[..FRONT + 3000];
    assert!(straight(&cut(frame, &[53]), ask).is_none(), "headers in two slices");
    assert!(straight(&cut(&frame[..FRONT + 100], &[]), ask).is_none(), "one segment");
    let host = Host { shortest: 14, longest: FRONT + 2999 };
    assert!(lay_out_for(&cut(frame, &[]), ask, host).is_none(), "longer than the host takes");
    let whole = Ask::Whole(Checksum::Complete);
    assert!(lay_out_for(&cut(frame, &[]), whole, host).is_none(), "longer than the host takes");
    assert!(straight(&cut(&frame[..13], &[]), whole).is_none() && straight(&[], whole).is_none(), "a runt");
    let beyond = Ask::Whole(Checksum::Partial { start: 40, offset: 19 });
    assert!(straight(&cut(&frame[..60], &[]), beyond).is_none(), "a checksum beyond the end");
    for (name, work) in [
        ("no header length", Work { gso: Some(Gso { header_len: 0, ..gso }), ..work }),
        ("another kind", Work { gso: Some(Gso { kind: GsoKind::Tcp6, ..gso }), ..work }),
        ("another checksum", Work { checksum: Checksum::Partial { start: 34, offset: 6 }, ..work }),
        ("a checksum elsewhere", Work { checksum: Checksum::Partial { start: 36, offset: 16 }, ..work }),
    ] {
        assert!(Ask::of(&work).is_none(), "{name}");
    }
}

#[test]
fn b01_headers_that_are_not_what_they_should_be_are_left_to_the_general_way() {
    for (what, at, value) in [
        ("a tag", 12, 0x81),
        ("options", 14, 0x46),
        ("another version", 14, 0x65),
        ("more fragments", 20, 0x20),
        ("a later fragment", 20, 0x01),
        ("a later fragment", 21, 0x01),
        ("UDP", 23, 17),
        ("a short TCP header", 46, 0x40),
        ("other headers than stated", 46, 0x60),
    ] {
        let (mut frame, gso) = honest(3000);
        let work = Work { gso: Some(gso), checksum: Checksum::Complete };
        let ask = Ask::of(&work).unwrap();
        assert!(straight(&cut(&frame, &[]), ask).is_some());
        frame[at] = value;
        assert!(straight(&cut(&frame, &[]), ask).is_none(), "{what}");
    }
}

#[test]
fn b16_what_a_virtio_header_asks_for() {
    let of = |fields: &[u8], len| Ask::of_header(&Borrowed(&[IoSlice::new(fields)]), len);
    let tso = header(true, 100, Checksum::Partial { start: 34, offset: 16 });
    assert!(matches!(of(&tso, 10), Some(Ask::Tcp4 { segment_size: 100, header_len: 0 })));
    assert!(matches!(of(&[tso, [0; 10]].concat(), 12), Some(Ask::Tcp4 { .. })));
    assert!(matches!(of(&[0; 10], 10), Some(Ask::Whole(Checksum::Complete))));
    assert!(of(&tso, 9).is_none() && of(&tso[..9], 10).is_none(), "a header cut short");
    let places = [(36, 16), (34, 6)].map(|(start, offset)| Checksum::Partial { start, offset });
    assert!(places.into_iter().all(|place| of(&header(true, 100, place), 10).is_none()), "another checksum");
    assert!(of(&header(true, 100, Checksum::Complete), 10).is_none(), "no unfinished checksum");
}

#[test]
fn b03_a_whole_frame_goes_as_it_is() {
    let (frame, _) = honest(300);
    for checksum in [Checksum::Complete, Checksum::Partial { start: 34, offset: 16 }] {
        for places in [vec![], vec![0, 20, 20], vec![7; 18]] {
            let slices = cut(&frame, &places);
            let work = Work { gso: None, checksum };
            let write = straight(&slices, Ask::of(&work).unwrap()).expect("the straight line");
            assert!(write[LONGEST..] == frame && general(&slices, work) == Some(vec![write]), "{places:?}");
        }
    }
}

fn any_checksum() -> impl Strategy<Value = Checksum> {
    prop_oneof![
        Just(Checksum::Complete),
        Just(Checksum::Partial { start: 34, offset: 16 }),
        (0_u16..100, 0_u16..300).prop_map(|(start, offset)| Checksum::Partial { start, offset }),
    ]
}

proptest! {
    /// Whatever the frame: the straight line does as the general way does, or nothing.
    #[test]
    fn b03_b16_the_straight_line_does_as_the_general_way(
        payload in prop_oneof![0_usize..300, 60_000_usize..65_600],
        places in proptest::collection::vec(0_usize..400, 0..5),
        spoilt in proptest::collection::vec((0_usize..FRONT + 4, any::<u8>()), 0..4),
        segment_size in prop_oneof![Just(0_u16), 1_u16..200],
        header_len in prop_oneof![Just(54_u16), 0_u16..80],
        oversized in any::<bool>(),
        checksum in any_checksum(),
    ) {
        let (mut frame, gso) = honest(payload);
        for (at, value) in spoilt {
            if let Some(byte) = frame.get_mut(at) { *byte = value }
        }
        let slices = cut(&frame, &places);
        let gso = oversized.then_some(Gso { segment_size, header_len, ..gso });
        let work = Work { gso, checksum };
        if let Some(write) = Ask::of(&work).and_then(|ask| straight(&slices, ask)) {
            let same = general(&slices, work) == Some(vec![write]);
            prop_assert!(same, "by a context");
        }
        let fields = header(oversized, segment_size, checksum);
        let ask = Ask::of_header(&Borrowed(&[IoSlice::new(&fields)]), fields.len());
        if let Some(write) = ask.and_then(|ask| straight(&slices, ask)) {
            let (gso, checksum) = vnet_header::interpret_behind(&fields, Borrowed(&slices)).unwrap();
            let same = general(&slices, Work { gso, checksum }) == Some(vec![write]);
            prop_assert!(same, "by a virtio-net header");
        }
    }
}

/// A driver's header; what it says of the headers' length is wrong, since that is not to be looked at.
fn header(oversized: bool, segment_size: u16, checksum: Checksum) -> [u8; 10] {
    let (flags, start, offset) = match checksum {
        Checksum::Complete => (0, 0, 0),
        Checksum::Partial { start, offset } => (1, start, offset),
    };
    let words = [0x0909, if oversized { segment_size } else { 0 }, start, offset];
    let mut fields = [flags, u8::from(oversized), 0, 0, 0, 0, 0, 0, 0, 0];
    for (at, word) in words.into_iter().enumerate() {
        fields[2 + 2 * at..][..2].copy_from_slice(&word.to_le_bytes());
    }
    fields
}

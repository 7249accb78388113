//! A frame in guest memory makes the same segments as one in borrowed slices, however it is scattered and aligned.
// UNSAFETY: the raw form is what is tested.
#![expect(unsafe_code, reason = "the raw form of send")]

use std::io::IoSlice;
use std::os::unix::net::UnixDatagram;

use tap_plumb::{Backend, Checksum, Frame, Gso, RawSlice, Tap, TransmitError};

use crate::datagrams;
use crate::frames::{KINDS, Random, Recipe, keep};

/// A backend, and the host's end of its wire: a datagram socket pair is a TAP.
fn backend() -> (Backend, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    (Backend::new(Tap::from_fd(ours.into()).unwrap()), host)
}

/// What was sent since `taken` segments, all of which the host has taken.
fn drain(backend: &Backend, host: &UnixDatagram, taken: &mut u64) -> Vec<Vec<u8>> {
    let sent = backend.statistics().transmit.segments_sent;
    datagrams::drain(host, sent - std::mem::replace(taken, sent))
}

fn send_raw(
    backend: &Backend,
    memory: &mut [u8],
    cuts: &mut Random,
    gso: Option<Gso>,
    checksum: Checksum,
) -> Result<(), TransmitError> {
    let (start, len) = (memory.as_mut_ptr(), memory.len());
    let mut slices = Vec::new();
    let mut at = 0;
    while at < len {
        // The last slice takes what is left: a call takes few of them on some systems, and headers need some.
        let part = if slices.len() + 4 < datagrams::most_slices() {
            cuts.pick(&[0, 1, 7, 8, 9, 31, 1000, len]).min(len - at)
        } else {
            len - at
        };
        slices.push(RawSlice::new(start.wrapping_add(at), part));
        at += part;
    }
    let mut session = backend.begin_transmit().unwrap();
    // SAFETY: all slices lie in `memory`, borrowed until the end of this function and not touched during the call.
    unsafe { session.send_raw(&slices, gso, checksum) }
}

/// A frame of few segments, since the queue of a socket pair is short.
fn small(random: &mut Random) -> Recipe {
    let mut recipe = Recipe::random(random.pick(&KINDS), random);
    recipe.payload_len = random.within(1, 3000);
    recipe.segment_size = random.within(recipe.payload_len.div_ceil(7).max(56), 3200) as u16;
    recipe
}

/// Row B2.
#[test]
fn guest_memory_makes_the_same_segments() {
    let (backend, host) = backend();
    let mut taken = 0;
    let mut random = Random(0x7261_7731);
    for _ in 0..600 {
        let recipe = small(&mut random);
        let (bytes, gso) = recipe.build();
        let mut expected = Vec::new();
        Frame::new(&[IoSlice::new(&bytes)]).gso(gso).carve(0, keep(&mut expected)).unwrap();
        // Any alignment: the sums are taken in words.
        let shift = random.within(0, 15);
        let mut memory = [vec![0; shift], bytes.clone()].concat();
        send_raw(&backend, &mut memory[shift..], &mut random, Some(gso), Checksum::Complete).unwrap();
        assert!(drain(&backend, &host, &mut taken) == expected, "{recipe:?}");
        assert!(memory[shift..] == bytes, "the guest's bytes are its own");
    }
}

#[test]
fn guest_memory_is_completed_the_same() {
    let (backend, host) = backend();
    let mut taken = 0;
    let mut random = Random(0x7261_7732);
    for _ in 0..300 {
        let len = random.within(60, 1600);
        let mut bytes = random.bytes(len);
        let (start, offset) = (random.within(34, 50) as u16, random.within(0, 8) as u16);
        let checksum = Checksum::Partial { start, offset };
        let mut expected = Vec::new();
        Frame::new(&[IoSlice::new(&bytes)]).checksum(checksum).carve(0, keep(&mut expected)).unwrap();
        send_raw(&backend, &mut bytes, &mut random, None, checksum).unwrap();
        assert!(drain(&backend, &host, &mut taken) == expected);
    }
}

/// Row B1.
#[test]
fn guest_memory_is_held_against_its_context() {
    let (backend, host) = backend();
    let mut taken = 0;
    let mut random = Random(0x7261_7733);
    for _ in 0..300 {
        let (mut bytes, gso) = small(&mut random).build();
        let at = random.within(12, usize::from(gso.header_len) - 1);
        bytes[at] = random.next() as u8;
        let verdict = Frame::new(&[IoSlice::new(&bytes)]).gso(gso).validate();
        let sent = send_raw(&backend, &mut bytes, &mut random, Some(gso), Checksum::Complete);
        match (verdict, sent) {
            (Ok(()), Ok(())) => assert!(!drain(&backend, &host, &mut taken).is_empty()),
            (Err(expected), Err(TransmitError::Rejected(reason))) => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_slice_says_where_it_lies() {
    let mut byte = 7_u8;
    let start = std::ptr::from_mut(&mut byte);
    let (one, none) = (RawSlice::new(start, 1), RawSlice::new(start, 0));
    assert_eq!((one.len(), one.is_empty(), none.is_empty()), (1, false, true));
    assert_eq!(format!("{one:?}"), format!("{start:p}+1"));
}

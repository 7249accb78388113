//! Frames to the guest.

mod support;

use std::time::Duration;

use support::driver::{NEXT, WRITE};
use support::{BORDER, DATA, END, GUEST_CSUM, GUEST_TSO4, MERGEABLE, Rig, SIZE, VERSION_1, frame};

/// `num_buffers` of the header at `address`.
fn buffers(rig: &Rig, address: u64) -> u16 {
    u16::from_le_bytes(rig.receive.read(address + 10, 2).try_into().unwrap())
}

/// Chains of 600 bytes, and behind them as much as the longest frame needs.
fn offer_small_rooms(rig: &mut Rig) {
    for head in 0..SIZE - 1 {
        rig.offer_room(head, &[(DATA + 1024 * u64::from(head), 600)]);
    }
    rig.offer_room(SIZE - 1, &[(BORDER - 100, 0x11000)]);
}

#[test]
fn a_frame_lands_behind_its_header() {
    let mut rig = Rig::new(VERSION_1);
    rig.receive.write(DATA, &[0xff; 12]);
    rig.offer_room(2, &[(DATA, 1600)]);
    rig.host_sends(&frame(700));
    rig.run();
    assert_eq!(rig.receive.used(), [(2, 712)]);
    assert_eq!(rig.receive.read(DATA, 10), [0; 10]);
    assert_eq!(buffers(&rig, DATA), 1);
    assert_eq!(rig.receive.read(DATA + 12, 700), frame(700));
}

#[test]
fn a_header_may_lie_apart_and_in_pieces() {
    let mut rig = Rig::new(VERSION_1);
    rig.offer_room(0, &[(DATA, 5), (DATA + 100, 7), (DATA + 200, 100), (DATA + 400, 1600)]);
    rig.host_sends(&frame(700));
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 712)]);
    assert_eq!(rig.receive.read(DATA + 105, 2), [1, 0]);
    assert_eq!(rig.receive.read(DATA + 200, 100), frame(700)[..100]);
    assert_eq!(rig.receive.read(DATA + 400, 600), frame(700)[100..]);
}

#[test]
fn a_long_frame_fills_as_many_chains_as_it_needs() {
    let mut rig = Rig::new(VERSION_1 | MERGEABLE);
    offer_small_rooms(&mut rig);
    rig.host_sends(&frame(1500));
    rig.host_sends(&frame(60));
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 600), (1, 600), (2, 312), (3, 72)]);
    assert_eq!((buffers(&rig, DATA), buffers(&rig, DATA + 3 * 1024)), (3, 1));
    let places = [(12, 588), (1024, 600), (2048, 312)];
    let bytes: Vec<u8> = places.iter().flat_map(|(at, len)| rig.receive.read(DATA + at, *len)).collect();
    assert_eq!(bytes, frame(1500));
    assert_eq!(rig.receive.read(DATA + 3 * 1024 + 12, 60), frame(60));
}

#[test]
fn a_full_ring_is_all_there_will_be() {
    let mut rig = Rig::new(VERSION_1 | MERGEABLE);
    for head in 0..SIZE {
        rig.offer_room(head, &[(DATA + 1024 * u64::from(head), 600)]);
    }
    rig.host_sends(&frame(1500));
    rig.run();
    assert_eq!(rig.receive.used().len(), 3);
}

#[test]
fn chains_that_were_not_needed_stay_the_drivers() {
    let mut rig = Rig::new(VERSION_1 | MERGEABLE);
    offer_small_rooms(&mut rig);
    for head in 0..SIZE - 1 {
        rig.host_sends(&frame(60));
        rig.run();
        assert_eq!(rig.receive.used(), [(u32::from(head), 72)]);
    }
}

#[test]
fn a_ring_with_room_asks_for_no_kick() {
    let mut rig = Rig::new(VERSION_1);
    rig.offer_room(0, &[(DATA, 2000)]);
    rig.run();
    assert!(!rig.receive.kick_wanted());
}

#[test]
fn a_frame_waits_for_room() {
    let mut rig = Rig::new(VERSION_1);
    rig.host_sends(&frame(60));
    rig.run();
    assert!(rig.receive.kick_wanted());
    assert_eq!(rig.pair.backend.statistics().receive.frames_received, 0);
    assert!(rig.pair.counts.receive_waits.get() > 0);
    rig.offer_room(0, &[(DATA, 2000)]);
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 72)]);
}

#[test]
fn a_driver_that_never_offers_enough_is_served_after_a_while() {
    let mut rig = Rig::new(VERSION_1 | MERGEABLE);
    rig.offer_room(0, &[(DATA, 600)]);
    rig.host_sends(&frame(60));
    rig.run();
    assert_eq!(rig.receive.used(), [], "a longer frame might have come");
    rig.run();
    assert_eq!(rig.receive.used(), []);
    std::thread::sleep(Duration::from_millis(1100));
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 72)]);
}

#[test]
fn a_frame_that_does_not_fit_is_dropped_whole() {
    let mut rig = Rig::new(VERSION_1);
    rig.offer_room(0, &[(DATA, 100)]);
    rig.host_sends(&frame(700));
    rig.host_sends(&frame(60));
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 72)]);
    assert_eq!(rig.pair.backend.statistics().receive.truncated, 1);
}

/// Row V7.
#[test]
fn an_empty_datagram_is_no_end() {
    let mut rig = Rig::new(VERSION_1);
    rig.offer_room(0, &[(DATA, 2000)]);
    rig.host.send(&[]).unwrap();
    rig.host_sends(&frame(60));
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 72)]);
    assert_eq!(rig.pair.backend.statistics().receive.runt, 1);
}

#[test]
fn a_legacy_guest_has_a_shorter_header_than_the_tap() {
    let mut rig = Rig::new(0);
    rig.offer_room(0, &[(DATA, 10), (DATA + 100, 1600)]);
    rig.host_sends(&frame(60));
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 70)]);
    assert_eq!(rig.receive.read(DATA + 100, 60), frame(60));
}

#[test]
fn a_bare_tap_needs_no_header() {
    let mut rig = Rig::with(VERSION_1, 0, false);
    rig.receive.write(DATA, &[0xff; 12]);
    rig.offer_room(0, &[(DATA, 1600)]);
    rig.host.send(&frame(60)).unwrap();
    rig.run();
    assert_eq!(rig.receive.used(), [(0, 72)]);
    assert_eq!(rig.receive.read(DATA, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(rig.receive.read(DATA + 12, 60), frame(60));
}

#[test]
fn what_the_guest_did_not_agree_to_is_dropped_and_counted() {
    let unfinished = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0];
    let oversized = [1, 1, 54, 0, 100, 0, 34, 0, 16, 0, 0, 0];
    let known_good = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let cases = [
        (VERSION_1, unfinished, None),
        (VERSION_1, known_good, Some(0)),
        (VERSION_1 | GUEST_CSUM, unfinished, Some(1)),
        (VERSION_1 | GUEST_CSUM, known_good, Some(2)),
        (VERSION_1 | GUEST_CSUM, oversized, None),
        (VERSION_1 | GUEST_CSUM | GUEST_TSO4, oversized, Some(1)),
    ];
    for (features, header, flags) in cases {
        let mut rig = Rig::new(features);
        rig.offer_room(0, &[(DATA, 2000)]);
        rig.host.send(&[&header[..], &frame(700)].concat()).unwrap();
        rig.run();
        assert_eq!(rig.receive.used().len(), usize::from(flags.is_some()), "{features:#x} {header:?}");
        assert_eq!(rig.pair.counts.receive_not_agreed.get(), u64::from(flags.is_none()));
        if let Some(flags) = flags {
            assert_eq!(rig.receive.read(DATA, 1), [flags]);
        }
    }
}

/// A name, and what makes the chain that starts with descriptor 5 bad.
type Case = (&'static str, fn(&mut Rig));

#[test]
fn bad_chains_come_back_in_order_and_are_counted() {
    let cases: [Case; 6] = [
        ("outside memory", |rig| rig.receive.describe(5, END - 10, 60, WRITE, 0)),
        ("readable", |rig| rig.receive.describe(5, DATA, 2000, 0, 0)),
        ("partly readable", |rig| {
            rig.receive.describe(5, DATA, 100, WRITE | NEXT, 6);
            rig.receive.describe(6, DATA, 100, 0, 0);
        }),
        ("endless", |rig| rig.receive.describe(5, DATA, 60, WRITE | NEXT, 5)),
        ("empty", |rig| rig.receive.describe(5, DATA, 0, WRITE, 0)),
        ("shorter than a header", |rig| rig.receive.describe(5, DATA, 11, WRITE, 0)),
    ];
    for (name, bad) in cases {
        let mut rig = Rig::new(VERSION_1 | MERGEABLE);
        bad(&mut rig);
        rig.offer_room(0, &[(DATA, 600)]);
        rig.receive.offer(5);
        for head in 8..SIZE {
            rig.offer_room(head, &[(DATA + 1024 * u64::from(head), 9000)]);
        }
        rig.host_sends(&frame(60));
        rig.host_sends(&frame(61));
        rig.run();
        assert_eq!(rig.receive.used(), [(0, 72), (5, 0), (8, 73)], "{name}");
        assert_eq!(rig.pair.counts.receive.bad_chains.get(), 1, "{name}");
    }
}

#[test]
fn a_driver_that_wants_no_interrupt_gets_none() {
    for (event_idx, flags, event, wanted) in
        [(false, 0, 0, true), (false, 1, 0, false), (true, 1, 0, true), (true, 0, 7, false)]
    {
        let mut rig = Rig::with(VERSION_1, 12, event_idx);
        rig.receive.suppress(flags, event);
        rig.offer_room(0, &[(DATA, 2000)]);
        rig.host_sends(&frame(60));
        rig.run();
        assert_eq!(rig.receive.used().len(), 1);
        assert_eq!(
            rig.pair.counts.receive.interrupts.get(),
            u64::from(wanted),
            "{event_idx} {flags} {event}"
        );
    }
}

#[test]
fn what_was_queued_before_the_guest_came_is_dropped_and_counted() {
    let mut rig = Rig::new(VERSION_1);
    rig.pair.set_up(|work| work.rings[0].set_enabled(false));
    rig.run();
    rig.host_sends(&frame(60));
    rig.pair.set_up(|work| work.rings[0].set_enabled(true));
    rig.offer_room(0, &[(DATA, 2000)]);
    rig.run();
    assert_eq!(rig.receive.used(), []);
    assert_eq!(rig.pair.backend.statistics().receive.stale, 1);
}

//! Frames from the guest.

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use support::driver::{Driver, INDIRECT, NEXT, WRITE};
use tap_plumb_vhost_user::counts::Counts;
use tap_plumb_vhost_user::features::Negotiated;
use tap_plumb_vhost_user::memory::Memory;
use tap_plumb_vhost_user::message::Addresses;
use tap_plumb_vhost_user::ring::Ring;
use tap_plumb_vhost_user::transmit::{Pause, Transmit};
use tap_plumb_vhost_user::vring::Vring;

use support::{BORDER, DATA, END, GUEST_CSUM, MERGEABLE, Rig, SIZE, VERSION_1, backend, frame, wire};

#[test]
fn a_scattered_frame_arrives_in_one_piece() {
    let mut rig = Rig::new(VERSION_1);
    let bytes = frame(900);
    rig.offer_frame(3, &[(DATA, &[0; 12]), (DATA + 100, &bytes[..1]), (DATA + 5000, &bytes[1..])]);
    rig.run();
    assert_eq!(rig.sent().unwrap()[12..], bytes);
    assert_eq!(rig.transmit.used(), [(3, 0)]);
}

#[test]
fn a_header_may_share_a_slice_and_straddle_two() {
    let mut rig = Rig::new(VERSION_1);
    let bytes = frame(60);
    rig.offer_frame(0, &[(DATA, &[&[0; 12][..], &bytes].concat())]);
    rig.offer_frame(1, &[(DATA + 4096, &[0; 5]), (DATA + 8192, &[&[0; 7][..], &bytes].concat())]);
    rig.run();
    assert_eq!(rig.sent().unwrap()[12..], bytes);
    assert_eq!(rig.sent().unwrap()[12..], bytes);
    assert_eq!(rig.transmit.used(), [(0, 0), (1, 0)]);
}

#[test]
fn a_legacy_guest_has_a_shorter_header_than_the_tap() {
    let mut rig = Rig::new(0);
    let bytes = frame(60);
    rig.offer_frame(0, &[(DATA, &[&[0; 10][..], &bytes].concat())]);
    rig.run();
    assert_eq!(rig.sent().unwrap(), [&[0; 12][..], &bytes].concat());
}

#[test]
fn a_bare_tap_gets_no_header() {
    let mut rig = Rig::with(VERSION_1, 0, false);
    let bytes = frame(60);
    rig.offer_frame(0, &[(DATA, &[&[0; 12][..], &bytes].concat())]);
    rig.run();
    assert_eq!(rig.sent().unwrap(), bytes);
}

#[test]
fn a_frame_may_cross_regions_of_memory() {
    let mut rig = Rig::new(VERSION_1);
    let bytes = frame(200);
    rig.offer_frame(0, &[(DATA, &[0; 12]), (BORDER - 90, &bytes)]);
    rig.run();
    assert_eq!(rig.sent().unwrap()[12..], bytes);
}

#[test]
fn an_indirect_table_is_followed() {
    let mut rig = Rig::new(VERSION_1);
    let bytes = frame(60);
    let table = DATA + 0x8000;
    rig.transmit.write(DATA + 12, &bytes);
    // The table is written by the same hand as the ring's own, which begins at `base`.
    let at = ((table - rig.transmit.base) / 16) as u16;
    rig.transmit.describe(at, DATA, 12, NEXT, 1);
    rig.transmit.describe(at + 1, DATA + 12, 60, 0, 0);
    rig.transmit.describe(0, table, 32, INDIRECT, 0);
    rig.transmit.offer(0);
    rig.run();
    assert_eq!(rig.sent().unwrap()[12..], bytes);
}

#[test]
fn an_idle_ring_asks_for_a_kick() {
    for event_idx in [false, true] {
        let mut rig = Rig::with(VERSION_1, 12, event_idx);
        for head in 0..3 {
            rig.offer_frame(head, &[(DATA, &[&[0; 12][..], &frame(60)].concat())]);
            rig.run();
            assert!(rig.transmit.kick_wanted(), "or the next frame stays where it is");
        }
    }
}

#[test]
fn a_full_tap_keeps_the_frame_for_later() {
    let mut rig = Rig::new(VERSION_1);
    rustix::net::sockopt::set_socket_send_buffer_size(&rig.pair.backend, 1).unwrap();
    let mut offered = 0;
    while rig.pair.backend.statistics().transmit.would_block == 0 {
        let bytes = [&[0; 12][..], &[offered as u8 + 1; 60]].concat();
        rig.offer_frame(offered % SIZE, &[(DATA + u64::from(offered) * 128, &bytes)]);
        offered += 1;
        rig.run();
        assert!(offered < SIZE, "the socket never fills");
    }
    let sent = rig.transmit.used().len();
    assert_eq!(sent, usize::from(offered) - 1, "the refused frame's chain is not completed");
    for number in 0..offered {
        rig.run();
        assert_eq!(rig.sent().expect("nothing is lost")[12], number as u8 + 1, "and nothing overtakes");
    }
    rig.run();
    assert_eq!(rig.transmit.used().len() + sent, usize::from(offered));
    assert_eq!(rig.sent(), None, "and nothing comes twice");
}

/// Offers what `bad` describes at descriptor 5, then a good frame, and looks that the one does not hurt the other.
fn refuses(bad: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::new(VERSION_1);
    bad(&mut rig);
    rig.transmit.offer(5);
    rig.offer_frame(0, &[(DATA, &[&[0; 12][..], &frame(60)].concat())]);
    rig.run();
    assert_eq!(rig.sent().expect("the good frame")[12..], frame(60));
    assert_eq!(rig.sent(), None);
    rig
}

/// A name, and what makes the chain that starts with descriptor 5 bad.
type Case = (&'static str, fn(&mut Rig));

#[test]
fn bad_chains_come_back_and_are_counted() {
    let cases: [Case; 7] = [
        ("outside memory", |rig| rig.transmit.describe(5, END - 10, 60, 0, 0)),
        ("address overflow", |rig| rig.transmit.describe(5, u64::MAX - 5, 60, 0, 0)),
        ("endless", |rig| rig.transmit.describe(5, DATA, 60, NEXT, 5)),
        ("next outside the ring", |rig| rig.transmit.describe(5, DATA, 60, NEXT, SIZE)),
        ("writable", |rig| rig.transmit.describe(5, DATA, 60, WRITE, 0)),
        ("empty", |rig| rig.transmit.describe(5, DATA, 0, 0, 0)),
        ("table of a wrong size", |rig| rig.transmit.describe(5, DATA, 60, INDIRECT, 0)),
    ];
    for (name, bad) in cases {
        let mut rig = refuses(bad);
        assert_eq!(rig.transmit.used(), [(5, 0), (0, 0)], "{name}");
        assert_eq!(rig.pair.counts.transmit.bad_chains.get(), 1, "{name}");
    }
}

#[test]
fn bad_frames_come_back_and_the_crate_counts_them() {
    let mut rig = refuses(|rig| rig.transmit.describe(5, DATA, 15, 0, 0));
    assert_eq!(rig.transmit.used(), [(5, 0), (0, 0)]);
    assert_eq!(rig.pair.backend.statistics().transmit.runt, 1);

    let mut rig = refuses(|rig| {
        rig.transmit.write(DATA + 512, &[0, 9, 0, 0, 0, 0]);
        rig.transmit.describe(5, DATA + 512, 100, 0, 0);
    });
    assert_eq!(rig.transmit.used(), [(5, 0), (0, 0)]);
    assert_eq!(rig.pair.backend.statistics().transmit.rejected, 1);
}

/// Row V4.
#[test]
fn what_was_not_agreed_on_is_dropped_and_counted() {
    for (flags, kind) in [(1, 0), (1, 1), (0, 1), (1, 3), (1, 4), (1, 5), (0, 0x80), (1, 0x81)] {
        let mut rig = refuses(|rig| {
            rig.transmit.write(
                DATA + 512,
                &[&[flags, kind, 54, 0, 8, 0, 34, 0, 16, 0, 0, 0][..], &frame(600)].concat(),
            );
            rig.transmit.describe(5, DATA + 512, 612, 0, 0);
        });
        assert_eq!(rig.transmit.used(), [(5, 0), (0, 0)], "{flags} {kind:#x}");
        assert_eq!(rig.pair.counts.transmit_not_agreed.get(), 1, "{flags} {kind:#x}");
        assert_eq!(rig.pair.backend.statistics().transmit.frames_offered, 1, "{flags} {kind:#x}");
    }
}

/// A batch over chains that all lead to one frame of 64 KiB, to be cut into segments of 8 bytes on a bare TAP.
fn costly_batch(ending: bool) -> (Pause, u64, usize) {
    let memory = Arc::new(Memory::anonymous(&[(0, 0x80000)]).unwrap());
    let mut driver = Driver::new(&memory, 0, SIZE);
    let mut header = vec![1, 1, 54, 0, 8, 0, 34, 0, 16, 0, 0, 0];
    header.extend(tcp(60_000));
    driver.write(DATA, &header);
    for head in 0..SIZE {
        driver.chain(head, &[(DATA, header.len() as u32)], 0);
        driver.offer(head);
    }
    let (near, host) = wire();
    host.set_nonblocking(false).unwrap();
    // A datagram socket does not tell that its other end is closed.
    host.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let drain = std::thread::spawn(move || while host.recv(&mut [0; 100]).is_ok_and(|len| len > 0) {});
    let backend = backend(near, 0);
    let (guest, counts) = (Negotiated::new(VERSION_1 | 1 | 1 << 11), Counts::default());
    let (mut vring, mut slices, ending) = (driver.vring(false), Vec::new(), AtomicBool::new(ending));
    let mut ring = Ring::new(&mut vring, &memory).unwrap();
    let mut pause = Pause::Blocked;
    let mut batch =
        Transmit { backend: &backend, guest: &guest, slices: &mut slices, counts: &counts, ending: &ending };
    // A full socket is no end of a batch to us.
    while pause == Pause::Blocked {
        pause = batch.drain(&mut ring).unwrap();
    }
    let sent = backend.statistics().transmit.frames_sent;
    drain.join().unwrap();
    (pause, sent, driver.used().len())
}

/// A TCP frame over IPv4 of `payload` bytes.
fn tcp(payload: u16) -> Vec<u8> {
    let mut bytes = vec![0; 54];
    bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
    bytes[16..18].copy_from_slice(&(40 + payload).to_be_bytes());
    bytes[22..24].copy_from_slice(&[64, 6]);
    bytes[46..48].copy_from_slice(&[0x50, 0x10]);
    bytes.extend(frame(payload.into()));
    bytes
}

#[test]
fn a_frame_that_a_full_tap_took_in_part_goes_on_where_it_stopped() {
    let mut rig = Rig::with(VERSION_1 | 1 | 1 << 11, 0, false);
    rustix::net::sockopt::set_socket_send_buffer_size(&rig.pair.backend, 1).unwrap();
    let header = [1, 1, 54, 0, 100, 0, 34, 0, 16, 0, 0, 0];
    rig.offer_frame(0, &[(DATA, &[&header[..], &tcp(2000)].concat())]);
    let mut payload = Vec::new();
    for _ in 0..100 {
        rig.run();
        while let Some(segment) = rig.sent() {
            payload.extend_from_slice(&segment[54..]);
        }
    }
    assert!(rig.pair.backend.statistics().transmit.would_block > 0, "the socket never fills");
    assert!(payload == frame(2000), "{} bytes of payload", payload.len());
    assert_eq!(rig.transmit.used(), [(0, 0)]);
}

/// Row V4.
#[test]
fn a_batch_is_bounded_by_segments() {
    assert_eq!(costly_batch(false), (Pause::More, 1, 1));
}

/// Row V4.
#[test]
fn the_end_is_looked_at_between_frames() {
    assert_eq!(costly_batch(true), (Pause::More, 0, 0));
}

/// Row V4.
#[test]
fn a_chain_of_too_many_parts_is_refused() {
    let mut rig = refuses(|rig| {
        let table = DATA + 0x8000;
        let first = ((table - rig.transmit.base) / 16) as u16;
        for part in 0..1100 {
            rig.transmit.describe(first + part, DATA, 1, NEXT, part + 1);
        }
        rig.transmit.describe(first + 1100, DATA, 1, 0, 0);
        rig.transmit.describe(5, table, 1101 * 16, INDIRECT, 0);
    });
    assert_eq!(rig.transmit.used(), [(5, 0), (0, 0)]);
    assert_eq!(rig.pair.counts.transmit.bad_chains.get(), 1);
}

#[test]
fn a_head_outside_the_ring_is_left_out() {
    let mut rig = Rig::new(VERSION_1);
    rig.transmit.offer(SIZE + 3);
    rig.offer_frame(0, &[(DATA, &[&[0; 12][..], &frame(60)].concat())]);
    rig.run();
    assert_eq!(rig.transmit.used(), [(0, 0)]);
    assert_eq!(rig.pair.counts.transmit.bad_chains.get(), 1);
}

#[test]
fn an_impossible_index_stops_the_ring_and_not_us() {
    let mut rig = Rig::new(VERSION_1);
    rig.transmit.claim(SIZE + 1);
    rig.run();
    assert_eq!(rig.pair.counts.transmit.bad_rings.get(), 1);
    assert_eq!(rig.transmit.used(), []);
    // The other direction goes on.
    rig.offer_room(0, &[(DATA, 2000)]);
    rig.host_sends(&frame(60));
    rig.run();
    assert_eq!(rig.receive.used().len(), 1);
}

#[test]
fn a_ring_outside_memory_is_left_alone() {
    let rig = Rig::new(VERSION_1 | MERGEABLE | GUEST_CSUM);
    let outside = Addresses { table: END, available: END + 0x4000, used: END + 0x5000 };
    rig.pair.set_up(|work| work.rings[1] = Vring::at(&rig.memory, SIZE, outside, false));
    rig.run();
    assert_eq!(rig.pair.backend.statistics().transmit.frames_offered, 0);
}

//! A hypervisor connects.

mod support;

use std::io::Write;
use std::os::unix::net::UnixStream;

use support::frame;
use support::hypervisor::{Guest, Host, PATIENCE, exchange, host_receives};
use vhost::VhostBackend;
use vhost::vhost_user::VhostUserFrontend;

#[test]
fn frames_cross_both_ways_though_rings_were_enabled_too_early() {
    let mut host = Host::new("cross", 1);
    let mut guest = Guest::connect(&host, 1);
    for _ in 0..3 {
        exchange(&host, &mut guest, 0);
    }
    host.end();
}

#[test]
fn each_pair_has_a_tap_queue_of_its_own() {
    let mut host = Host::new("pairs", 2);
    let mut guest = Guest::connect(&host, 2);
    exchange(&host, &mut guest, 1);
    exchange(&host, &mut guest, 0);
    host.end();
}

#[test]
fn a_pair_that_is_enabled_later_works_from_then_on() {
    let mut host = Host::new("later", 2);
    let mut guest = Guest::connect(&host, 1);
    exchange(&host, &mut guest, 0);
    for ring in 2..4 {
        guest.frontend.set_vring_enable(ring, true).unwrap();
    }
    exchange(&host, &mut guest, 1);
    host.end();
}

#[test]
fn a_ring_that_is_stopped_says_where_and_goes_on_there() {
    let mut host = Host::new("stopped", 1);
    let mut guest = Guest::connect(&host, 1);
    guest.send(0, &frame(60));
    host_receives(&host.wires[0]);
    assert_eq!(guest.frontend.get_vring_base(1).unwrap(), 1);
    guest.frontend.set_vring_base(1, 1).unwrap();
    let kick = guest.rings[1].kick.try_clone().unwrap();
    let call = guest.rings[1].call.try_clone().unwrap();
    guest.frontend.set_vring_call(1, &call).unwrap();
    guest.frontend.set_vring_kick(1, &kick).unwrap();
    guest.send(0, &frame(61));
    assert_eq!(host_receives(&host.wires[0]), frame(61));
    host.end();
}

#[test]
fn who_breaks_the_protocol_loses_only_his_own_connection() {
    let mut host = Host::new("breaks", 1);
    let broken: [&[u32]; 4] = [&[1, 1, u32::MAX], &[999, 1, 0], &[18, 1], &[5, 1, 8, 8, 0]];
    for words in broken {
        let mut stream = UnixStream::connect(&host.path).unwrap();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut rest).expect("the connection is closed");
    }
    let mut guest = Guest::connect(&host, 1);
    exchange(&host, &mut guest, 0);
    host.end();
}

#[test]
fn the_end_comes_though_nobody_has_called() {
    Host::new("nobody", 1).end();
}

#[test]
fn a_guest_that_dies_leaves_its_pair_at_rest() {
    let mut host = Host::new("dies", 1);
    let guest = Guest::connect(&host, 1);
    drop(guest);
    host.wires[0].send(&[&[0; 12][..], &frame(60)].concat()).unwrap();
    let mut guest = Guest::connect(&host, 1);
    // What was queued goes when the device finds the new guest, which it has by now.
    guest.send(0, &frame(60));
    guest.make_room(0);
    host.wires[0].send(&[&[0; 12][..], &frame(61)].concat()).unwrap();
    assert_eq!(guest.received(0), frame(61), "the frame for the dead guest is not for the next");
    host.end();
}

#[test]
fn a_busy_pair_can_be_set_up_at_once() {
    let mut host = Host::new("busy", 1);
    let mut guest = Guest::connect(&host, 1);
    guest.send(0, &frame(60));
    // Always something to send: an index that runs away from the device as fast as it follows.
    let wire = host.wires[0].try_clone().unwrap();
    wire.set_nonblocking(false).unwrap();
    wire.set_read_timeout(Some(PATIENCE / 10)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| while wire.recv(&mut [0; 100]).is_ok() {});
        let Guest { frontend, rings, .. } = &mut guest;
        let transmit = &mut rings[1];
        let running = &done;
        scope.spawn(move || {
            while !running.load(std::sync::atomic::Ordering::Relaxed) {
                let used = transmit.driver.used_index();
                transmit.driver.claim(used.wrapping_add(transmit.driver.size));
                transmit.kick.write(1).unwrap();
            }
        });
        let start = std::time::Instant::now();
        for _ in 0..50 {
            frontend.set_vring_enable(0, true).unwrap();
            frontend.get_features().unwrap();
        }
        let elapsed = start.elapsed();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(elapsed < PATIENCE / 5, "{elapsed:?}");
    });
    host.end();
}

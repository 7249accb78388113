//! Duplicate address detection and resolution, in virtual time.

use std::time::Duration;

use streams_model::abi::{I_LINK, IFF_DUPLICATE, IFF_IPV6};
use streams_model::{DEFAULT_MAC, Errno};

use crate::caller::{Caller, GUEST_MAC, Plumbed, arp_request, echo_request};
use crate::{GUEST, HOST, done, failed, up_and_quiet};

fn just_up() -> (Caller, Plumbed) {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    caller.set_address(plumbed.mux, "tap0", HOST);
    assert_eq!(caller.set_up(plumbed.mux, "tap0", true), done(0));
    (caller, plumbed)
}

/// The times, in milliseconds, at which frames appear on a control stream during `seconds`, with their lengths.
fn times(caller: &mut Caller, control: i32, seconds: u64) -> Vec<(u64, usize)> {
    let start = caller.kernel.now();
    let mut seen = Vec::new();
    for frame in caller.drain(control) {
        seen.push((0, frame.len()));
    }
    while caller.kernel.now() < start + Duration::from_secs(seconds) {
        caller.kernel.advance(Duration::from_millis(50));
        let at = (caller.kernel.now() - start).as_millis() as u64;
        seen.extend(caller.drain(control).iter().map(|frame| (at, frame.len())));
    }
    seen
}

#[test]
fn probes_then_announcements_then_silence() {
    let (mut caller, plumbed) = just_up();
    let at = [800, 2200, 3700, 5250, 7250, 9250, 11250, 13250];
    assert_eq!(times(&mut caller, plumbed.control, 300), at.map(|at| (at, 42)));
    assert_eq!(
        times(&mut caller, plumbed.control, 600),
        [(13_250, 42), (313_250, 42)],
        "then every five minutes"
    );
}

#[test]
fn arp_is_answered_only_when_detection_is_over() {
    let (mut caller, plumbed) = just_up();
    let answered = |caller: &mut Caller, at| {
        let now = caller.kernel.now();
        caller.kernel.advance(Duration::from_millis(at) - now);
        caller.drain(plumbed.control);
        caller.write(plumbed.control, &arp_request(GUEST, HOST));
        caller.drain(plumbed.control).iter().any(|frame| frame[..6] == GUEST_MAC)
    };
    assert!(!answered(&mut caller, 100));
    assert!(!answered(&mut caller, 5_249));
    assert!(answered(&mut caller, 5_251));
}

/// Row I4.
#[test]
fn a_conflict_takes_the_address_away_and_it_comes_back() {
    let (mut caller, plumbed) = just_up();
    caller.kernel.advance(Duration::from_secs(1));
    let mut claim = arp_request(HOST, GUEST);
    claim[21] = 2;
    caller.write(plumbed.control, &claim);
    let state = &caller.kernel.interface_states()[0];
    assert!(!state.is_up() && state.flags.is_some_and(|flags| flags & IFF_DUPLICATE != 0));
    assert!(caller.kernel.take_console()[0].contains("02:00:00:00:00:02"));
    caller.drain(plumbed.control);
    caller.kernel.advance(Duration::from_secs(60));
    assert_eq!(caller.drain(plumbed.control).len(), 0);
    caller.kernel.advance(Duration::from_secs(400));
    let state = &caller.kernel.interface_states()[0];
    assert!(state.is_up() && state.flags.is_some_and(|flags| flags & IFF_DUPLICATE == 0));
    assert_eq!(caller.close(plumbed.mux), done(0));
}

/// The reply of a guest that has the host's own address.
fn claim() -> Vec<u8> {
    let mut reply = arp_request(HOST, [0; 4]);
    reply[..6].copy_from_slice(&DEFAULT_MAC);
    reply[21] = 2;
    reply
}

fn is_duplicate(caller: &Caller) -> bool {
    let state = &caller.kernel.interface_states()[0];
    let marked = state.flags.is_some_and(|flags| flags & IFF_DUPLICATE != 0);
    assert_ne!(state.is_up(), marked);
    marked
}

const DUPLICATE: &str = "tap0 has duplicate address 10.77.0.1 (in use by 02:00:00:00:00:02); disabled";
const RECOVERED: &str = "recovered address ::ffff:10.77.0.1 on tap0";

/// Row I4.
#[test]
fn a_reply_takes_the_address_away_at_any_time_of_detection() {
    assert_eq!(IFF_DUPLICATE, 0x40_0000_0000);
    for at in [0, 200, 1000, 3000, 5249] {
        let (mut caller, plumbed) = just_up();
        caller.kernel.advance(Duration::from_millis(at));
        caller.drain(plumbed.control);
        caller.write(plumbed.control, &claim());
        assert!(is_duplicate(&caller), "after {at} ms");
        assert_eq!(caller.kernel.take_console(), [DUPLICATE]);
        // Nothing is sent, and nothing answers, for five minutes.
        caller.write(plumbed.control, &arp_request(GUEST, HOST));
        caller.write(plumbed.control, &echo_request(DEFAULT_MAC, GUEST, HOST, 98));
        assert_eq!(times(&mut caller, plumbed.control, 299), []);
        assert!(is_duplicate(&caller));
        // Then it is tried again, with all that belongs to it; the end of that is told.
        assert_eq!(times(&mut caller, plumbed.control, 20).len(), 8);
        assert_eq!(
            (is_duplicate(&caller), caller.kernel.take_console()),
            (false, vec![RECOVERED.to_owned()])
        );
        caller.write(plumbed.control, &arp_request(GUEST, HOST));
        assert_eq!(caller.drain(plumbed.control).len(), 1);
        assert_eq!(caller.close(plumbed.mux), done(0));
    }
}

/// Row I4.
#[test]
fn a_trial_that_fails_is_not_told_of_and_made_again() {
    let (mut caller, plumbed) = just_up();
    caller.write(plumbed.control, &claim());
    assert_eq!(caller.kernel.take_console(), [DUPLICATE]);
    for _ in 0..3 {
        caller.kernel.advance(Duration::from_secs(301));
        assert!(!is_duplicate(&caller), "it is being tried");
        caller.write(plumbed.control, &claim());
        assert!(is_duplicate(&caller));
        assert_eq!(caller.kernel.take_console(), [""; 0]);
    }
    // Who brings it up by hand begins anew.
    assert_eq!(caller.set_up(plumbed.mux, "tap0", true), done(0));
    caller.write(plumbed.control, &claim());
    assert_eq!(caller.kernel.take_console(), [DUPLICATE]);
    assert_eq!(caller.close(plumbed.mux), done(0));
}

/// Row I4.
#[test]
fn an_address_that_is_ours_is_not_taken_away() {
    let (mut caller, plumbed) = up_and_quiet();
    caller.write(plumbed.control, &claim());
    assert!(!is_duplicate(&caller));
    assert_eq!(caller.kernel.take_console(), [""; 0]);
}

#[test]
fn a_silent_neighbour_is_asked_three_times() {
    let (mut caller, plumbed) = up_and_quiet();
    assert!(caller.kernel.host_sends_udp(5000, [10, 77, 0, 77], 9, &[0; 10]));
    assert_eq!(times(&mut caller, plumbed.control, 10), [(0, 42), (1000, 42), (2000, 42)]);
    caller.write(plumbed.control, &arp_request([10, 77, 0, 77], HOST));
    assert_eq!(caller.drain(plumbed.control).len(), 1, "the datagram is gone, only the reply comes");
    assert!(!caller.kernel.host_sends_udp(5000, [192, 0, 2, 1], 9, &[]), "no way there");
}

#[test]
fn going_down_silences_and_up_starts_again() {
    let (mut caller, plumbed) = up_and_quiet();
    for _ in 0..5 {
        assert_eq!(caller.set_up(plumbed.mux, "tap0", false), done(0));
        caller.write(plumbed.control, &echo_request(DEFAULT_MAC, GUEST, HOST, 98));
        assert_eq!(times(&mut caller, plumbed.control, 20), []);
        assert_eq!(caller.set_up(plumbed.mux, "tap0", true), done(0));
        assert_eq!(times(&mut caller, plumbed.control, 20).len(), 8);
    }
}

#[test]
fn ipv6_solicits_advertises_and_reports() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let mux = caller.must_open("/dev/udp6");
    let ip = caller.ip_stream("tap0", 0, IFF_IPV6);
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(ip)), done(1));
    caller.close(ip);
    assert_eq!(caller.set_up(mux, "tap0", true), done(0));
    let seen = times(&mut caller, control, 20);
    assert_eq!(seen[..6], [(0, 78), (1500, 78), (3000, 78), (4500, 86), (6500, 86), (7100, 90)]);
    assert_eq!(seen.len(), 8);
    assert_eq!(caller.close(mux), done(0));
    assert_eq!(caller.read(control, 100).0, failed(Errno::EAGAIN));
}

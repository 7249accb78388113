//! Packets between guest and host, beyond what the record holds.

use streams_model::DEFAULT_MAC;

use crate::caller::{Caller, Plumbed};
use crate::guest::{GUEST_MAC, arp_request, echo_request};
use crate::{GUEST, HOST, done, up_and_quiet};

/// Makes the guest known to the host.
fn introduce(caller: &mut Caller, plumbed: &Plumbed) {
    caller.write(plumbed.control, &arp_request(GUEST, HOST));
    assert_eq!(caller.drain(plumbed.control).len(), 1);
}

#[test]
fn frames_keep_their_number_and_bytes_both_ways() {
    let (mut caller, plumbed) = up_and_quiet();
    introduce(&mut caller, &plumbed);
    let before = caller.kernel.traffic().written.len();
    let frames: Vec<_> =
        (60..1514).step_by(7).map(|len| echo_request(DEFAULT_MAC, GUEST, HOST, len)).collect();
    for frame in &frames {
        assert_eq!(caller.write(plumbed.control, frame), done(frame.len() as i64));
    }
    let replies = caller.drain(plumbed.control);
    assert_eq!(replies.len(), frames.len());
    for (request, reply) in frames.iter().zip(&replies) {
        assert_eq!(reply.len(), request.len());
        assert_eq!(reply[42..], request[42..], "the payload comes back");
        assert_eq!((&reply[..6], &reply[6..12]), (&GUEST_MAC[..], &DEFAULT_MAC[..]));
    }
    let written: Vec<_> =
        caller.kernel.traffic().written[before..].iter().map(|(_, frame)| frame.clone()).collect();
    assert_eq!(written, frames);
    assert_eq!(caller.kernel.traffic().received.len(), frames.len());
}

#[test]
fn the_host_can_ping_and_be_asked() {
    let (mut caller, plumbed) = up_and_quiet();
    introduce(&mut caller, &plumbed);
    assert!(caller.kernel.host_pings(GUEST, 7, &[9; 56]));
    let ping = caller.drain(plumbed.control).remove(0);
    assert_eq!((ping.len(), ping[34], &ping[40..42]), (98, 8, &[0, 7][..]));
    assert!(caller.kernel.inject_arp_request(0, HOST, GUEST));
    let request = caller.drain(plumbed.control).remove(0);
    assert_eq!((request.len(), &request[38..42]), (42, &GUEST[..]));
    assert!(caller.kernel.inject_arp_request(0, [0; 4], GUEST));
    assert_eq!(caller.drain(plumbed.control)[0][28..42], [&[0; 10][..], &GUEST].concat(), "a probe");
    assert!(!caller.kernel.inject_arp_request(1, HOST, GUEST), "no such PPA");
}

#[test]
fn what_nobody_takes_is_counted() {
    let (mut caller, plumbed) = up_and_quiet();
    let before = caller.kernel.traffic().dropped_writes;
    let mut strange = echo_request(DEFAULT_MAC, GUEST, HOST, 98);
    strange[12] = 0x99;
    assert_eq!(caller.write(plumbed.control, &strange), done(98));
    assert_eq!(caller.kernel.traffic().dropped_writes, before + 1);
    caller.close(plumbed.mux);
    assert_eq!(caller.write(plumbed.control, &echo_request(DEFAULT_MAC, GUEST, HOST, 98)), done(98));
    assert_eq!(caller.kernel.traffic().dropped_writes, before + 2);
}

#[test]
fn a_damaged_packet_is_not_answered() {
    let (mut caller, plumbed) = up_and_quiet();
    introduce(&mut caller, &plumbed);
    for at in [14, 16, 24, 34, 60] {
        let mut damaged = echo_request(DEFAULT_MAC, GUEST, HOST, 98);
        damaged[at] ^= 0x55;
        caller.write(plumbed.control, &damaged);
        assert_eq!(caller.drain(plumbed.control).len(), 0, "byte {at}");
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    let (mut caller, plumbed) = up_and_quiet();
    introduce(&mut caller, &plumbed);
    let mut checksum = |data: &[u8]| {
        assert!(caller.kernel.host_sends_udp(5000, GUEST, 9, data));
        let frame = caller.drain(plumbed.control).remove(0);
        [frame[40], frame[41]]
    };
    let of_zeros = checksum(&[0, 0]);
    assert_eq!(checksum(&of_zeros), [0xff, 0xff]);
}

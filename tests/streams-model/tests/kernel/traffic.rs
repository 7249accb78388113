//! Packets between guest and host, and who answers them: rows of the observed tables that the record of single calls does
//! not hold.

use std::time::Duration;

use streams_model::abi::{I_LINK, I_UNLINK, IFF_IPV4};
use streams_model::{DEFAULT_MAC, Errno, abi};

use crate::caller::{Caller, GUEST_MAC, Plumbed, arp_request, echo_request};
use crate::{GUEST, HOST, done, failed, up_and_quiet};

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

/// Whether ARP and echo are answered on a control stream, for this host address.
fn answers(caller: &mut Caller, control: i32, host: [u8; 4]) -> (usize, usize) {
    let guest = [host[0], host[1], host[2], 2];
    caller.drain(control);
    caller.write(control, &arp_request(guest, host));
    let arp = caller.drain(control).len();
    caller.write(control, &echo_request(DEFAULT_MAC, guest, host, 98));
    (arp, caller.drain(control).len())
}

#[test]
fn twenty_interfaces_at_once_do_not_disturb_each_other() {
    let mut caller = Caller::default();
    let all: Vec<Plumbed> = (0..20).map(|ppa| caller.plumb(&format!("tap{ppa}"), ppa, I_LINK)).collect();
    for (ppa, plumbed) in all.iter().enumerate() {
        let name = format!("tap{ppa}");
        caller.set_address(plumbed.mux, &name, [10, 100, ppa as u8, 1]);
        assert_eq!(caller.set_up(plumbed.mux, &name, true), done(0));
    }
    caller.kernel.advance(Duration::from_secs(20));
    for (ppa, plumbed) in all.iter().enumerate() {
        assert_eq!(answers(&mut caller, plumbed.control, [10, 100, ppa as u8, 1]), (1, 1), "tap{ppa}");
    }
    let probe = caller.must_open("/dev/tap");
    assert_eq!(caller.new_ppa(probe, -1), failed(Errno::ENOMEM));
    for plumbed in all.iter().step_by(2) {
        caller.close(plumbed.mux);
        caller.close(plumbed.control);
    }
    for (ppa, plumbed) in all.iter().enumerate().skip(1).step_by(2) {
        assert_eq!(answers(&mut caller, plumbed.control, [10, 100, ppa as u8, 1]), (1, 1), "tap{ppa}");
    }
    assert_eq!(caller.new_ppa(probe, -1), done(0));
}

#[test]
fn a_name_with_the_wrong_ppa_takes_somebody_elses_frames() {
    let mut caller = Caller::default();
    let owner = caller.control(10);
    let own = caller.control(0);
    let mux = caller.must_open("/dev/udp");
    let ip = caller.must_open("/dev/tap");
    caller.push(ip, "ip");
    // A PPA of 0 means: take it from the name.
    let request = crate::caller::lifreq("tap10", 0, IFF_IPV4);
    assert_eq!(caller.lif(ip, abi::SIOCSLIFNAME, &request).0, done(0));
    let arp = caller.arp_stream("tap10", 10);
    for fd in [ip, arp] {
        assert!(caller.ioctl(mux, I_LINK, i64::from(fd)).result().is_ok());
    }
    caller.set_address(mux, "tap10", HOST);
    assert_eq!(caller.set_up(mux, "tap10", true), done(0));
    caller.kernel.advance(Duration::from_secs(20));
    assert_eq!(caller.drain(own).len(), 0);
    assert_eq!(caller.drain(owner).len(), 8);
    assert_eq!(answers(&mut caller, own, HOST), (0, 0));
    assert_eq!(answers(&mut caller, owner, HOST), (1, 1));
}

#[test]
fn two_names_on_one_ppa_both_answer() {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    let mux = caller.must_open("/dev/udp");
    caller.ip_stream("vm0", 0, IFF_IPV4);
    caller.arp_stream("vm0", 0);
    for (mux, name, address) in [(plumbed.mux, "tap0", HOST), (mux, "vm0", [10, 88, 0, 1])] {
        caller.set_address(mux, name, address);
        assert_eq!(caller.set_up(mux, name, true), done(0));
    }
    caller.kernel.advance(Duration::from_secs(20));
    assert_eq!(answers(&mut caller, plumbed.control, HOST), (1, 1));
    assert_eq!(answers(&mut caller, plumbed.control, [10, 88, 0, 1]), (1, 1));
}

#[test]
fn an_arp_stream_on_another_ppa_succeeds_and_answers_nothing() {
    let mut caller = Caller::default();
    let own = caller.control(0);
    let other = caller.control(5);
    let mux = caller.must_open("/dev/udp");
    caller.ip_stream("tap0", 0, IFF_IPV4);
    caller.arp_stream("tap0", 5);
    caller.set_address(mux, "tap0", HOST);
    assert_eq!(caller.set_up(mux, "tap0", true), done(0));
    caller.kernel.advance(Duration::from_secs(20));
    assert_eq!((caller.drain(own).len(), caller.drain(other).len()), (0, 8));
    assert_eq!(answers(&mut caller, own, HOST), (0, 0));
}

#[test]
fn a_transparent_new_ppa_with_a_pointer_reads_half_of_it() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    assert_eq!(caller.ioctl(fd, abi::TUNNEWPPA, 0x7ffd_1234_5678), failed(Errno::EINVAL));
}

#[test]
fn a_multiplexor_knows_only_its_own_requests() {
    let mut caller = Caller::default();
    let mux = caller.must_open("/dev/udp");
    assert_eq!(caller.str_ioctl(mux, abi::TUNGETPPA, 0, &[]).0, failed(Errno::EINVAL));
    assert_eq!(caller.str_ioctl(mux, 0x1234, 4, &[0; 4]).0, failed(Errno::EINVAL));
}

#[test]
fn an_interface_deaf_to_arp_still_answers_those_it_knows() {
    let (mut caller, plumbed) = up_and_quiet();
    assert_eq!(answers(&mut caller, plumbed.control, HOST), (1, 1));
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, 2), done(0));
    assert_eq!(answers(&mut caller, plumbed.control, HOST), (0, 1));
    caller.write(plumbed.control, &echo_request(DEFAULT_MAC, [10, 77, 0, 9], HOST, 98));
    assert_eq!(caller.drain(plumbed.control).len(), 0, "a stranger");
}

//! Rows of the observed tables that the record of single calls does not hold.

use std::time::Duration;

use streams_model::abi::{self, I_LINK, I_UNLINK, IFF_IPV4};
use streams_model::{DEFAULT_MAC, Errno};

use crate::caller::{Caller, Plumbed};
use crate::guest::{arp_request, echo_request};
use crate::{HOST, done, failed};

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
    let (mut caller, plumbed) = crate::up_and_quiet();
    assert_eq!(answers(&mut caller, plumbed.control, HOST), (1, 1));
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, 2), done(0));
    assert_eq!(answers(&mut caller, plumbed.control, HOST), (0, 1));
    caller.write(plumbed.control, &echo_request(DEFAULT_MAC, [10, 77, 0, 9], HOST, 98));
    assert_eq!(caller.drain(plumbed.control).len(), 0, "a stranger");
}

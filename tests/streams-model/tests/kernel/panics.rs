//! What a real machine would not survive.

use streams_model::abi::{self, I_PLINK, I_PUNLINK, IFF_IPV4, SIOCSLIFNAME, TUNNEWPPA, TUNSETPPA};

use crate::caller::{Caller, lifreq};

#[test]
#[should_panic(expected = "ic_len 0")]
fn new_ppa_without_a_block() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    caller.str_ioctl(fd, TUNNEWPPA, 0, &[]);
}

#[test]
#[should_panic(expected = "ic_len 8")]
fn new_ppa_with_another_length() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    caller.str_ioctl(fd, TUNNEWPPA, 8, &[0; 8]);
}

#[test]
#[should_panic(expected = "ic_len 0")]
fn a_strioctl_used_again() {
    let mut caller = Caller::default();
    let fds = [caller.must_open("/dev/tap"), caller.must_open("/dev/tap")];
    let mut arena = streams_model::Arena::new();
    let dp = arena.put(&(-1_i32).to_le_bytes());
    let argument = arena.put(&streams_model::Strioctl { cmd: TUNNEWPPA, timout: 5, len: 4, dp }.image());
    for fd in fds {
        caller.kernel.call(&mut arena, streams_model::Call::Ioctl { fd, request: abi::I_STR, argument });
    }
}

#[test]
#[should_panic(expected = "PPA 20")]
fn a_ppa_beyond_the_table() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    caller.new_ppa(fd, 20);
}

#[test]
#[should_panic(expected = "attaching to PPA 20")]
fn a_name_beyond_the_table() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    caller.push(fd, "ip");
    caller.lif(fd, SIOCSLIFNAME, &lifreq("tap20", 20, IFF_IPV4));
}

#[test]
#[should_panic(expected = "TUNSETPPA of PPA 20")]
fn an_attachment_beyond_the_table() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    caller.str_ioctl(fd, TUNSETPPA, 4, &20_i32.to_le_bytes());
}

#[test]
#[should_panic(expected = "second TUNNEWPPA")]
fn a_second_ppa_on_a_stream() {
    let mut caller = Caller::default();
    let fd = caller.control(0);
    caller.new_ppa(fd, 1);
}

#[test]
#[should_panic(expected = "second TUNSETPPA")]
fn a_second_attachment_of_a_stream() {
    let mut caller = Caller::default();
    caller.control(0);
    let fd = caller.must_open("/dev/tap");
    for _ in 0..2 {
        caller.str_ioctl(fd, TUNSETPPA, 4, &[0; 4]);
    }
}

#[test]
#[should_panic(expected = "block of 8 bytes")]
fn a_transparent_name_on_arp() {
    let mut caller = Caller::default();
    caller.control(0);
    caller.ip_stream("tap0", 0, IFF_IPV4);
    let fd = caller.must_open("/dev/tap");
    caller.push(fd, "arp");
    caller.lif(fd, SIOCSLIFNAME, &lifreq("tap0", 0, IFF_IPV4));
}

#[test]
#[should_panic(expected = "NULL pointer")]
fn a_hardware_address_without_a_ppa() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    let words = [abi::DL_SET_PHYS_ADDR_REQ, 6, 12, 0, 0].iter().flat_map(|word| word.to_le_bytes());
    caller.putmsg(fd, Some(&words.collect::<Vec<_>>()), None);
}

#[test]
#[should_panic(expected = "the host's network")]
fn unlinking_everything_persistent() {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_PLINK);
    caller.ioctl(plumbed.mux, I_PUNLINK, -1);
}

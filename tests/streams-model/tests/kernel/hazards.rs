//! What a real machine or its network would not survive panics, on data links too. What the kernel bears and a tester
//! must not is a suspicion.

use streams_model::abi::{
    I_LINK, I_PLINK, I_PUNLINK, I_UNLINK, IFF_IPV4, O_RDWR, SIOCSLIFNAME, TUNNEWPPA, TUNSETPPA,
};
use streams_model::{Arena, Call, Place, Strioctl, abi};

use crate::caller::{Caller, lifreq};
use crate::datalinks::{Datalink, PATH, RECOMMENDED, bind, network, words};
use crate::up_and_quiet;

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
    let mut arena = Arena::new();
    let dp = arena.put(&(-1_i32).to_le_bytes());
    let argument = arena.put(&Strioctl { cmd: TUNNEWPPA, timout: 5, len: 4, dp }.image());
    for fd in fds {
        caller.kernel.call(&mut arena, Call::Ioctl { fd, request: abi::I_STR, argument });
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

fn opened() -> (Caller, i32) {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    (caller, fd)
}

#[test]
#[should_panic(expected = "kernel address")]
fn asking_for_capabilities() {
    let (mut caller, fd) = opened();
    caller.putmsg(fd, Some(&words(&[abi::DL_CAPABILITY_REQ, 0, 0])), None);
}

#[test]
#[should_panic(expected = "comes back to it")]
fn the_physical_level_without_the_option() {
    network().attach(PATH, &[abi::DL_PROMISC_PHYS, abi::DL_PROMISC_SAP], 0);
}

#[test]
fn the_physical_level_with_the_option_is_allowed_in_any_order_before_the_binding() {
    network().attach(PATH, &[abi::DL_PROMISC_PHYS, abi::DL_PROMISC_RX_ONLY], 0);
}

#[test]
#[should_panic(expected = "65536 bytes")]
fn a_write_that_is_cut_in_pieces() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    caller.write(fd, &vec![0; 65537]);
}

#[test]
#[should_panic(expected = "passive stream")]
fn a_passive_stream() {
    let (mut caller, fd) = opened();
    caller.ask(fd, &words(&[abi::DL_PASSIVE_REQ]));
}

#[test]
#[should_panic(expected = "address zero")]
fn an_address_of_zero() {
    let (mut caller, fd) = opened();
    caller.ask(fd, &words(&[abi::DL_SET_PHYS_ADDR_REQ, 6, 12, 0, 0]));
}

#[test]
#[should_panic(expected = "for ever")]
fn a_bufmod_half_set_up() {
    let (mut caller, fd) = opened();
    caller.push(fd, "bufmod");
    caller.str_ioctl(fd, abi::SBIOCSCHUNK, 4, &65536_u32.to_le_bytes());
    caller.ask(fd, &bind(0));
}

#[test]
fn what_makes_a_stream_deaf_is_suspicious() {
    let told = |levels: &[u32]| {
        let mut caller = network();
        let fd = caller.attach(PATH, levels, 0);
        let suspicions =
            caller.kernel.suspicions().iter().map(|suspicion| suspicion.invariant).collect::<Vec<_>>();
        (suspicions, caller, fd)
    };
    for levels in [
        &[abi::DL_PROMISC_RX_ONLY][..],
        &[abi::DL_PROMISC_MULTI],
        &[abi::DL_PROMISC_MULTI, abi::DL_PROMISC_RX_ONLY],
    ] {
        assert_eq!(told(levels).0, [8], "{levels:?}");
    }
    let (suspicions, mut caller, fd) = told(RECOMMENDED);
    assert_eq!(suspicions, [0; 0]);
    caller.ask(fd, &words(&[abi::DL_UNBIND_REQ]));
    assert_eq!(caller.kernel.suspicions().len(), 1, "it ends raw mode");
}

fn invariants(caller: &Caller) -> Vec<u8> {
    caller.kernel.suspicions().iter().map(|suspicion| suspicion.invariant).collect()
}

#[test]
fn the_documented_order_raises_none() {
    let (mut caller, plumbed) = up_and_quiet();
    for id in [2, 1] {
        caller.ioctl(plumbed.mux, I_UNLINK, id);
    }
    caller.close(plumbed.mux);
    caller.close(plumbed.control);
    assert_eq!(caller.kernel.suspicions(), []);
}

#[test]
fn descriptors_that_an_exec_would_keep() {
    let mut caller = Caller::default();
    caller.open("/dev/tap", O_RDWR);
    let tap = caller.must_open("/dev/tap");
    caller.call(Call::Dup { fd: tap, close_on_exec: false, place: Place::Lowest(0) });
    caller.call(Call::Fcntl { fd: tap, command: abi::F_SETFD, argument: 0 });
    caller.call(Call::Fcntl { fd: tap, command: abi::F_DUPFD_CLOEXEC, argument: 0 });
    assert_eq!(invariants(&caller), [2, 2, 2]);
    assert_eq!(caller.kernel.suspicions()[0].to_string(), "invariant 2, call 1: an open without O_CLOEXEC");
}

#[test]
fn unlinking_with_an_unchecked_id() {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    caller.ioctl(plumbed.mux, I_UNLINK, -1);
    caller.ioctl(plumbed.mux, I_UNLINK, 0);
    caller.ioctl(plumbed.mux, I_PUNLINK, 7);
    assert_eq!(invariants(&caller), [5, 5, 5]);
}

#[test]
fn a_written_back_strioctl_passed_again() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    let mut arena = Arena::new();
    let dp = arena.put(&[0; 8]);
    let argument = arena.put(&Strioctl { cmd: TUNNEWPPA, timout: 5, len: 4, dp }.image());
    let call = Call::Ioctl { fd, request: abi::I_STR, argument };
    caller.kernel.call(&mut arena, call);
    let refilled = Strioctl { cmd: abi::DLIOCRAW, timout: 5, len: 8, dp };
    let at = |arena: &mut Arena, strioctl: Strioctl| {
        streams_model::Memory::copy_out(arena, argument, &strioctl.image()).expect("in the arena");
    };
    at(&mut arena, refilled);
    caller.kernel.call(&mut arena, call);
    assert_eq!(invariants(&caller), [0; 0], "a refilled one is fine");
    caller.kernel.call(&mut arena, call);
    assert_eq!(invariants(&caller), [6]);
}

#[test]
fn a_control_stream_closed_under_its_interface() {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    let twin = caller.call(Call::Dup { fd: plumbed.control, close_on_exec: true, place: Place::Lowest(0) });
    caller.close(crate::caller::fd_of(&twin));
    assert_eq!(invariants(&caller), [0; 0], "only the last reference counts");
    caller.close(plumbed.control);
    assert_eq!(invariants(&caller), [7]);
    let mut caller = Caller::default();
    let control = caller.control(0);
    caller.close(control);
    assert_eq!(invariants(&caller), [0; 0]);
}

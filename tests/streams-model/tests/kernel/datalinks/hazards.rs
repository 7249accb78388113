//! What would harm a real machine or its network panics; what looks wrong is a suspicion.

use streams_model::abi;

use super::{Datalink, PATH, RECOMMENDED, bind, network, words};
use crate::caller::Caller;

fn raw() -> (Caller, i32) {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    (caller, fd)
}

#[test]
#[should_panic(expected = "kernel address")]
fn asking_for_capabilities() {
    let (mut caller, fd) = raw();
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
    let (mut caller, fd) = raw();
    caller.ask(fd, &words(&[abi::DL_PASSIVE_REQ]));
}

#[test]
#[should_panic(expected = "address zero")]
fn an_address_of_zero() {
    let (mut caller, fd) = raw();
    caller.ask(fd, &words(&[abi::DL_SET_PHYS_ADDR_REQ, 6, 12, 0, 0]));
}

#[test]
#[should_panic(expected = "for ever")]
fn a_bufmod_half_set_up() {
    let (mut caller, fd) = raw();
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

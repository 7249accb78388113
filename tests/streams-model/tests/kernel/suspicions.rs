//! What the kernel bears and a tester must not.

use streams_model::abi::{self, I_LINK, I_UNLINK, O_RDWR};
use streams_model::{Arena, Call, Place, Strioctl};

use crate::caller::Caller;
use crate::up_and_quiet;

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
    caller.ioctl(plumbed.mux, abi::I_PUNLINK, 7);
    assert_eq!(invariants(&caller), [5, 5, 5]);
}

#[test]
fn a_written_back_strioctl_passed_again() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    let mut arena = Arena::new();
    let dp = arena.put(&[0; 8]);
    let argument = arena.put(&Strioctl { cmd: abi::TUNNEWPPA, timout: 5, len: 4, dp }.image());
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

//! Notifications.

use streams_model::{Errno, abi};

use super::{Datalink, FOREIGN, NIC, OWN, PATH, frame, network, words};
use crate::caller::Caller;
use crate::{done, failed};

/// The notes at the head, each with its value.
fn notes(caller: &mut Caller, fd: i32) -> Vec<(u32, u32)> {
    let mut seen = Vec::new();
    while let Some(control) = caller.take_control(fd) {
        let word = |at: usize| u32::from_le_bytes(control[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(word(0), abi::DL_NOTIFY_IND);
        seen.push((word(4), word(8)));
    }
    seen
}

fn ask_for(caller: &mut Caller, fd: i32, wanted: u32) -> Vec<(u32, u32)> {
    let ack = caller.ask(fd, &words(&[abi::DL_NOTIFY_REQ, wanted, 0]));
    assert_eq!(ack, words(&[abi::DL_NOTIFY_ACK, 0x379f]));
    notes(caller, fd)
}

#[test]
fn a_request_is_answered_with_the_state_at_once() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    let seen = ask_for(&mut caller, fd, u32::MAX);
    let kinds: Vec<_> = seen.iter().map(|(note, _)| *note).collect();
    let expected = [
        abi::DL_NOTE_LINK_UP,
        abi::DL_NOTE_SPEED,
        abi::DL_NOTE_PHYS_ADDR,
        abi::DL_NOTE_PROMISC_OFF_PHYS,
        abi::DL_NOTE_FASTPATH_FLUSH,
        abi::DL_NOTE_SDU_SIZE2,
        abi::DL_NOTE_CAPAB_RENEG,
        abi::DL_NOTE_ALLOWED_IPS,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(seen[1].1, 100_000, "kilobits a second");
    assert_eq!(ask_for(&mut caller, fd, 0), []);
}

#[test]
fn a_pulled_cable_reaches_only_a_link_without_neighbours() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    ask_for(&mut caller, fd, abi::DL_NOTE_LINK_UP | abi::DL_NOTE_LINK_DOWN);
    caller.kernel.set_carrier("net0", false).expect("a NIC");
    caller.kernel.set_carrier("net0", true).expect("a NIC");
    assert_eq!(notes(&mut caller, fd), [], "its neighbour keeps it up");
    caller.kernel.delete_link("vnic1").expect("nobody uses it");
    caller.kernel.set_carrier("net0", false).expect("a NIC");
    assert_eq!(notes(&mut caller, fd), [(abi::DL_NOTE_LINK_DOWN, 0)]);
    caller.kernel.set_carrier("net0", true).expect("a NIC");
    assert_eq!(notes(&mut caller, fd), [(abi::DL_NOTE_LINK_UP, 0)]);
}

#[test]
fn a_stream_that_is_never_bound_hears_all_and_gets_no_frame() {
    let mut caller = network();
    let fd = caller.attach(PATH, super::RECOMMENDED, 0);
    let ear = caller.open_link(PATH);
    ask_for(&mut caller, ear, abi::DL_NOTE_PHYS_ADDR);
    caller.kernel.set_link_address("vnic0", FOREIGN).expect("a free address");
    caller.kernel.wire_brings("net0", &frame(FOREIGN, NIC, 0x800, 60)).expect("a NIC");
    caller.kernel.wire_brings("net0", &frame(OWN, NIC, 0x800, 60)).expect("a NIC");
    assert_eq!(notes(&mut caller, ear), [(abi::DL_NOTE_PHYS_ADDR, abi::DL_CURR_PHYS_ADDR)]);
    assert_eq!(caller.drain(fd).len(), 1, "to the new address alone");
}

#[test]
fn the_size_changes_over_an_etherstub_only() {
    let mut caller = network();
    assert_eq!(caller.kernel.set_link_mtu("vnic0", 1400), Err(Errno::EINVAL));
    assert_eq!(caller.kernel.set_link_mtu("net0", 1400), Err(Errno::EBUSY));
    caller.kernel.create_etherstub("stub0", [2, 0, 0, 0, 0, 1]).expect("makes it");
    caller.kernel.create_vnic("vnic2", "stub0", [2, 0, 0, 0, 0, 2], 0).expect("makes it");
    let fd = caller.open_link("/dev/net/vnic2");
    let both = abi::DL_NOTE_SDU_SIZE | abi::DL_NOTE_SDU_SIZE2;
    assert_eq!(ask_for(&mut caller, fd, both), [(abi::DL_NOTE_SDU_SIZE2, 9000 << 16 | 9000)]);
    ask_for(&mut caller, fd, abi::DL_NOTE_SDU_SIZE);
    caller.kernel.set_link_mtu("vnic2", 1400).expect("over an etherstub");
    assert_eq!(notes(&mut caller, fd), [(abi::DL_NOTE_SDU_SIZE, 1400)]);
}

#[test]
fn a_note_at_the_head_stops_read_until_it_is_taken() {
    let mut caller = network();
    let fd = caller.attach(PATH, super::RECOMMENDED, 0);
    ask_for(&mut caller, fd, abi::DL_NOTE_PHYS_ADDR);
    caller.kernel.set_link_address("vnic0", FOREIGN).expect("a free address");
    caller.kernel.wire_brings("net0", &frame(FOREIGN, NIC, 0x800, 60)).expect("a NIC");
    assert_eq!(caller.read(fd, 2000).0, failed(Errno::EBADMSG));
    let (got, _) = caller.getmsg_with(fd, None, Some(2000), 0);
    assert_eq!((got.outcome, got.data), (done(i64::from(abi::MORECTL)), None));
    caller.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD | abi::RPROTDIS));
    assert_eq!(caller.read(fd, 2000).0, done(60));
}

//! What each primitive is answered, in which state, and the notifications a stream asks for.

use streams_model::{Errno, abi};

use super::{
    Datalink, FOREIGN, GROUP, NIC, OTHER, OWN, PATH, bind, bold_network, frame, network, refusal, words,
};
use crate::caller::Caller;
use crate::{done, failed};

#[test]
fn the_link_describes_itself() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    let info = caller.ask(fd, &words(&[abi::DL_INFO_REQ]));
    let word = |at: usize| u32::from_le_bytes(info[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(
        (info.len(), word(4), word(12), word(16), word(24)),
        (172, 1500, 8, abi::DL_ETHER, abi::DL_UNBOUND)
    );
    assert_eq!((word(28), word(52), word(56), word(64), word(68)), (u32::MAX - 1, abi::DL_STYLE1, 0, 6, 98));
    caller.ask(fd, &bind(0x806));
    let info = caller.ask(fd, &words(&[abi::DL_INFO_REQ]));
    assert_eq!(info[76..84], [&OWN[..], &[6, 8]].concat());
}

#[test]
fn a_link_over_an_etherstub_wants_a_payload() {
    let mut caller = network();
    caller.kernel.create_etherstub("stub0", [2, 0, 0, 0, 0, 1]).expect("makes it");
    caller.kernel.create_vnic("vnic2", "stub0", [2, 0, 0, 0, 0, 2], 0).expect("makes it");
    let least = [PATH, "/dev/net/stub0", "/dev/net/vnic2"].map(|path| {
        let fd = caller.open_link(path);
        caller.ask(fd, &words(&[abi::DL_INFO_REQ]))[8]
    });
    assert_eq!(least, [0, 1, 1], "dl_min_sdu");
}

#[test]
fn a_stream_is_bound_once_to_a_type_or_a_length() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    for (sap, bindable) in
        [(0, true), (1500, true), (1501, false), (0x5ff, false), (0x600, true), (0x1_0000, false)]
    {
        let ack = caller.ask(fd, &bind(sap));
        if bindable {
            assert_eq!(ack[..8], words(&[abi::DL_BIND_ACK, sap]), "{sap:#x}");
            assert_eq!(caller.ask(fd, &bind(sap)), refusal(abi::DL_BIND_REQ, abi::DL_OUTSTATE, 0));
            caller.ask(fd, &words(&[abi::DL_UNBIND_REQ]));
        } else {
            assert_eq!(ack, refusal(abi::DL_BIND_REQ, abi::DL_BADADDR, 0), "{sap:#x}");
        }
    }
    assert_eq!(
        caller.ask(fd, &words(&[abi::DL_UNBIND_REQ])),
        refusal(abi::DL_UNBIND_REQ, abi::DL_OUTSTATE, 0)
    );
    let mut odd = bind(0x800);
    odd[12] = 1;
    assert_eq!(caller.ask(fd, &odd), refusal(abi::DL_BIND_REQ, abi::DL_UNSUPPORTED, 0));
    odd[16] = 1;
    assert_eq!(caller.ask(fd, &odd), refusal(abi::DL_BIND_REQ, abi::DL_NOAUTO, 0));
    assert_eq!(caller.ask(fd, &odd[..16]), refusal(abi::DL_BIND_REQ, abi::DL_BADPRIM, 0));
}

#[test]
fn what_is_too_short_for_a_primitive_gets_no_answer() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    assert_eq!(caller.putmsg(fd, Some(&[1, 0]), None), done(0));
    caller.kernel.serve();
    assert_eq!(caller.take_control(fd), None);
    assert_eq!(caller.ask(fd, &[0x77, 0x77, 0, 0]), refusal(0x7777, abi::DL_UNSUPPORTED, 0));
}

#[test]
fn a_kernel_client_and_active_streams_exclude_each_other() {
    let mut caller = network();
    caller.kernel.take_link("vnic0").expect("it is free");
    let fd = caller.open_link(PATH);
    let group = [&words(&[abi::DL_ENABMULTI_REQ, 6, 12])[..], &GROUP].concat();
    for request in [bind(0), words(&[abi::DL_PROMISCON_REQ, abi::DL_PROMISC_SAP]), group] {
        let primitive = u32::from(request[0]);
        assert_eq!(caller.ask(fd, &request), refusal(primitive, abi::DL_SYSERR, 16));
    }
    assert_eq!(caller.ask(fd, &words(&[abi::DL_PHYS_ADDR_REQ, 2]))[12..], OWN, "asking is allowed");
    caller.kernel.release_link("vnic0").expect("a link");
    caller.ask(fd, &bind(0));
    assert!(caller.kernel.take_link("vnic0").is_err());
    caller.ask(fd, &words(&[abi::DL_UNBIND_REQ]));
    assert_eq!(caller.kernel.take_link("vnic0"), Ok(()), "unbound it does not stand in the way");
}

#[test]
fn a_passive_stream_stands_beside_a_kernel_client() {
    let mut caller = bold_network();
    caller.kernel.take_link("vnic0").expect("it is free");
    let fd = caller.open_link(PATH);
    let passive = words(&[abi::DL_PASSIVE_REQ]);
    for _ in 0..2 {
        assert_eq!(caller.ask(fd, &passive), words(&[abi::DL_OK_ACK, abi::DL_PASSIVE_REQ]));
    }
    assert_eq!(caller.ask(fd, &bind(0))[..4], abi::DL_BIND_ACK.to_le_bytes());
    let active = caller.open_link("/dev/net/vnic1");
    caller.ask(active, &bind(0));
    assert_eq!(caller.ask(active, &passive), refusal(abi::DL_PASSIVE_REQ, abi::DL_OUTSTATE, 0));
}

#[test]
fn an_address_is_the_links_and_outlives_the_stream() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    let set = |address: [u8; 6]| [&words(&[abi::DL_SET_PHYS_ADDR_REQ, 6, 12])[..], &address].concat();
    for (address, error, unix) in
        [(OTHER, abi::DL_SYSERR, 48), (GROUP, abi::DL_BADADDR, 0), (NIC, abi::DL_SYSERR, 13)]
    {
        assert_eq!(
            caller.ask(fd, &set(address)),
            refusal(abi::DL_SET_PHYS_ADDR_REQ, error, unix),
            "{address:?}"
        );
    }
    assert_eq!(caller.ask(fd, &set(FOREIGN)), words(&[abi::DL_OK_ACK, abi::DL_SET_PHYS_ADDR_REQ]));
    caller.close(fd);
    let fd = caller.open_link(PATH);
    assert_eq!(caller.ask(fd, &words(&[abi::DL_PHYS_ADDR_REQ, abi::DL_CURR_PHYS_ADDR]))[12..], FOREIGN);
    assert_eq!(caller.ask(fd, &words(&[abi::DL_PHYS_ADDR_REQ, abi::DL_FACT_PHYS_ADDR]))[12..], OWN);
    let five = words(&[abi::DL_SET_PHYS_ADDR_REQ, 5, 12, 0, 0]);
    assert_eq!(caller.ask(fd, &five), refusal(abi::DL_SET_PHYS_ADDR_REQ, abi::DL_BADPRIM, 0));
}

#[test]
fn levels_and_groups_are_taken_back_as_they_were_given() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    let off = words(&[abi::DL_PROMISCOFF_REQ, abi::DL_PROMISC_SAP]);
    assert_eq!(caller.ask(fd, &off), refusal(abi::DL_PROMISCOFF_REQ, abi::DL_NOTENAB, 0));
    let unknown = words(&[abi::DL_PROMISCON_REQ, 5]);
    assert_eq!(caller.ask(fd, &unknown), refusal(abi::DL_PROMISCON_REQ, abi::DL_NOTSUPPORTED, 0));
    let group = |primitive, address: [u8; 6]| [&words(&[primitive, 6, 12])[..], &address].concat();
    for address in [OTHER, super::BROADCAST] {
        let ack = caller.ask(fd, &group(abi::DL_ENABMULTI_REQ, address));
        assert_eq!(ack, refusal(abi::DL_ENABMULTI_REQ, abi::DL_BADADDR, 0));
    }
    for _ in 0..2 {
        assert_eq!(caller.ask(fd, &group(abi::DL_ENABMULTI_REQ, GROUP))[..4], abi::DL_OK_ACK.to_le_bytes());
    }
    assert!(caller.kernel.datalink_states()[1].claimed);
    assert_eq!(caller.ask(fd, &group(abi::DL_DISABMULTI_REQ, GROUP))[..4], abi::DL_OK_ACK.to_le_bytes());
    let again = caller.ask(fd, &group(abi::DL_DISABMULTI_REQ, GROUP));
    assert_eq!(again, refusal(abi::DL_DISABMULTI_REQ, abi::DL_NOTENAB, 0));
    assert!(!caller.kernel.datalink_states()[1].claimed);
}

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

//! Who may open a link, by which name, what an open and a close leave, and what the administrator is refused meanwhile.

use streams_model::{Errno, Privileges, abi};

use super::{Datalink, FOREIGN, NIC, OTHER, OWN, PATH, RECOMMENDED, frame, network, refusal, words};
use crate::{done, failed};

#[test]
fn a_link_is_opened_by_its_name_any_number_of_times() {
    let mut caller = network();
    for (path, expected) in [("/dev/net/vnic9", Errno::ENOENT), ("/dev/net/", Errno::ENOENT)] {
        assert_eq!(caller.open(path, abi::O_RDWR), failed(expected), "{path}");
    }
    assert_eq!(
        (caller.open_link(PATH), caller.open_link(PATH), caller.open_link("/dev/net/net0")),
        (3, 4, 5)
    );
    assert_eq!(caller.list(3).1, ["vnic"]);
    assert_eq!(caller.push(3, "bufmod"), done(0));
    assert_eq!(caller.list(3).1, ["bufmod", "vnic"]);
}

#[test]
fn a_link_needs_raw_access_and_its_zone() {
    let mut caller = network();
    caller.kernel.set_privileges(Privileges { net_rawaccess: false, ..Privileges::default() });
    assert_eq!(caller.open(PATH, abi::O_RDWR), failed(Errno::EACCES));
    caller.kernel.set_privileges(Privileges::default());
    assert_eq!(caller.kernel.set_link_zone("vnic0", 3), Ok(()));
    for (zone, expected) in [(1, failed(Errno::ENOENT)), (3, done(3)), (0, done(4))] {
        caller.kernel.set_zone(zone);
        assert_eq!(caller.open(PATH, abi::O_RDWR), expected, "zone {zone}");
    }
    assert_eq!(caller.kernel.set_link_zone("vnic0", 0), Err(Errno::EBUSY));
}

#[test]
fn a_zone_under_protection_may_not_change_the_address() {
    let mut caller = network();
    caller.kernel.set_link_zone("vnic0", 3).expect("gives it away");
    caller.kernel.set_protection("vnic0", abi::MPT_MACNOSPOOF, &[]).expect("protects it");
    let fd = caller.open_link(PATH);
    let request = [&words(&[abi::DL_SET_PHYS_ADDR_REQ, 6, 12])[..], &FOREIGN].concat();
    assert_eq!(caller.ask(fd, &request)[12..], 13_u32.to_le_bytes(), "the DLPI error is not set");
}

#[test]
fn the_drivers_name_reaches_no_vnic() {
    let mut caller = network();
    let fd = caller.open_link("/dev/vnic");
    let attach = |ppa| words(&[abi::DL_ATTACH_REQ, ppa]);
    assert_eq!(caller.ask(fd, &attach(1001)), refusal(abi::DL_ATTACH_REQ, abi::DL_SYSERR, 48));
    assert_eq!(caller.ask(fd, &attach(7)), refusal(abi::DL_ATTACH_REQ, abi::DL_BADPPA, 0));
    let numbered = caller.open_link("/dev/vnic1001");
    assert_eq!(caller.ask(numbered, &attach(1)), refusal(abi::DL_ATTACH_REQ, abi::DL_BADPRIM, 0));
    assert_eq!(caller.open("/dev/vnic1000", abi::O_RDWR), failed(Errno::ENOENT), "a NIC has another driver");
}

#[test]
fn a_close_undoes_everything_in_every_state() {
    let mut caller = network();
    let before = caller.kernel.snapshot();
    let group = [&words(&[abi::DL_ENABMULTI_REQ, 6, 12])[..], &super::GROUP].concat();
    let steps = [
        words(&[abi::DL_INFO_REQ]),
        words(&[abi::DL_PROMISCON_REQ, abi::DL_PROMISC_RX_ONLY]),
        words(&[abi::DL_PROMISCON_REQ, abi::DL_PROMISC_SAP]),
        words(&[abi::DL_PROMISCON_REQ, abi::DL_PROMISC_MULTI]),
        group,
        super::bind(0),
    ];
    for last in 0..=steps.len() {
        let fd = caller.open_link(PATH);
        for step in &steps[..last] {
            assert_ne!(caller.ask(fd, step)[..4], abi::DL_ERROR_ACK.to_le_bytes());
        }
        caller.kernel.wire_brings("net0", &frame(OWN, FOREIGN, 0x800, 60)).expect("a NIC");
        assert_eq!(caller.kernel.datalink_states()[1].promiscuity, usize::from(last >= 4));
        assert_eq!(caller.kernel.delete_link("vnic0"), Err(Errno::EBUSY));
        assert_eq!(caller.putmsg(fd, Some(&words(&[abi::DL_INFO_REQ])), None), done(0), "left unanswered");
        assert_eq!(caller.close(fd), done(0));
        assert_eq!(caller.kernel.snapshot(), before, "after {last} steps");
    }
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    caller.kernel.exit();
    assert_eq!((fd, caller.kernel.snapshot()), (3, before));
    assert_eq!(caller.kernel.delete_link("vnic0"), Ok(()));
}

#[test]
fn an_open_stream_keeps_its_link_as_it_is() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    let busy = Err(Errno::EBUSY);
    assert_eq!(caller.kernel.delete_link("vnic0"), busy);
    assert_eq!(caller.kernel.rename_link("vnic0", "net7"), busy);
    assert_eq!(caller.kernel.set_link_zone("vnic0", 1), busy);
    assert_eq!(caller.kernel.delete_link("net0"), busy);
    caller.close(fd);
    assert_eq!(caller.kernel.rename_link("vnic0", "vnic1"), Err(Errno::EEXIST));
    assert_eq!(caller.kernel.rename_link("vnic0", "net7"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net7"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net0"), busy, "another lies over it");
    assert_eq!(caller.kernel.delete_link("vnic1"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net0"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net0"), Err(Errno::ENOENT));
}

#[test]
fn a_link_lies_over_what_is_there_with_an_address_of_its_own() {
    let mut caller = network();
    assert_eq!(caller.kernel.create_vnic("vnic2", "net9", [2; 6], 0), Err(Errno::ENOENT));
    assert_eq!(caller.kernel.create_vnic("vnic2", "vnic0", [2; 6], 0), Err(Errno::EINVAL));
    assert_eq!(caller.kernel.create_vnic("vnic2", "net0", OTHER, 0), Err(Errno::EBUSY));
    assert_eq!(caller.kernel.create_vnic("vnic0", "net0", [2; 6], 0), Err(Errno::EEXIST));
    assert_eq!(caller.kernel.connect_nics("net0", "vnic0"), Err(Errno::EINVAL));
    assert_eq!(caller.kernel.set_link_address("vnic0", NIC), Err(Errno::EBUSY));
    assert_eq!(caller.kernel.datalink_states()[1].address, OWN);
}

#[test]
fn links_are_made_as_a_text_describes_them() {
    let mut caller = crate::caller::Caller::default();
    let text = "nic net0 2:8:20:0:0:1 1500; vnic vnic0 net0 2:8:20:0:1:0; etherstub stub0 2:0:0:0:0:1; vnic v1 stub0 2:0:0:0:0:2 5";
    assert_eq!(caller.kernel.make_links(text), Ok(()));
    let states = caller.kernel.datalink_states();
    let seen: Vec<_> =
        states.iter().map(|state| (state.name.as_str(), state.over.as_deref(), state.mtu)).collect();
    let expected = [
        ("net0", None, 1500),
        ("vnic0", Some("net0"), 1500),
        ("stub0", None, 9000),
        ("v1", Some("stub0"), 9000),
    ];
    assert_eq!((seen.as_slice(), states[1].address), (&expected[..], OWN));
    for wrong in
        ["nic net1", "vnic v2 net9 2:0:0:0:0:3", "nic net0 2:0:0:0:0:4", "nic net2 2:0:0", "tap tap0 x"]
    {
        let error = caller.kernel.make_links(wrong).expect_err(wrong);
        assert!(error.contains(wrong), "{error}");
    }
}

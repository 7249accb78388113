//! Who may open a link, by which name, and what an open and a close leave.

use streams_model::{Errno, Privileges, abi};

use super::{Datalink, FOREIGN, PATH, RECOMMENDED, frame, network, refusal, words};
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
        caller.kernel.wire_brings("net0", &frame(super::OWN, FOREIGN, 0x800, 60)).expect("a NIC");
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

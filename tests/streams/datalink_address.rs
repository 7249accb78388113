//! The address of a data link: the guest's while it is attached, and the administrator's before and after.

use std::panic::{AssertUnwindSafe, catch_unwind};

use streams_model::{Errno, Machine, Moment, Record, Trouble};

use crate::Tap;
use crate::bench::{assert_unchanged, attach, calls_about, errno_of, refused};
use crate::datalink_bench::*;

fn with_address(machine: &Machine) -> Tap {
    let tap = attach(link().hardware_address(NEW).guest_address(NEW));
    assert_eq!((tap.hardware_address().unwrap(), address_of(machine, "vnic0")), (NEW, NEW));
    tap
}

/// Row link 16.
#[test]
fn an_address_that_was_set_is_put_back() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    with_address(&machine).detach().unwrap();
    assert_unchanged(&machine, &before);
    drop(with_address(&machine));
    assert_unchanged(&machine, &before);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _tap = with_address(&machine);
        std::panic::resume_unwind(Box::new("the guest's device panics"));
    }));
    assert!(panicked.is_err());
    assert_unchanged(&machine, &before);
    // Twice, and the first one comes back.
    let tap = with_address(&machine);
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap();
    drop(tap);
    assert_unchanged(&machine, &before);
    // The administrator's word is the last.
    let tap = with_address(&machine);
    admin(&machine, |kernel| kernel.set_link_address("vnic0", FOREIGN));
    drop(tap);
    assert_eq!(address_of(&machine, "vnic0"), FOREIGN);
    // Also where another one of ours comes after it.
    let tap = with_address(&machine);
    admin(&machine, |kernel| kernel.set_link_address("vnic0", OWN));
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap();
    drop(tap);
    assert_eq!(address_of(&machine, "vnic0"), OWN);
}

/// Row link 16.
#[test]
fn a_second_address_that_is_refused_costs_the_first_nothing() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let tap = with_address(&machine);
    let protected = Trouble::Refuse { error: 0, unix: Errno::EACCES.0.cast_unsigned() };
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), protected, Moment::Before);
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap_err();
    assert_eq!(address_of(&machine, "vnic0"), NEW);
    drop(tap);
    assert_unchanged(&machine, &before);
}

/// Row link 16.
#[test]
fn an_address_in_doubt_is_still_ours() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let tap = with_address(&machine);
    // Nobody can say whether the second one was set; it was not. The first one is no administrator's all the same.
    let interrupted = Trouble::Errno(Errno::EINTR);
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), interrupted, Moment::Before);
    machine.fail_nth(3, put("DL_PHYS_ADDR_REQ"), interrupted, Moment::Before);
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap_err();
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 9]).unwrap();
    drop(tap);
    assert_unchanged(&machine, &before);
}

/// Row link 16.
#[test]
fn an_address_is_set_only_where_it_is_another_and_a_stations() {
    let machine = with_neighbour();
    let tap = attach(link().hardware_address(OWN));
    for address in [[0; 6], GROUP, EVERYBODY] {
        tap.set_hardware_address(address).unwrap_err();
    }
    assert_eq!(tap.hardware_address().unwrap(), OWN);
    drop(tap);
    assert_eq!(calls_about(&machine, "putmsg", "DL_SET_PHYS_ADDR_REQ"), []);
}

/// Row link 16.
#[test]
fn an_address_that_was_refused_is_the_administrators_to_set() {
    let machine = with_neighbour();
    let tap = attach(link());
    let protected = Trouble::Refuse { error: 0, unix: Errno::EACCES.0.cast_unsigned() };
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), protected, Moment::Before);
    tap.set_hardware_address(NEW).unwrap_err();
    admin(&machine, |kernel| kernel.set_link_address("vnic0", NEW));
    drop(tap);
    assert_eq!(address_of(&machine, "vnic0"), NEW);
}

/// Row link 16.
#[test]
fn an_address_that_cannot_be_told_is_no_secret() {
    let machine = with_neighbour();
    let error = refused(&machine, link().hardware_address(OTHER));
    assert_eq!(errno_of(error), Some(48), "the system's ENOTSUP");
    let error = refused(&machine, link().guest_address(NEW)).to_string();
    assert!(error.contains("02:08:20:00:01:00") && error.contains("hardware_address"), "{error}");
    drop(attach(link().guest_address(OWN)));
    let protected = Trouble::Refuse { error: 0, unix: Errno::EACCES.0.cast_unsigned() };
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), protected, Moment::Before);
    let error = refused(&machine, link().hardware_address(NEW)).to_string();
    assert!(error.contains("mac-nospoof"), "{error}");
}

/// Row link 16.
#[test]
fn a_detach_that_cannot_put_it_back_says_so() {
    let machine = with_neighbour();
    let tap = with_address(&machine);
    let number = machine.calls();
    let refuse = Trouble::Errno(Errno::ENOSR);
    let setting =
        move |record: &Record| record.number > number && record.is_about("putmsg", "DL_SET_PHYS_ADDR_REQ");
    machine.plan_fault(streams_model::Fault {
        when: streams_model::When::Every(Box::new(setting)),
        trouble: refuse,
        moment: Moment::Before,
    });
    let error = tap.detach().unwrap_err().to_string();
    assert!(error.contains("DL_SET_PHYS_ADDR_REQ") && error.contains("vnic0"), "{error}");
}

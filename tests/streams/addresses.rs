//! Addresses of an interface that others set, too: one that is given here joins those that are there.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use streams_model::{Errno, Family, Fault, Lifreq, Machine, Moment, Record, Trouble, When};

use crate::Tap;
use crate::bench::{address, assert_nothing_wrong, attach, calls, host, named, newer_driver};

const SIOCSLIFADDR: u32 = 0x8078_6970;
const AF_INET: u16 = 2;

/// An interface over a device of this process, which the administrator plumbed and gave an address.
fn plumbed_elsewhere(machine: &Machine) -> Tap {
    let tap = attach(named("tap3").external_plumbing());
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    administrator_gives("tap3", [10, 0, 0, 1]);
    tap
}

/// What `ifconfig tap3 10.0.0.1` asks.
fn administrator_gives(name: &str, address: [u8; 4]) {
    administrator_asks(SIOCSLIFADDR, name, |request| request.set_address(AF_INET, &address));
}

fn administrator_asks(code: u32, name: &str, fill: impl FnOnce(&mut Lifreq) -> &mut Lifreq) {
    let mut request = Lifreq::default();
    fill(request.set_name(name));
    let udp = File::options().read(true).write(true).open("/dev/udp").unwrap();
    // SAFETY: the argument points at the 376 bytes of a lifreq, which outlives the call.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let given = unsafe { libc::ioctl(udp.as_raw_fd(), code as _, request.0.as_mut_ptr()) };
    assert_eq!(given, 0);
}

/// Name, address and whether it is up, of each unit of IPv4.
fn units(machine: &Machine) -> Vec<(String, Vec<u8>, bool)> {
    let interfaces = machine.snapshot().interfaces;
    let v4 = interfaces.into_iter().filter(|unit| unit.family == Family::V4);
    v4.map(|unit| (unit.name.clone(), unit.address.clone(), unit.is_up())).collect()
}

fn unit(name: &str, last: u8, up: bool) -> (String, Vec<u8>, bool) {
    (name.to_owned(), vec![10, 0, 0, last], up)
}

/// Row L1.
#[test]
fn an_address_joins_the_administrators() {
    let machine = Machine::boot();
    let tap = plumbed_elsewhere(&machine);
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, false), unit("tap3:1", 2, false)]);
    assert_nothing_wrong(&machine);
}

#[test]
fn an_address_is_up_at_once_on_an_interface_that_is_up() {
    let machine = newer_driver();
    let owner = attach(named("tap3").address(address("10.0.0.1"), 24).up());
    let tap = Tap::from_fd(owner.as_fd().try_clone_to_owned().unwrap()).unwrap();
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, true), unit("tap3:1", 2, true)]);
    let number = calls(&machine, "SIOCSLIFFLAGS").len();
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(calls(&machine, "SIOCSLIFFLAGS").len(), number, "it is up already");
    tap.set_up(false).unwrap();
    tap.set_address(address("10.0.0.3"), 24).unwrap();
    assert_eq!(units(&machine)[2], unit("tap3:2", 3, false));
}

/// Row L1.
#[test]
fn an_address_joins_one_that_another_program_gave_to_our_interface() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    administrator_gives("tap3", [10, 0, 0, 1]);
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, false), unit("tap3:1", 2, false)]);
    tap.set_up(true).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, true), unit("tap3:1", 2, true)]);
    assert_nothing_wrong(&machine);
}

#[test]
fn the_first_unit_is_left_to_whoever_waits_for_an_address_there() {
    const SIOCSLIFFLAGS: u32 = 0x8078_6974;
    const IFF_DHCPRUNNING: u64 = 0x4000;
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    administrator_asks(SIOCSLIFFLAGS, "tap3", |request| request.set_flags(IFF_DHCPRUNNING));
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(units(&machine)[0].1, [0; 4]);
    assert_eq!(units(&machine)[1], unit("tap3:1", 2, false));
}

#[test]
fn an_address_that_is_there_is_not_given_again() {
    let machine = Machine::boot();
    let tap = plumbed_elsewhere(&machine);
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    let before = machine.snapshot();
    let sets = |machine: &Machine| {
        let changes = |record: &&Record| record.is("SIOCLIFADDIF") || record.operation.starts_with("SIOCS");
        machine.trace().iter().filter(changes).count()
    };
    let calls = sets(&machine);
    tap.set_address(address("10.0.0.1"), 8).unwrap();
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!((machine.snapshot(), sets(&machine)), (before, calls));
    // Another prefix is set, and nothing else.
    tap.set_address(address("10.0.0.2"), 16).unwrap();
    assert_eq!((units(&machine).len(), sets(&machine)), (2, calls + 1));
    let masks: Vec<_> = machine.snapshot().interfaces.into_iter().map(|unit| unit.mask).collect();
    assert_eq!(masks, [vec![255, 0, 0, 0], vec![255, 255, 0, 0]]);
}

#[test]
fn units_of_other_interfaces_are_not_taken_for_ours() {
    let machine = Machine::boot();
    let tap = attach(named("tap1").address(address("10.0.0.1"), 24));
    let _others = ["tap13", "tap3"].map(|name| attach(named(name).address(address("10.0.0.2"), 24)));
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert!(units(&machine).contains(&unit("tap1:1", 2, false)), "{:?}", units(&machine));
}

#[test]
fn a_host_of_many_addresses_is_read_whole() {
    let machine = Machine::boot();
    let first = attach(named("tap1"));
    let tap = plumbed_elsewhere(&machine);
    (1..=100).for_each(|last| first.set_address(address(&format!("10.1.0.{last}")), 24).unwrap());
    tap.set_address(address("10.0.0.1"), 8).unwrap();
    let ours = units(&machine).into_iter().filter(|(name, ..)| name.starts_with("tap3"));
    assert_eq!(ours.collect::<Vec<_>>(), [unit("tap3", 1, false)]);
    // The kernel may refuse a list that does not fit.
    let number = calls(&machine, "SIOCGLIFCONF").len();
    let short = Trouble::Errno(Errno::EINVAL);
    machine.fail_nth(1, |record| record.is("SIOCGLIFCONF"), short, Moment::Before);
    tap.set_address(address("10.0.0.1"), 8).unwrap();
    assert!(calls(&machine, "SIOCGLIFCONF").len() > number + 1);
    machine.fail_nth(1, |record| record.is("SIOCGLIFCONF"), Trouble::Errno(Errno::ENXIO), Moment::Before);
    assert_eq!(tap.set_address(address("10.0.0.9"), 8).unwrap_err().raw_os_error(), host(Errno::ENXIO));
    // It is not asked for ever.
    let every = When::Every(Box::new(|record: &Record| record.is("SIOCGLIFCONF")));
    machine.plan_fault(Fault { when: every, trouble: short, moment: Moment::Before });
    let error = tap.set_address(address("10.0.0.9"), 8).unwrap_err().to_string();
    assert!(error.contains("the addresses of the host"), "{error}");
}

#[test]
fn an_address_that_fails_half_way_leaves_no_unit() {
    let machine = Machine::boot();
    let tap = plumbed_elsewhere(&machine);
    let before = machine.snapshot();
    machine.fail_nth(1, |record| record.is("SIOCSLIFNETMASK"), Trouble::Errno(Errno::EINTR), Moment::Before);
    let error = tap.set_address(address("10.0.0.2"), 24).unwrap_err();
    assert_eq!((error.raw_os_error(), machine.snapshot()), (host(Errno::EINTR), before));
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, false), unit("tap3:1", 2, false)]);
}

#[test]
fn an_address_that_did_not_come_up_does_so_the_next_time() {
    let machine = Machine::boot();
    let tap = attach(named("tap3").address(address("10.0.0.1"), 24).up());
    machine.fail_nth(1, |record| record.is("SIOCSLIFFLAGS"), Trouble::Errno(Errno::EINTR), Moment::Before);
    tap.set_address(address("10.0.0.2"), 24).unwrap_err();
    assert_eq!(units(&machine)[1], unit("tap3:1", 2, false));
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, true), unit("tap3:1", 2, true)]);
}

#[test]
fn a_unit_that_the_administrator_removed_is_no_obstacle() {
    const SIOCLIFREMOVEIF: u32 = 0x8078_696e;
    let machine = Machine::boot();
    let tap = attach(named("tap3").address(address("10.0.0.1"), 24).address(address("10.0.0.2"), 24));
    administrator_asks(SIOCLIFREMOVEIF, "tap3:1", |request| request);
    tap.set_up(true).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, true)]);
    // It can be given again.
    tap.set_address(address("10.0.0.2"), 24).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, true), unit("tap3:1", 2, true)]);
    tap.set_up(false).unwrap();
    assert_eq!(units(&machine), [unit("tap3", 1, false), unit("tap3:1", 2, false)]);
}

#[test]
fn an_ipv6_address_of_the_link_joins_the_one_that_is_there() {
    let machine = Machine::boot();
    let tap = attach(named("tap3").address(address("fd00:77::1"), 64));
    let link_local = |machine: &Machine| {
        let interfaces = machine.snapshot().interfaces;
        interfaces
            .iter()
            .find(|unit| unit.family == Family::V6 && unit.name == "tap3")
            .unwrap()
            .address
            .clone()
    };
    let before = link_local(&machine);
    tap.set_address(address("fe80::77"), 10).unwrap();
    assert_eq!(link_local(&machine), before);
    let added = machine.snapshot().interfaces;
    assert_eq!(added.iter().find(|unit| unit.name == "tap3:2").unwrap().address[15], 0x77);
}

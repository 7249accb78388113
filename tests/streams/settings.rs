//! What a TAP can be asked and told while it is attached, and what a configuration sets.

use std::io::ErrorKind;

use streams_model::{DEFAULT_MAC, Errno, Family, InterfaceState, Machine, Moment, Trouble};

use crate::AttachError;
use crate::Offload;
use crate::Tap;
use crate::bench::{
    address, assert_nothing_wrong, assert_unchanged, attach, calls, errno_of, everything, everything_v6,
    host, named, newer_driver, refused,
};

const IFF_UP: u64 = 1;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 3];

fn interface(machine: &Machine, name: &str, family: Family) -> InterfaceState {
    let state = machine.snapshot();
    let found =
        state.interfaces.iter().find(|interface| interface.name == name && interface.family == family);
    found.unwrap_or_else(|| panic!("no {name} {family:?} among {:?}", state.interfaces)).clone()
}

#[test]
fn an_attach_without_settings_changes_none() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    let state = interface(&machine, "tap3", Family::V4);
    assert_eq!((state.is_up(), state.mtu, state.address), (false, 1500, vec![0, 0, 0, 0]));
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1500, false));
    assert_eq!(tap.hardware_address().unwrap(), DEFAULT_MAC);
}

#[test]
fn the_configuration_s_settings_are_those_of_the_interface() {
    let machine = Machine::boot();
    let tap = attach(everything("tap3"));
    let state = interface(&machine, "tap3", Family::V4);
    assert_eq!((state.is_up(), state.mtu), (true, 1400));
    assert_eq!((state.address, state.mask), (vec![10, 77, 0, 1], vec![255, 255, 255, 0]));
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1400, true));
    assert_eq!(tap.hardware_address().unwrap(), MAC);
    assert_nothing_wrong(&machine);
}

#[test]
fn prefixes_from_none_to_all() {
    for (prefix, mask) in [(0, [0, 0, 0, 0]), (1, [128, 0, 0, 0]), (31, [255, 255, 255, 254]), (32, [255; 4])]
    {
        let machine = Machine::boot();
        let _tap = attach(named("tap3").address(address("10.77.0.1"), prefix));
        assert_eq!(interface(&machine, "tap3", Family::V4).mask, mask);
    }
    for (prefix, last) in [(0, 0), (127, 0xfe), (128, 0xff)] {
        let machine = Machine::boot();
        let _tap = attach(named("tap3").address(address("fd00:77::1"), prefix));
        assert_eq!(interface(&machine, "tap3:1", Family::V6).mask[15], last);
    }
}

#[test]
fn an_ipv6_address_brings_the_ipv6_side() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let tap = attach(everything_v6("tap3"));
    let state = machine.snapshot();
    assert_eq!(state.links.len(), 3);
    assert_eq!(state.descriptors.len(), 3, "two multiplexors and the control stream");
    let unit = interface(&machine, "tap3", Family::V6);
    assert_eq!((unit.ip_muxid, unit.arp_muxid), (state.links[2].muxid, 0));
    let logical = interface(&machine, "tap3:1", Family::V6);
    assert!(logical.address.starts_with(&[0xfd, 0, 0, 0x77]) && logical.mask.starts_with(&[255; 8]));
    for (name, family) in [("tap3", Family::V4), ("tap3", Family::V6), ("tap3:1", Family::V6)] {
        let state = interface(&machine, name, family);
        assert_eq!((state.is_up(), state.mtu), (true, 1400), "{name} {family:?}");
    }
    drop(tap);
    assert_unchanged(&machine, &before);
}

/// Row L1.
#[test]
fn each_address_has_a_unit_of_its_own() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let config = named("tap3").address(address("10.77.0.1"), 24).address(address("10.78.0.1"), 16);
    let tap = attach(config.address(address("10.77.0.1"), 24).address(address("fd00:77::1"), 64).up());
    let shown = |machine: &Machine, name: &str, family: Family| {
        let unit = interface(machine, name, family);
        (unit.is_up(), unit.address[..2].to_vec(), unit.mask[..4].to_vec())
    };
    let (first, second) =
        ((true, vec![10, 77], vec![255, 255, 255, 0]), (true, vec![10, 78], vec![255, 255, 0, 0]));
    assert_eq!(shown(&machine, "tap3", Family::V4), first);
    assert_eq!(shown(&machine, "tap3:1", Family::V4), second);
    assert_eq!(shown(&machine, "tap3:1", Family::V6), (true, vec![0xfd, 0], vec![255; 4]));
    // One more, on an interface that is up; one that is there; and another prefix.
    tap.set_address(address("10.79.0.1"), 8).unwrap();
    tap.set_address(address("10.78.0.1"), 16).unwrap();
    tap.set_address(address("10.77.0.1"), 16).unwrap();
    assert_eq!(shown(&machine, "tap3:2", Family::V4), (true, vec![10, 79], vec![255, 0, 0, 0]));
    assert_eq!(shown(&machine, "tap3:1", Family::V4), second);
    assert_eq!(shown(&machine, "tap3", Family::V4), (true, vec![10, 77], vec![255, 255, 0, 0]));
    assert_eq!(machine.snapshot().interfaces.len(), 5);
    tap.set_up(false).unwrap();
    assert!(machine.snapshot().interfaces.iter().all(|unit| !unit.is_up()));
    drop(tap);
    assert_unchanged(&machine, &before);
}

#[test]
fn a_link_local_address_goes_on_the_first_unit() {
    let machine = Machine::boot();
    let _tap = attach(named("tap3").address(address("fe80::77"), 10));
    let unit = interface(&machine, "tap3", Family::V6);
    assert_eq!((unit.address[0], unit.address[15]), (0xfe, 0x77));
    assert!(machine.snapshot().interfaces.iter().all(|interface| interface.name == "tap3"));
}

#[test]
fn down_and_up_take_every_unit_along_and_leave_other_flags() {
    let machine = Machine::boot();
    let tap = attach(everything_v6("tap3"));
    let flags = |machine: &Machine| -> Vec<u64> {
        machine.snapshot().interfaces.iter().map(|interface| interface.flags.unwrap()).collect()
    };
    let up = flags(&machine);
    assert_eq!(up.len(), 3);
    tap.set_up(false).unwrap();
    let down = flags(&machine);
    assert_eq!(down, up.iter().map(|flags| flags & !IFF_UP).collect::<Vec<_>>());
    machine.advance(std::time::Duration::from_secs(1));
    tap.set_up(true).unwrap();
    assert_eq!(flags(&machine), up);
    let order: Vec<_> =
        calls(&machine, "SIOCSLIFFLAGS").iter().filter_map(|record| record.subject.clone()).collect();
    let (v4, v6, logical) = ("tap3", "tap3", "tap3:1");
    assert_eq!(order, [v6, logical, v4, logical, v6, v4, v6, logical, v4]);
}

#[test]
fn what_is_up_already_stays_up() {
    let machine = Machine::boot();
    let tap = attach(everything_v6("tap3"));
    let up = machine.snapshot().interfaces;
    // Another program takes the IPv4 side down, and nothing else.
    let mut request = streams_model::Lifreq::default();
    request.set_name("tap3").set_flags(interface(&machine, "tap3", Family::V4).flags.unwrap() & !IFF_UP);
    let udp = std::fs::File::options().read(true).write(true).open("/dev/udp").unwrap();
    // SAFETY: the argument points at the 376 bytes of a lifreq, which outlives the call.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let taken = unsafe {
        libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&udp), 0x8078_6974_u32 as _, request.0.as_mut_ptr())
    };
    assert_eq!((taken, tap.is_up().unwrap()), (0, false));
    machine.advance(std::time::Duration::from_secs(1));
    tap.set_up(true).unwrap();
    assert_eq!(machine.snapshot().interfaces, up);
}

#[test]
fn what_is_so_already_is_not_set_again() {
    let machine = Machine::boot();
    let tap = attach(everything("tap3"));
    let sets = |machine: &Machine| {
        machine.trace().iter().filter(|record| record.operation.starts_with("SIOCS")).count()
    };
    let before = sets(&machine);
    tap.set_mtu(1400).unwrap();
    tap.set_up(true).unwrap();
    tap.set_hardware_address(MAC).unwrap();
    assert_eq!(sets(&machine), before);
    tap.set_mtu(1300).unwrap();
    assert_eq!((tap.mtu().unwrap(), sets(&machine)), (1300, before + 1));
}

#[test]
fn an_mtu_out_of_range_changes_neither_family() {
    let machine = Machine::boot();
    let tap = attach(everything_v6("tap3"));
    let before = machine.snapshot();
    for mtu in [67, 1279, 1501] {
        let error = tap.set_mtu(mtu).unwrap_err();
        assert_eq!(error.raw_os_error(), host(Errno::EINVAL), "{mtu}");
        assert_eq!(machine.snapshot(), before, "{mtu}");
    }
}

#[test]
fn the_mac_is_set_before_ip_reads_it_and_on_a_stream_of_its_own() {
    let machine = Machine::boot();
    let _tap = attach(everything("tap3"));
    let trace = machine.trace();
    let control = calls(&machine, "I_STR")[0].fd;
    let messages: Vec<_> = trace.iter().filter(|record| record.is("putmsg") || record.is("getmsg")).collect();
    assert_eq!(messages.len(), 4, "attach and set, each with its answer");
    assert!(messages.iter().all(|record| record.fd != control), "answers would lie among the frames");
    let named_at = trace.iter().position(|record| record.is("SIOCSLIFNAME")).unwrap();
    assert!(messages.iter().all(|record| record.number < named_at));
}

#[test]
fn the_mac_of_a_plumbed_tap_is_not_changed_behind_ip_s_back() {
    let _machine = Machine::boot();
    let tap = attach(named("tap3"));
    let error = tap.set_hardware_address(MAC).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(tap.hardware_address().unwrap(), DEFAULT_MAC);
}

#[test]
fn a_dlpi_refusal_keeps_its_errno() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    // Another process takes the device away between two calls.
    let control = *machine.snapshot().descriptors.keys().last().unwrap();
    machine.fail_nth(1, |record| record.is("poll"), Trouble::Answer(0), Moment::Before);
    assert_eq!(tap.hardware_address().unwrap_err().raw_os_error(), host(Errno::ETIME));
    machine.kernel(streams_model::Kernel::clear_faults);
    assert_eq!(tap.hardware_address().unwrap(), DEFAULT_MAC);
    let descriptors: Vec<_> = machine.snapshot().descriptors.into_keys().collect();
    assert_eq!(descriptors.last(), Some(&control), "the stream for the question is closed again");
}

#[test]
fn a_device_that_the_driver_does_not_know_is_told() {
    let machine = newer_driver();
    let device = attach(named("tap3").external_plumbing()).into_fd().unwrap();
    let tap = Tap::from_fd(device).unwrap();
    machine.fail_nth(1, |record| record.is_about("I_STR", "TUNGETPPA"), Trouble::Answer(7), Moment::Before);
    assert_eq!(tap.hardware_address().unwrap_err().raw_os_error(), host(Errno::ENXIO));
    machine.fail_nth(1, |record| record.is_about("I_STR", "TUNGETPPA"), Trouble::Answer(20), Moment::Before);
    assert!(tap.name().unwrap_err().to_string().contains("the PPA: expected 0 to 19, found 20"));
}

#[test]
fn there_is_no_carrier_no_second_queue_and_no_offload() {
    let machine = Machine::boot();
    let tap = attach(named("tap3").offload(Offload::ALL));
    assert_eq!(tap.offload(), Offload::NONE);
    assert_eq!(tap.set_carrier(true).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(tap.set_queue_enabled(false).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(tap.set_offload(Offload::NONE).unwrap(), Offload::NONE);
    assert_eq!(tap.dropped_by_host(), None);
    assert!(matches!(named("tap4").attach_queues(2), Err(AttachError::Unsupported { .. })));
    assert_nothing_wrong(&machine);
}

#[test]
fn a_plumbed_tap_keeps_its_descriptor_to_itself() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    let tap = tap.into_fd().expect_err("the plumbing depends on it");
    drop(tap);
    assert_nothing_wrong(&machine);
}

#[test]
fn options_that_contradict_are_refused_before_any_call() {
    let machine = Machine::boot();
    let contradictions = [
        named("tap3").hardware_address([0; 6]),
        named("tap3").hardware_address([3, 0, 0, 0, 0, 1]),
        named("tap3").hardware_address(MAC).guest_address(MAC),
        named("tap3").create_exclusive().replace_stale(),
        named("tap3").external_plumbing().mtu(1400),
        named("tap3").external_plumbing().up(),
        named("tap3").external_plumbing().address(address("10.0.0.1"), 8),
        named("tap3").external_plumbing().replace_stale(),
        named("vm3").external_plumbing(),
        named("vm3").replace_stale(),
        named("tapx3").replace_stale(),
        named("tap3").address(address("10.0.0.1"), 33),
        named("tap3").address(address("fd00::1"), 129),
    ];
    for config in contradictions {
        let shown = format!("{config:?}");
        assert!(matches!(config.attach(), Err(AttachError::BadOption { .. })), "{shown}");
    }
    assert_eq!(machine.calls(), 0, "{:?}", machine.trace_lines());
}

#[test]
fn what_exists_before_and_what_must_not() {
    let machine = Machine::boot();
    assert!(matches!(named("tap3").must_exist().attach(), Err(AttachError::Unsupported { .. })));
    assert_eq!(machine.calls(), 0);
    let _tap = attach(named("tap3").create_exclusive());
    let error = refused(&machine, named("tap3").create_exclusive());
    assert_eq!(errno_of(error), host(Errno::EEXIST));
}

//! The hazards of an attach, each by its number in `tests/FEATURES.md`.

use std::os::fd::{AsFd, AsRawFd};

use streams_model::{Driver, Errno, Machine, Moment, Privileges, Record, Trouble};

use crate::AttachError;
use crate::bench::{
    assert_nothing_wrong, assert_unchanged, attach, calls, calls_about, errno_of, everything, everything_v6,
    host, impatient, named, refused, trace_text,
};

/// Fails the nth such call and attaches `tap3` with every setting.
fn failing(
    machine: &Machine,
    nth: usize,
    pick: impl Fn(&Record) -> bool + Send + 'static,
    errno: Errno,
) -> AttachError {
    machine.fail_nth(nth, pick, Trouble::Errno(errno), Moment::Before);
    let error = refused(machine, everything("tap3"));
    machine.kernel(streams_model::Kernel::clear_faults);
    error
}

/// Set in the process that closes its standard input, which no other test may then share.
const ALONE: &str = "TAP_PLUMB_TEST_ALONE";

/// Rows hazard 6 and B35.
#[test]
fn a_descriptor_of_number_0_is_a_descriptor() {
    if std::env::var_os(ALONE).is_none() {
        let test = "attach_hazards::a_descriptor_of_number_0_is_a_descriptor";
        let this = std::env::current_exe().unwrap();
        let output =
            std::process::Command::new(this).args(["--exact", test]).env(ALONE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let machine = Machine::boot();
    let stdin = std::io::stdin();
    let saved = nix::unistd::dup(&stdin).unwrap();
    nix::unistd::close(stdin.as_fd().as_raw_fd()).unwrap();
    let attached = named("tap3").attach();
    let numbers: Vec<_> = machine.snapshot().descriptors.into_keys().collect();
    let detached = attached.map(crate::Tap::detach);
    nix::unistd::dup2_stdin(&saved).unwrap();
    assert!(matches!(detached, Ok(Ok(()))), "{detached:?}");
    assert!(numbers.len() == 2 && numbers[0] > 2, "0 was free, and is nobody's: {numbers:?}");
    assert_nothing_wrong(&machine);
}

/// Rows hazard 6 and B35.
#[test]
fn a_failed_open_is_noticed() {
    let machine = Machine::boot();
    for nth in 1..=5 {
        let error = failing(&machine, nth, |record| record.is("open"), Errno::EMFILE);
        assert!(matches!(error, AttachError::Open { .. }), "{error:?}");
    }
}

/// Rows hazard 7 and B34.
#[test]
fn nothing_leaks_wherever_it_fails() {
    let machine = Machine::boot();
    let opened = |nth| move |record: &Record| record.is_about("open", "/dev/tap") && nth > 0;
    // The control stream's open, its TUNNEWPPA, the second open, the push, the links, the muxids.
    failing(&machine, 1, opened(1), Errno::ENXIO);
    failing(&machine, 1, |record| record.is_about("I_STR", "TUNNEWPPA"), Errno::EINVAL);
    failing(&machine, 2, opened(2), Errno::EMFILE);
    failing(&machine, 1, |record| record.is_about("I_PUSH", "ip"), Errno::ENOMEM);
    failing(&machine, 1, |record| record.is("I_LINK"), Errno::EAGAIN);
    failing(&machine, 2, |record| record.is("I_LINK"), Errno::EAGAIN);
    failing(&machine, 1, |record| record.is("SIOCSLIFMUXID"), Errno::ENXIO);
}

/// Row hazard 8.
#[test]
fn every_step_is_fatal() {
    let machine = Machine::boot();
    let steps: [fn(&Record) -> bool; 7] = [
        |record| record.is("SIOCSLIFNAME"),
        |record| record.is_about("I_PUSH", "ip"),
        |record| record.is("I_PUSH") && record.arguments.ends_with("\"arp\""),
        |record| record.is("I_POP"),
        |record| record.is_about("I_STR", "SIOCSLIFNAME"),
        |record| record.is("I_LINK"),
        |record| record.is("SIOCSLIFMUXID"),
    ];
    for step in steps {
        let error = failing(&machine, 1, step, Errno::EPERM);
        assert!(matches!(error, AttachError::Request { .. }), "{error:?}");
    }
}

/// Row hazard 9.
#[test]
fn no_call_on_a_descriptor_that_is_none() {
    let machine = Machine::boot();
    // The ARP stream's open: after the multiplexor, the control stream, the one of the MAC address, and that of IP.
    failing(&machine, 5, |record| record.is("open"), Errno::ENXIO);
    assert!(
        machine.trace().iter().all(|record| record.fd.is_none_or(|fd| fd >= 0)),
        "{}",
        trace_text(&machine)
    );
    assert!(calls(&machine, "I_LINK").is_empty());
}

/// Row hazard 10.
#[test]
fn only_ids_above_0_are_stored() {
    let machine = Machine::boot();
    let _tap = attach(named("tap3"));
    let [stored] = &calls(&machine, "SIOCSLIFMUXID")[..] else { panic!("{}", trace_text(&machine)) };
    let state = machine.snapshot();
    let wanted = format!(", tap3, ip {}, arp {}", state.links[0].muxid, state.links[1].muxid);
    assert!(stored.arguments.ends_with(&wanted), "{stored}");
    assert!(state.links.iter().all(|link| link.muxid > 0));
}

/// Rows hazard 11 and B36.
#[test]
fn a_failure_never_unlinks_what_is_not_its_own() {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap5"));
    for nth in 1..=machine_calls_of_an_attach() {
        let number = machine.calls() + nth;
        let before = machine.snapshot();
        machine.fail_call(number, Trouble::Errno(Errno::EPERM), Moment::Before);
        drop(everything("tap3").attach());
        assert_unchanged(&machine, &before);
    }
    assert!(calls(&machine, "I_PUNLINK").is_empty());
    assert!(!machine.kernel(|kernel| kernel.host_network_destroyed()));
    assert_eq!(machine.snapshot().interfaces[0].name, "tap5");
}

pub(crate) fn machine_calls_of_an_attach() -> usize {
    // Another machine cannot run beside the one of the test; the checked-in trace has a line a call.
    include_str!("attach_settings.trace").lines().position(|line| line == "# detach").unwrap()
}

/// Rows hazard 12 and B36.
#[test]
fn links_are_undone_by_the_request_that_fits_them() {
    let machine = Machine::boot();
    let tap = attach(everything_v6("tap3"));
    let mut ids: Vec<_> = machine.snapshot().links.iter().map(|link| link.muxid).collect();
    tap.detach().unwrap();
    let undone = calls(&machine, "I_UNLINK");
    assert!(undone.iter().all(|record| record.outcome.result() == Ok(0)), "{}", trace_text(&machine));
    ids.reverse();
    let undone: Vec<i32> =
        undone.iter().map(|record| record.arguments.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    assert_eq!(undone, ids, "the newest first");
    assert!(calls(&machine, "I_PUNLINK").is_empty());
}

/// Rows hazard 13 and B39.
#[test]
fn the_name_is_given_with_the_family_alone() {
    let machine = Machine::boot();
    let _tap = attach(everything_v6("tap3"));
    let trace = machine.trace();
    let named_at = trace.iter().rposition(|record| record.is("SIOCSLIFNAME")).unwrap();
    assert!(trace[..named_at].iter().all(|record| !record.is("SIOCGLIFFLAGS")), "{}", trace_text(&machine));
    let flags: Vec<_> =
        calls(&machine, "SIOCSLIFNAME").iter().map(|record| record.arguments.clone()).collect();
    assert!(flags[0].ends_with("flags 0x1000000") && flags[1].ends_with("flags 0x2000000"), "{flags:?}");
    let arp = calls_about(&machine, "I_STR", "SIOCSLIFNAME");
    assert!(arp[0].arguments.ends_with("flags 0x1000000"), "{}", arp[0]);
}

/// Row hazard 14.
#[test]
fn the_errno_is_that_of_the_failing_step() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let everything_else = |record: &Record| record.is("close") || record.is("I_UNLINK");
    machine.plan_fault(streams_model::Fault {
        when: streams_model::When::Every(Box::new(everything_else)),
        trouble: Trouble::Errno(Errno::EIO),
        moment: Moment::After,
    });
    machine.fail_nth(1, |record| record.is("SIOCSLIFFLAGS"), Trouble::Errno(Errno::ENETDOWN), Moment::Before);
    let error = everything("tap3").attach().expect_err("the interface cannot come up");
    assert!(error.to_string().contains("SIOCSLIFFLAGS on tap3"), "{error}");
    assert_eq!(errno_of(error), host(Errno::ENETDOWN));
    assert_unchanged(&machine, &before);
}

/// Rows hazard 15 and B37.
#[test]
fn a_descriptor_that_cannot_be_prepared_is_no_success() {
    let machine = Machine::boot();
    for (operation, errno) in [("I_SRDOPT", Errno::EINVAL), ("fcntl", Errno::EBADF)] {
        for nth in 1..=if operation == "fcntl" { 2 } else { 1 } {
            let error = failing(&machine, nth, move |record| record.is(operation), errno);
            assert_eq!(errno_of(error), host(errno));
        }
    }
}

/// Row hazard 16.
#[test]
fn an_interface_of_that_name_is_left_as_it_is() {
    let machine = Machine::boot();
    let ids = machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    let error = refused(&machine, named("tap3"));
    assert!(matches!(&error, AttachError::WrongKind { name, .. } if name == "tap3"), "{error:?}");
    assert_eq!(errno_of(error), host(Errno::EEXIST));
    let state = machine.snapshot();
    assert_eq!((state.interfaces[0].ip_muxid, state.interfaces[0].arp_muxid), ids);
    assert!(calls(&machine, "I_LINK").is_empty());
}

/// Row hazard 17.
#[test]
fn every_descriptor_is_close_on_exec_from_its_open_on() {
    let machine = Machine::boot();
    let _tap = attach(everything_v6("tap3"));
    assert!(calls(&machine, "open").iter().all(|record| record.arguments.contains("O_CLOEXEC")));
    for (fd, what) in machine.snapshot().descriptors {
        assert!(what.contains("close-on-exec"), "{fd}: {what}");
    }
    assert_nothing_wrong(&machine);
}

/// Row hazard 18.
#[test]
fn arp_goes_above_the_driver_and_not_above_ip() {
    let machine = Machine::boot();
    let _tap = attach(named("tap3"));
    let lower: Vec<_> = machine.snapshot().links.into_iter().map(|link| link.lower).collect();
    assert_eq!(lower, ["ip tap", "arp tap"]);
    assert_eq!(
        machine.snapshot().modules.into_iter().collect::<Vec<_>>(),
        [("arp", 1), ("dummymod", 1), ("ip", 1)]
    );
}

/// Row hazard 18.
#[test]
fn modules_above_the_multiplexor_are_popped_until_there_are_none() {
    let machine = Machine::boot();
    for nth in 1..=3 {
        machine.fail_nth(nth, |record| record.is("I_POP"), Trouble::Answer(0), Moment::Before);
    }
    let _tap = attach(named("tap3"));
    let answers: Vec<_> = calls(&machine, "I_POP").iter().map(|record| record.outcome.result()).collect();
    assert_eq!(answers, [Ok(0), Ok(0), Ok(0), Err(Errno::EINVAL)]);
}

/// Row hazard 19.
#[test]
fn missing_privileges_are_named() {
    let machine = Machine::boot();
    let all = Privileges::default();
    let without = [
        (Privileges { net_rawaccess: false, ..all }, "PRIV_NET_RAWACCESS", Errno::EPERM),
        (Privileges { sys_ip_config: false, ..all }, "PRIV_SYS_IP_CONFIG", Errno::EPERM),
        (Privileges { open_tap: false, ..all }, "mode 0600", Errno::EACCES),
    ];
    for (privileges, words, errno) in without {
        machine.kernel(|kernel| kernel.set_privileges(privileges));
        let error = refused(&machine, named("tap3"));
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(errno_of(error), host(errno));
    }
}

/// Row F41.
#[test]
fn a_missing_driver_is_named() {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.remove_device(Driver::Tap));
    let error = refused(&machine, named("tap3"));
    assert!(error.to_string().starts_with("open /dev/tap: "), "{error}");
    assert!(error.to_string().contains("install the driver"), "{error}");
}

/// Row F41.
#[test]
fn each_refusal_tells_what_to_do() {
    let machine = Machine::boot();
    type Pick = fn(&Record) -> bool;
    let table: [(Pick, Errno, &str); 9] = [
        (|record| record.is_about("open", "/dev/tap"), Errno::ENXIO, "add_drv(8)"),
        (|record| record.is_about("I_PUSH", "ip"), Errno::EINVAL, "no such module"),
        (|record| record.is("I_LINK"), Errno::EPERM, "PRIV_SYS_IP_CONFIG"),
        (|record| record.is("SIOCSLIFADDR"), Errno::EPERM, "PRIV_SYS_IP_CONFIG"),
        (|record| record.is_about("I_STR", "TUNNEWPPA"), Errno::ENOMEM, "20 devices"),
        (|record| record.is("SIOCSLIFNAME"), Errno::ENXIO, "does not know the PPA"),
        (|record| record.is("SIOCSLIFFLAGS"), Errno::ENXIO, "no ARP stream"),
        (|record| record.is("SIOCSLIFMTU"), Errno::EINVAL, "68 to 1500"),
        (|record| record.is("SIOCSLIFADDR"), Errno::EADDRNOTAVAIL, "no host can have that address"),
    ];
    for (pick, errno, words) in table {
        let text = failing(&machine, 1, pick, errno).to_string();
        assert!(text.contains(words), "{text}");
    }
}

/// Row hazard 29.
#[test]
fn the_status_flags_are_added_to() {
    let machine = Machine::boot();
    machine.fail_nth(1, |record| record.is_about("fcntl", "F_GETFL"), Trouble::Answer(2 | 4), Moment::Before);
    let _tap = attach(named("tap3"));
    let set = calls_about(&machine, "fcntl", "F_SETFL").remove(0);
    assert!(set.arguments.contains("O_RDWR") && set.arguments.contains("O_NONBLOCK"), "{set}");
}

/// Row hazard 29.
#[test]
fn what_is_set_already_stays_set() {
    let machine = Machine::boot();
    machine.fail_nth(
        1,
        |record| record.is_about("fcntl", "F_GETFL"),
        Trouble::Answer(2 | 0x80),
        Moment::Before,
    );
    let _tap = attach(named("tap3"));
    let set = calls_about(&machine, "fcntl", "F_SETFL").remove(0);
    assert!(set.arguments.ends_with("O_RDWR|O_NONBLOCK"), "{set}");
}

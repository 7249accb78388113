//! What an attach makes, and what its end leaves: nothing. Then the sequences, call by call, beside what is checked in: a
//! change of the sequence shows as a change of these files.

use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use streams_model::{Driver, Errno, Machine, Moment, Snapshot, Trouble};

use crate::bench::{
    assert_nothing_wrong, assert_unchanged, attach, calls, everything, everything_v6, impatient, named,
    quiet_lines, refused,
};
use crate::{AttachError, Config};

/// Interfaces, links and descriptors as they must be while one TAP is attached without an IPv6 side.
fn assert_attached(state: &Snapshot, name: &str) {
    let [ip, arp] = &state.links[..] else { panic!("not two links: {:?}", state.links) };
    assert_eq!((ip.lower.as_str(), arp.lower.as_str()), ("ip tap", "arp tap"));
    for link in [ip, arp] {
        assert!(!link.persistent && link.driver == Driver::Udp, "{link:?}");
        assert_eq!(link.references, 1, "somebody else holds {link:?}");
    }
    let [interface] = &state.interfaces[..] else { panic!("not one interface: {:?}", state.interfaces) };
    assert_eq!(interface.name, name);
    assert_eq!((interface.ip_muxid, interface.arp_muxid), (ip.muxid, arp.muxid));
    let descriptors: Vec<_> = state.descriptors.values().map(String::as_str).collect();
    assert_eq!(
        descriptors,
        ["dummymod udp, close-on-exec", "tap, close-on-exec, non-blocking, MessageDiscard"]
    );
}

/// Row invariant 2.
#[test]
fn an_attach_leaves_two_descriptors_and_two_links() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    let state = machine.snapshot();
    assert_attached(&state, "tap3");
    assert_eq!((state.ppas.as_slice(), state.streams), ([3].as_slice(), 4));
    let control = *state.descriptors.keys().last().unwrap();
    assert_eq!(tap.as_fd().as_raw_fd(), control);
    assert_nothing_wrong(&machine);
}

/// Row F42.
#[test]
fn the_frames_descriptor_is_the_control_stream() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    let made = calls(&machine, "I_STR").remove(0);
    assert_eq!(made.fd, Some(tap.as_fd().as_raw_fd()));
    assert!(machine.inject_frame(3, &[7; 60]));
    let mut frame = [0; 100];
    assert_eq!(nix::unistd::read(&tap, &mut frame), Ok(60));
}

/// Rows invariant 1 and B34.
#[test]
fn a_failed_attach_leaves_nothing() {
    let machine = Machine::boot();
    for (nth, operation) in
        [(3, "open"), (2, "I_PUSH"), (2, "I_LINK"), (1, "SIOCGLIFMUXID"), (1, "SIOCSLIFFLAGS")]
    {
        machine.fail_nth(
            nth,
            move |record| record.is(operation),
            Trouble::Errno(Errno::ENOMEM),
            Moment::Before,
        );
        refused(&machine, everything("tap3"));
        machine.kernel(streams_model::Kernel::clear_faults);
    }
}

/// Row invariant 3.
#[test]
fn a_detach_leaves_nothing() {
    let machine = Machine::boot();
    for config in [named("tap3"), everything("tap3"), everything_v6("tap3"), impatient()] {
        let before = machine.snapshot();
        attach(config).detach().unwrap();
        assert_unchanged(&machine, &before);
    }
}

/// Row invariant 3.
#[test]
fn what_is_detached_makes_no_further_call() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    tap.detach().unwrap();
    let calls = machine.calls();
    // The type allows no second detach; nothing that was dropped on the way may act later.
    attach(named("tap3")).detach().unwrap();
    assert_eq!(machine.calls(), 2 * calls);
}

/// Rows invariant 4 and hazard 34.
#[test]
fn a_drop_is_a_detach() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let attach_and = |end: fn(crate::Tap)| {
        let start = machine.calls();
        end(attach(everything("tap3")));
        assert_unchanged(&machine, &before);
        machine.trace()[start..].iter().map(|record| record.operation.clone()).collect::<Vec<_>>()
    };
    assert_eq!(attach_and(drop), attach_and(|tap| tap.detach().unwrap()));
}

/// Row invariant 4.
#[test]
fn an_unwinding_past_it_is_a_detach() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let panicking = || {
        let _tap = attach(everything("tap3"));
        panic!("the owner of the TAP panics");
    };
    assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
    assert_unchanged(&machine, &before);
}

/// Row hazard 34.
#[test]
fn the_same_name_can_be_attached_again_at_once() {
    let machine = Machine::boot();
    drop(attach(named("tap3")));
    let _tap = attach(named("tap3"));
    assert_attached(&machine.snapshot(), "tap3");
}

/// Rows invariant 7 and hazard 35.
#[test]
fn links_then_multiplexor_then_control_stream() {
    let machine = Machine::boot();
    let tap = attach(everything("tap3"));
    let control = tap.as_fd().as_raw_fd();
    let mux = *machine.snapshot().descriptors.keys().next().unwrap();
    assert!(mux < control, "a dying process would close the control stream first");
    let attached = machine.calls();
    tap.detach().unwrap();
    let end: Vec<_> = machine.trace()[attached..]
        .iter()
        .map(|record| (record.operation.clone(), record.fd.unwrap()))
        .collect();
    let wanted = [("I_UNLINK", mux), ("I_UNLINK", mux), ("close", mux), ("close", control)];
    assert_eq!(end, wanted.map(|(operation, fd)| (operation.to_owned(), fd)));
}

/// Row hazard 35.
#[test]
fn a_detach_right_after_going_down_does_not_hang() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    for config in [everything("tap3"), everything_v6("tap3")] {
        let tap = attach(config);
        tap.set_up(false).unwrap();
        // The driver has not served the two unbinds; closing the control stream now would lose them.
        tap.detach().unwrap();
        assert_unchanged(&machine, &before);
    }
}

/// Row invariant 13.
#[test]
fn a_hundred_rounds_are_alike() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let mut first: Option<Snapshot> = None;
    let mut highest = 0;
    for _ in 0..100 {
        let tap = attach(impatient());
        let mut state = machine.snapshot();
        for link in &mut state.links {
            assert!(link.muxid > highest, "muxids must rise: {} after {highest}", link.muxid);
            highest = std::mem::replace(&mut link.muxid, 0);
        }
        for interface in &mut state.interfaces {
            (interface.ip_muxid, interface.arp_muxid) = (0, 0);
        }
        assert_eq!(*first.get_or_insert_with(|| state.clone()), state);
        tap.detach().unwrap();
        assert_unchanged(&machine, &before);
    }
    assert_eq!(highest, 200);
}

/// Row invariant 14.
#[test]
fn a_name_in_use_is_refused_and_its_owner_untouched() {
    let machine = Machine::boot();
    let _first = attach(everything("tap3"));
    let error = refused(&machine, named("tap3"));
    assert!(matches!(&error, AttachError::Busy { name, .. } if name == "tap3"), "{error:?}");
    assert_eq!(crate::bench::errno_of(error), crate::bench::host(Errno::EEXIST));
    let last = machine.trace().into_iter().rfind(|record| record.is("I_STR")).unwrap();
    assert_eq!(last.subject.as_deref(), Some("TUNNEWPPA"));
}

#[test]
fn a_busy_device_is_asked_for_again_until_it_is_free() {
    let machine = Machine::boot();
    machine.fail_nth(1, |record| record.is("I_STR"), Trouble::Errno(Errno::EEXIST), Moment::Before);
    machine.fail_nth(2, |record| record.is("I_STR"), Trouble::Errno(Errno::EEXIST), Moment::Before);
    let tap = named("tap3").busy_timeout(std::time::Duration::from_secs(60)).attach().unwrap();
    // Each attempt on a stream of its own: one stream makes one device in its life.
    let asked = crate::bench::calls_about(&machine, "I_STR", "TUNNEWPPA");
    assert_eq!(asked.len(), 3);
    drop(tap);
    assert_nothing_wrong(&machine);
}

#[test]
fn a_busy_device_is_given_up_at_the_deadline() {
    let machine = Machine::boot();
    let _first = attach(named("tap3"));
    let start = std::time::Instant::now();
    let patience = std::time::Duration::from_millis(60);
    let error = refused(&machine, named("tap3").busy_timeout(patience));
    assert!(matches!(error, AttachError::Busy { .. }));
    assert!(start.elapsed() >= patience);
    let asked = crate::bench::calls_about(&machine, "I_STR", "TUNNEWPPA").len();
    assert!((3..=9).contains(&asked), "{asked} attempts in 60 ms");
}

#[test]
fn twenty_devices_at_once_and_no_more() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let taps: Vec<_> = (0..20).map(|_| attach(impatient())).collect();
    let error = refused(&machine, impatient());
    assert!(error.to_string().contains("20 devices are all in use"), "{error}");
    assert_eq!(crate::bench::errno_of(error), crate::bench::host(Errno::ENOMEM));
    drop(taps);
    assert_unchanged(&machine, &before);
}

/// Compares the calls of an attach and a detach with a checked-in file.
fn assert_trace(config: Config, file: &str, checked_in: &str) {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let tap = attach(config);
    let attached = machine.calls();
    tap.detach().unwrap();
    assert_unchanged(&machine, &before);
    let mut lines = quiet_lines(&machine);
    lines.insert(attached, "# detach".to_owned());
    let found = lines.join("\n") + "\n";
    assert!(found == checked_in, "tests/streams/{file} says otherwise; the calls are:\n{found}");
}

/// Row F40.
#[test]
fn the_sequence_is_the_one_checked_in() {
    assert_trace(named("tap3"), "attach.trace", include_str!("attach.trace"));
}

#[test]
fn the_sequence_with_settings_is_the_one_checked_in() {
    assert_trace(everything("tap3"), "attach_settings.trace", include_str!("attach_settings.trace"));
}

#[test]
fn the_sequence_with_ipv6_is_the_one_checked_in() {
    assert_trace(everything_v6("tap3"), "attach_v6.trace", include_str!("attach_v6.trace"));
}

/// The corrected sequence: the control stream, the frames' stream, IP's, ARP's, the links, and what is recorded.
const ATTACH: [&str; 20] = [
    "open",
    "I_POP",
    "I_PUSH",
    "open",
    "I_STR",
    "I_SRDOPT",
    "fcntl",
    "fcntl",
    "open",
    "I_PUSH",
    "SIOCSLIFNAME",
    "open",
    "I_PUSH",
    "I_STR",
    "I_LINK",
    "I_LINK",
    "close",
    "close",
    "SIOCSLIFMUXID",
    "SIOCGLIFMUXID",
];
const DETACH: [&str; 4] = ["I_UNLINK", "I_UNLINK", "close", "close"];

/// `ci/bench` reads the line that it prints.
#[test]
fn an_attach_and_a_detach_make_the_calls_of_the_sequence_and_no_other() {
    let machine = Machine::boot();
    let tap = attach(named("tap3"));
    let attached = machine.calls();
    tap.detach().unwrap();
    let trace = machine.trace();
    let (attach, detach) = trace.split_at(attached);
    println!("\nstreams.plumb {} {} {} {}", attach.len(), ATTACH.len(), detach.len(), DETACH.len());
    for (found, wanted) in [(attach, &ATTACH[..]), (detach, &DETACH[..])] {
        let found: Vec<_> = found.iter().map(|record| record.operation.as_str()).collect();
        assert_eq!(found, wanted);
    }
}

//! The sequences, call by call, beside what is checked in. A change of the sequence shows as a change of these files.

use streams_model::Machine;

use crate::Config;
use crate::bench::{assert_unchanged, attach, everything, everything_v6, named};
use crate::calls::quiet_lines;

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

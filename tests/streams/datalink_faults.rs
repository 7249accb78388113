//! One call of the attach to a data link, or of the detach, fails with every errno it can have, before and after it took
//! effect: nothing is left, the address is as it was, the link can be deleted, and the error names step, link and errno.

use streams_model::{Errno, Machine, Moment, Record, Trouble};

use crate::bench::{assert_unchanged, errno_of, host, trace_text};
use crate::datalink_bench::*;
use crate::{AttachError, Config};

/// What streamio(4I), dlpi(4P), bufmod(4M), if_tcp(4P), open(2), poll(2), putmsg(2) and getmsg(2) give each call.
fn errnos(record: &Record) -> &'static [Errno] {
    match record.operation.as_str() {
        "open" => &[
            Errno::ENOENT,
            Errno::EACCES,
            Errno::EMFILE,
            Errno::ENXIO,
            Errno::EINTR,
            Errno::ENOSR,
            Errno::EAGAIN,
        ],
        "close" => &[Errno::EINTR, Errno::EIO],
        "I_PUSH" => &[Errno::EPERM, Errno::EINVAL, Errno::ENOMEM, Errno::ENXIO, Errno::EINTR],
        "I_STR" => &[Errno::EINVAL, Errno::ENXIO, Errno::ETIME, Errno::EINTR, Errno::ENOSR],
        "I_SRDOPT" => &[Errno::EINVAL],
        "SIOCGLIFFLAGS" => &[Errno::EPERM, Errno::EINTR],
        "putmsg" | "getmsg" => &[Errno::EAGAIN, Errno::ENOSR, Errno::EINTR, Errno::ENXIO, Errno::EBADMSG],
        "poll" => &[Errno::EAGAIN, Errno::EINTR],
        other => panic!("no errno is listed for {other:?}"),
    }
}

/// What a failure of this call costs.
#[derive(PartialEq)]
enum Cost {
    /// The attach.
    Attach,
    /// Nothing.
    Nothing,
}

fn cost(record: &Record, errno: Errno) -> Cost {
    let buffer = record.is_about("I_PUSH", "bufmod")
        || record.is("I_STR") && record.subject.as_deref().is_some_and(|name| name.starts_with("SBIOC"));
    let again = record.is("poll") && errno == Errno::EINTR;
    if record.is("close") || buffer || again { Cost::Nothing } else { Cost::Attach }
}

fn config() -> Config {
    link().hardware_address(NEW)
}

fn undisturbed() -> (Vec<Record>, usize) {
    let machine = with_neighbour();
    let tap = config().attach().unwrap();
    let attached = machine.calls();
    tap.detach().unwrap();
    (machine.trace(), attached)
}

fn every_fault(trace: &[Record]) -> impl Iterator<Item = (&Record, Errno, Moment)> {
    trace.iter().flat_map(|record| {
        let both = move |errno| {
            [Moment::Before, Moment::After].into_iter().map(move |moment| (record, errno, moment))
        };
        errnos(record).iter().copied().flat_map(both)
    })
}

fn assert_clean(machine: &Machine, before: &streams_model::Snapshot, what: &str) {
    assert_eq!(machine.snapshot(), *before, "{what}:\n{}", trace_text(machine));
    assert_unchanged(machine, before);
    assert_eq!(machine.kernel(|kernel| kernel.delete_link("vnic0")), Ok(()), "{what}");
}

/// Row link 2.
#[test]
fn every_call_of_the_attach_failing_leaves_nothing() {
    let (trace, attached) = undisturbed();
    let mut faults = 0;
    for (record, errno, moment) in every_fault(&trace[..attached]) {
        let what = format!("{record} failing with {errno}, {moment:?}");
        let machine = with_neighbour();
        let before = machine.snapshot();
        machine.fail_call(record.number, Trouble::Errno(errno), moment);
        match (config().attach(), cost(record, errno)) {
            (Ok(tap), Cost::Nothing) => tap.detach().expect(&what),
            (Err(error), Cost::Attach) => {
                let text = error.to_string();
                let named = text.contains("vnic0") || text.contains("/dev/udp");
                assert!(named, "{what}: {text}");
                assert_eq!(errno_of(error), host(errno), "{what}: {text}");
            }
            (outcome, _) => panic!("{what}: {outcome:?}"),
        }
        assert_clean(&machine, &before, &what);
        faults += 1;
    }
    println!("{faults} faults in the attach");
}

/// Row link 2.
#[test]
fn every_request_refused_leaves_nothing() {
    let (trace, attached) = undisturbed();
    let requests: Vec<_> = trace[..attached].iter().filter(|record| record.is("putmsg")).collect();
    let refusals = [(4, 16), (4, 48), (4, 5), (3, 0), (7, 0), (9, 0), (1, 0), (0, 13), (0x12, 13), (0x12, 0)];
    for record in &requests {
        for (error, unix) in refusals {
            let what = format!("{record} refused with {error:#x}, {unix}");
            let machine = with_neighbour();
            let before = machine.snapshot();
            machine.fail_call(record.number, Trouble::Refuse { error, unix }, Moment::Before);
            match config().attach() {
                // The first level is one that old systems lack.
                Ok(tap) => {
                    assert!(
                        (error, unix) == (0x12, 0) && record.is_about("putmsg", "DL_PROMISCON_REQ"),
                        "{what}"
                    );
                    drop(tap);
                }
                Err(found) => {
                    assert_eq!(matches!(found, AttachError::Busy { .. }), unix == 16, "{what}: {found:?}");
                    let text = found.to_string();
                    assert!(text.contains("DL_") && text.contains("vnic0"), "{what}: {text}");
                }
            }
            assert_clean(&machine, &before, &what);
        }
    }
}

/// Row link 16.
#[test]
fn every_call_of_the_detach_failing_once_still_puts_the_address_back() {
    let (trace, attached) = undisturbed();
    let mut faults = 0;
    for (record, errno, moment) in every_fault(&trace[attached..]) {
        let what = format!("{record} failing with {errno}, {moment:?}");
        let machine = with_neighbour();
        let before = machine.snapshot();
        let tap = config().attach().unwrap();
        machine.fail_call(record.number, Trouble::Errno(errno), moment);
        if let Err(error) = tap.detach() {
            panic!("{what}: {error}");
        }
        assert_clean(&machine, &before, &what);
        faults += 1;
    }
    println!("{faults} faults in the detach");
}

/// Row link 2.
#[test]
fn a_process_killed_at_any_call_leaves_the_link_free() {
    let (_, attached) = undisturbed();
    for number in 1..=attached {
        let machine = with_neighbour();
        let before = machine.snapshot();
        machine.kill_at(number);
        drop(std::thread::spawn(|| drop(link().attach())).join());
        assert_eq!(machine.snapshot(), before, "killed at {number}");
        assert_eq!(machine.kernel(|kernel| kernel.delete_link("vnic0")), Ok(()), "killed at {number}");
        assert_eq!(machine.take_failure(), None);
    }
}

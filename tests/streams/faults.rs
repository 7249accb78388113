//! One call of the attach or of the detach fails, with every errno it can have, before and after it took effect: nothing
//! is left behind, and the error names the step, its object and that errno.

use streams_model::{Errno, Machine, Moment, Record, Trouble};

use crate::Config;
use crate::bench::{assert_unchanged, errno_of, everything, everything_v6, host, impatient, named};
use crate::{AttachError, DetachError};

/// The errnos that streamio(4I), if_tcp(4P), dlpi(4P), open(2), fcntl(2) and poll(2) give each call, and the driver's.
fn errnos(record: &Record) -> &'static [Errno] {
    match (record.operation.as_str(), record.subject.as_deref()) {
        ("open", _) => {
            &[Errno::ENOENT, Errno::EACCES, Errno::EMFILE, Errno::ENXIO, Errno::EINTR, Errno::ENOSR]
        }
        ("close", _) => &[Errno::EINTR, Errno::EIO],
        ("fcntl", _) => &[Errno::EBADF],
        ("I_PUSH", _) => &[Errno::EPERM, Errno::EINVAL, Errno::ENOMEM, Errno::ENXIO, Errno::EINTR],
        ("I_POP", _) => &[Errno::EPERM, Errno::ENXIO, Errno::EAGAIN],
        ("I_SRDOPT", _) => &[Errno::EINVAL],
        ("I_STR", Some("TUNNEWPPA")) => &[
            Errno::EEXIST,
            Errno::ENOMEM,
            Errno::EINVAL,
            Errno::ETIME,
            Errno::EINTR,
            Errno::ENXIO,
            Errno::ENOSR,
        ],
        ("I_STR", _) => &[Errno::ENXIO, Errno::EEXIST, Errno::ETIME, Errno::EINTR, Errno::EPERM],
        ("SIOCSLIFNAME", _) => &[
            Errno::EPERM,
            Errno::EEXIST,
            Errno::EINVAL,
            Errno::ENXIO,
            Errno::ETIME,
            Errno::EINTR,
            Errno::EALREADY,
        ],
        ("I_LINK", _) => &[Errno::EINVAL, Errno::EPERM, Errno::ENXIO, Errno::EBADF, Errno::EAGAIN],
        ("I_UNLINK", _) => &[Errno::EINVAL, Errno::EPERM, Errno::ETIME],
        ("SIOCSLIFFLAGS", _) => &[Errno::ENXIO, Errno::ENETDOWN, Errno::EPERM, Errno::EINTR],
        ("SIOCSLIFADDR" | "SIOCLIFADDIF", _) => {
            &[Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL, Errno::EPERM, Errno::ENXIO]
        }
        ("SIOCSLIFNETMASK", _) => &[Errno::ENOTSUP, Errno::EPERM, Errno::ENXIO],
        ("SIOCSLIFMTU", _) => &[Errno::EINVAL, Errno::EPERM, Errno::ENXIO],
        ("SIOCSLIFMUXID" | "SIOCGLIFMUXID" | "SIOCGLIFFLAGS", _) => &[Errno::ENXIO, Errno::EPERM],
        ("putmsg" | "getmsg", _) => &[Errno::EAGAIN, Errno::ENOSR, Errno::EINTR, Errno::ENXIO],
        ("poll", _) => &[Errno::EINTR, Errno::EAGAIN],
        other => panic!("no errno is listed for {other:?}"),
    }
}

/// What the error's text must hold: the step and its object.
fn step_and_object(record: &Record) -> [&str; 2] {
    match (record.operation.as_str(), record.subject.as_deref()) {
        ("open", Some(path)) => ["open", path],
        ("fcntl", Some(command)) => [command, "/dev/tap"],
        ("I_PUSH", Some(module)) => ["I_PUSH", module],
        ("I_POP", _) => ["I_POP", "/dev/udp"],
        ("I_STR", Some("TUNNEWPPA")) => ["TUNNEWPPA", "/dev/tap"],
        ("I_STR", Some(request)) => [request, "the arp stream of tap"],
        ("I_SRDOPT", _) => ["I_SRDOPT", "/dev/tap"],
        ("SIOCSLIFNAME", _) => ["SIOCSLIFNAME", "ip stream"],
        ("putmsg" | "getmsg" | "poll", _) => ["DL_", "/dev/tap, PPA 3"],
        (request, _) => [request, "tap"],
    }
}

/// Every fault that can strike: the call's number, what it is, the errno, and when.
fn every_fault(trace: &[Record]) -> impl Iterator<Item = (&Record, Errno, Moment)> {
    trace.iter().flat_map(|record| {
        let moments = [Moment::Before, Moment::After];
        let both = move |errno| moments.into_iter().map(move |moment| (record, errno, moment));
        errnos(record).iter().copied().flat_map(both)
    })
}

/// The calls of an undisturbed attach and detach, and how many of them the attach makes.
fn undisturbed(config: &dyn Fn() -> Config) -> (Vec<Record>, usize) {
    let machine = Machine::boot();
    let tap = config().attach().unwrap();
    let attached = machine.calls();
    tap.detach().unwrap();
    (machine.trace(), attached)
}

fn fault_in_attach(config: &dyn Fn() -> Config, record: &Record, errno: Errno, moment: Moment) {
    let machine = Machine::boot();
    let before = machine.snapshot();
    machine.fail_call(record.number, Trouble::Errno(errno), moment);
    let attached = config().attach();
    let what = format!("{record} failing with {errno}, {moment:?}");
    if record.is("close") || record.is("poll") && errno == Errno::EINTR {
        // A close that fails has closed all the same; there is nothing to report and nothing to undo. A signal ends no wait.
        attached.expect(&what).detach().expect(&what);
    } else {
        let error = attached.expect_err(&what);
        let text = error.to_string();
        for part in step_and_object(record) {
            assert!(text.contains(part), "{what}: {text:?} does not name {part:?}");
        }
        // Of any device, none is in use.
        let asks_for_one = record.is_about("I_STR", "TUNNEWPPA") && !record.arguments.ends_with("-1");
        let in_use = asks_for_one && errno == Errno::EEXIST;
        assert_eq!(matches!(error, AttachError::Busy { .. }), in_use, "{what}: {error:?}");
        let taken = record.is("SIOCSLIFNAME") && errno == Errno::EEXIST;
        assert_eq!(matches!(error, AttachError::WrongKind { .. }), taken, "{what}: {error:?}");
        assert_eq!(errno_of(error), host(errno), "{what}");
    }
    assert_unchanged(&machine, &before);
}

fn fault_in_detach(config: &dyn Fn() -> Config, record: &Record, errno: Errno, moment: Moment) {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let tap = config().attach().unwrap();
    machine.fail_call(record.number, Trouble::Errno(errno), moment);
    let detached = tap.detach();
    let what = format!("{record} failing with {errno}, {moment:?}");
    match detached {
        Ok(()) => assert!(record.is("close"), "{what} went unnoticed"),
        Err(DetachError::Request { request, object, source }) => {
            assert_eq!((request, source.raw_os_error()), ("I_UNLINK", host(errno)), "{what}");
            assert!(record.is("I_UNLINK") && object.contains("tap"), "{what}: {object}");
            assert!(
                object.ends_with(&record.arguments[record.arguments.find(", ").unwrap() + 2..]),
                "{what}: {object}"
            );
        }
        Err(other) => panic!("{what}: {other}"),
    }
    assert_unchanged(&machine, &before);
}

fn inject_everywhere(what: &str, config: &dyn Fn() -> Config) -> usize {
    let (trace, attached) = undisturbed(config);
    let (attach, detach) = trace.split_at(attached);
    // The end of the modules to pop: the answer that is always given.
    let mut injected = 0;
    for (record, errno, moment) in every_fault(attach) {
        fault_in_attach(config, record, errno, moment);
        injected += 1;
    }
    for (record, errno, moment) in every_fault(detach) {
        fault_in_detach(config, record, errno, moment);
        injected += 1;
    }
    println!("{injected} faults injected into {what}");
    injected
}

/// Row F41.
#[test]
fn every_errno_at_every_call_leaves_nothing_and_is_named() {
    let total = inject_everywhere("the plain sequence", &|| named("tap3"))
        + inject_everywhere("the one with settings", &|| everything("tap3"))
        + inject_everywhere("the one with IPv6", &|| everything_v6("tap3"))
        + inject_everywhere("the bare device", &|| {
            named("tap3").hardware_address([2, 0, 0, 0, 0, 3]).external_plumbing()
        });
    println!("{total} faults injected");
    assert!(total > 400, "only {total}");
}

/// An automatic name goes on to another device where the name is taken, so `EEXIST` is no fault there.
#[test]
fn every_errno_but_eexist_at_every_call_of_an_automatic_attach() {
    let config: &dyn Fn() -> Config = &impatient;
    let (trace, attached) = undisturbed(config);
    let mut injected = 0;
    for (record, errno, moment) in every_fault(&trace[..attached]) {
        if record.is("SIOCSLIFNAME") && errno == Errno::EEXIST {
            continue;
        }
        fault_in_attach(config, record, errno, moment);
        injected += 1;
    }
    println!("{injected} faults injected into the automatic sequence");
}

/// A wrong answer of the kernel to this call must fail the attach and leave nothing.
fn wrong_answer(
    config: &dyn Fn() -> Config,
    pick: fn(&Record) -> bool,
    nth: usize,
    trouble: Trouble,
    what: &str,
) {
    for moment in [Moment::Before, Moment::After] {
        let machine = Machine::boot();
        let before = machine.snapshot();
        machine.fail_nth(nth, pick, trouble, moment);
        let error = config().attach().expect_err(what).to_string();
        assert!(error.contains(what), "{error:?} does not name {what:?}");
        assert_unchanged(&machine, &before);
    }
}

/// Row hazard 3.
#[test]
fn another_ppa_than_asked_for_is_refused() {
    let new_ppa = |record: &Record| record.is_about("I_STR", "TUNNEWPPA");
    for answer in [2, 4, 20, 0x7fff_ffff, -7] {
        wrong_answer(
            &|| named("tap3"),
            new_ppa,
            1,
            Trouble::Answer(answer),
            "TUNNEWPPA on /dev/tap: the PPA: expected",
        );
    }
    for answer in [20, 21, -7] {
        wrong_answer(
            &impatient,
            new_ppa,
            1,
            Trouble::Answer(answer),
            "TUNNEWPPA on /dev/tap: the PPA: expected",
        );
    }
}

#[test]
fn a_muxid_that_is_not_above_0_is_refused() {
    for (nth, stream) in [(1, "ip"), (2, "arp"), (3, "ip")] {
        for answer in [0, -2] {
            let wanted = format!("above 0 for the {stream} stream of tap3");
            let linked = |record: &Record| record.is("I_LINK");
            wrong_answer(&|| everything_v6("tap3"), linked, nth, Trouble::Answer(answer), &wanted);
        }
    }
}

#[test]
fn muxids_that_are_read_back_differently_are_refused() {
    let read_back = |record: &Record| record.is("SIOCGLIFMUXID");
    wrong_answer(
        &|| named("tap3"),
        read_back,
        1,
        Trouble::SwapMuxIds,
        "SIOCGLIFMUXID: the muxids of ip and arp",
    );
    for nth in [1, 2] {
        let number = Trouble::StoreNumber(77);
        wrong_answer(
            &|| everything_v6("tap3"),
            read_back,
            nth,
            number,
            "SIOCGLIFMUXID: the muxids of ip and arp",
        );
    }
}

#[test]
fn modules_that_never_end_are_popped_nine_times_at_most() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    machine.plan_fault(streams_model::Fault {
        when: streams_model::When::Every(Box::new(|record| record.is("I_POP"))),
        trouble: Trouble::Answer(0),
        moment: Moment::Before,
    });
    let error = named("tap3").attach().expect_err("the loop must end").to_string();
    assert!(error.contains("I_POP"), "{error}");
    assert!(machine.calls() <= 12, "{} calls", machine.calls());
    assert_unchanged(&machine, &before);
}

#[test]
fn a_logical_interface_without_a_name_of_its_own_is_refused() {
    let added = |record: &Record| record.is("SIOCLIFADDIF");
    let what = "SIOCLIFADDIF: the new interface: expected one above tap3, found tap3";
    let machine = Machine::boot();
    let before = machine.snapshot();
    machine.fail_nth(1, added, Trouble::Answer(0), Moment::Before);
    let error = everything_v6("tap3").attach().expect_err(what).to_string();
    assert!(error.contains(what), "{error:?}");
    assert_unchanged(&machine, &before);
}

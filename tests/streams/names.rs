//! Names and PPAs: no string makes the attach ask the kernel for something it should not be asked, and without a name the
//! driver chooses.

use proptest::prelude::*;
use streams_model::{Errno, Machine, Moment, Trouble};

use crate::AttachError;
use crate::bench::{
    assert_nothing_wrong, assert_unchanged, attach, calls, calls_about, errno_of, host, impatient, named,
    refused,
};

/// The kernel's rule and the driver's range, written from `ill_get_ppa_ptr` and independently of the crate: the number
/// after the last byte that is no digit.
fn kernel_accepts(name: &str) -> Option<i64> {
    let bytes = name.as_bytes();
    let first = *bytes.first()?;
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.';
    if bytes.len() > 31 || !first.is_ascii_alphabetic() || !bytes.iter().all(legal) {
        return None;
    }
    let stem_end = bytes.iter().rposition(|byte| !byte.is_ascii_digit())?;
    let digits = &name[stem_end + 1..];
    let no_leading_zero = digits == "0" || !digits.starts_with('0');
    let number = digits.parse().ok()?;
    (no_leading_zero && (0..20).contains(&number)).then_some(number)
}

/// Attaches `name` on a fresh machine and looks at what the kernel was asked.
fn attach_asks_only_what_is_right(name: &str) {
    let machine = Machine::boot();
    let before = machine.snapshot();
    match (named(name).attach(), kernel_accepts(name)) {
        (Ok(tap), Some(ppa)) => {
            assert_eq!(tap.name().unwrap().as_str(), Some(name));
            assert_eq!(machine.snapshot().ppas, [ppa as usize]);
            let control = calls_about(&machine, "I_STR", "TUNNEWPPA");
            assert_eq!(control.len(), 1);
            assert!(control[0].arguments.ends_with(&format!(", TUNNEWPPA, {ppa}")), "{}", control[0]);
            let given = calls_about(&machine, "SIOCSLIFNAME", name);
            assert_eq!(given.len(), 1);
            assert!(given[0].arguments.contains(&format!(", {name}, ppa {ppa}, ")), "{}", given[0]);
        }
        (Err(AttachError::BadName { name: told, .. }), None) => {
            assert_eq!(told, name);
            assert_eq!(machine.calls(), 0, "{:?}", machine.trace_lines());
        }
        (outcome, expected) => panic!("{name:?}: {outcome:?}, where the rule says {expected:?}"),
    }
    assert_unchanged(&machine, &before);
}

proptest! {
    /// Row invariant 12.
    #[test]
    fn no_string_makes_attach_send_a_bad_name(name in ".{0,40}") {
        attach_asks_only_what_is_right(&name);
    }

    /// Row invariant 12.
    #[test]
    fn no_string_that_is_almost_a_name_makes_attach_send_a_bad_one(name in "[a-zA-Z0-9._:/ \0-]{0,3}[a-z_.]{0,28}[0-9]{0,4}") {
        attach_asks_only_what_is_right(&name);
    }

    /// Row invariant 12.
    #[test]
    fn no_string_that_is_a_name_makes_attach_send_a_bad_one(name in "[a-zA-Z][a-zA-Z0-9._]{0,28}[a-z](1?[0-9])") {
        attach_asks_only_what_is_right(&name);
    }
}

/// Row invariant 12.
#[test]
fn the_names_that_are_refused_before_any_call() {
    let long = format!("{}1", "t".repeat(31));
    let refused = [
        "tap20",
        "tap01",
        "tap00",
        "tap",
        "9tap0",
        "",
        "0",
        "tap-1",
        "tap:1",
        "tap1:1",
        "tap/1",
        "tap 1",
        " tap1",
        "tap1 ",
        "tap1\0",
        "t\0ap1",
        "_tap1",
        ".tap1",
        "tapé1",
        "tap%d",
        "tap1\n",
        "tap99",
        "tap4294967299",
        "tap18446744073709551619",
        "tap-0",
        long.as_str(),
    ];
    for name in refused {
        assert_eq!(kernel_accepts(name), None, "{name:?}");
        attach_asks_only_what_is_right(name);
    }
}

/// Row invariant 12.
#[test]
fn the_twenty_devices_and_free_stems_are_accepted() {
    let longest = format!("{}1", "t".repeat(30));
    let stems = ["vm3", "t3", "T_a.p3", "tap3.7", "a1b2", "lo0", longest.as_str()];
    for name in (0..20).map(|ppa| format!("tap{ppa}")).chain(stems.map(str::to_owned)) {
        assert!(kernel_accepts(&name).is_some(), "{name:?}");
        attach_asks_only_what_is_right(&name);
    }
}

/// Rows hazard 1 and B32.
#[test]
fn the_ppa_is_all_the_trailing_digits() {
    let machine = Machine::boot();
    // With the last digit alone, these would be the devices of tap2 and tap0, or fail with them in use.
    let _two = attach(named("tap2"));
    let twelve = attach(named("tap12"));
    assert_eq!(machine.snapshot().ppas, [2, 12]);
    let _ten = attach(named("tap10"));
    assert_eq!(machine.snapshot().ppas, [2, 10, 12]);
    assert_eq!(twelve.name().unwrap().as_str(), Some("tap12"));
    assert_nothing_wrong(&machine);
}

/// Rows hazard 2 and B33.
#[test]
fn without_a_name_the_driver_chooses_and_the_name_is_completed() {
    let machine = Machine::boot();
    let _zero = attach(named("tap0"));
    let tap = attach(impatient().any());
    assert_eq!(tap.name().unwrap().as_str(), Some("tap1"));
    assert_eq!(machine.snapshot().ppas, [0, 1]);
    let asked = calls_about(&machine, "I_STR", "TUNNEWPPA");
    assert!(asked[1].arguments.ends_with(", TUNNEWPPA, -1"), "{}", asked[1]);
    assert_eq!(calls_about(&machine, "SIOCSLIFNAME", "tap1").len(), 1);
    assert_nothing_wrong(&machine);
}

/// Rows hazard 4 and B33.
#[test]
fn no_name_is_no_null_name() {
    let machine = Machine::boot();
    let tap = attach(crate::Config::new());
    assert_eq!(tap.name().unwrap().as_str(), Some("tap0"));
    assert!(calls(&machine, "SIOCSLIFNAME").iter().all(|record| record.subject.as_deref() == Some("tap0")));
}

/// Row hazard 5.
#[test]
fn a_name_is_never_cut() {
    let machine = Machine::boot();
    // The kernel would keep the first 31 bytes, which are a legal name of PPA 1.
    let cut = format!("{}11", "t".repeat(30));
    assert_eq!(kernel_accepts(&cut[..31]), Some(1));
    assert!(matches!(named(&cut).attach(), Err(AttachError::BadName { .. })));
    assert_eq!(machine.calls(), 0);
}

#[test]
fn a_bad_name_is_refused_before_the_setup_program_runs() {
    let machine = Machine::boot();
    let refused = named("tap20").setup_program("/nonexistent/program").attach();
    assert!(matches!(refused, Err(AttachError::BadName { .. })), "{refused:?}");
    assert_eq!(machine.calls(), 0);
}

#[test]
fn an_automatic_name_that_is_taken_gives_way_to_another() {
    let machine = Machine::boot();
    for name in ["tap0", "tap1"] {
        machine.kernel(|kernel| kernel.plumb_elsewhere(name));
    }
    let before = machine.snapshot();
    let tap = attach(impatient().replace_stale());
    assert_eq!(tap.name().unwrap().as_str(), Some("tap2"));
    let state = machine.snapshot();
    // What was rejected on the way was kept until another device was found, and is free again.
    assert_eq!((state.ppas.as_slice(), state.interfaces.len()), ([2].as_slice(), 3));
    assert_eq!(state.descriptors.len(), before.descriptors.len() + 2);
    assert!(calls(&machine, "I_PUNLINK").is_empty(), "where any name will do, nobody's is replaced");
    tap.detach().unwrap();
    assert_unchanged(&machine, &before);
}

#[test]
fn twenty_taken_names_end_the_search() {
    let machine = Machine::boot();
    for ppa in 0..20 {
        machine.kernel(|kernel| kernel.plumb_elsewhere(&format!("tap{ppa}")));
    }
    let error = refused(&machine, impatient());
    assert_eq!(errno_of(error), host(Errno::ENOMEM));
    assert_eq!(calls_about(&machine, "I_STR", "TUNNEWPPA").len(), 21);
}

#[test]
fn a_driver_that_gives_one_number_for_ever_ends_the_search() {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap7"));
    machine.plan_fault(streams_model::Fault {
        when: streams_model::When::Every(Box::new(|record| record.is_about("I_STR", "TUNNEWPPA"))),
        trouble: Trouble::Answer(7),
        moment: Moment::Before,
    });
    let before = machine.snapshot();
    let error = impatient().attach().expect_err("there is an end");
    assert!(matches!(error, AttachError::WrongKind { .. }), "{error:?}");
    assert_eq!(machine.snapshot(), before);
    assert_eq!(calls_about(&machine, "I_STR", "TUNNEWPPA").len(), 21);
}

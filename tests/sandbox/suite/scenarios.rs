//! The sandbox table, and what is done to see that each row is true.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};

use super::host_side::macvtaps;
use super::process::Role;
use super::sandbox::Sandbox;
use super::{attach, frames, settings, tracer};

// Every row of the table, and what is done to see that it is true.

/// Takes steps in the sandbox; what comes before and after them is outside.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The rows whose calls it may make. The last one is its own: each call of it is made by some scenario of that row.
    pub(crate) rows: &'static [&'static str],
    pub(crate) play: fn(&Sandbox),
}

pub(crate) const ROLES: &[Role] = &[
    ("traced", |name| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ptrace::traceme().unwrap();
        raise(Signal::SIGSTOP).unwrap();
        (find(name).play)(&Sandbox::Traced);
    }),
    ("confined", |name| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let scenario = find(name);
        (scenario.play)(&Sandbox::confined(&allowed(&scenario, &rows())));
    }),
    ("strays", |_| {
        let read_only = BTreeSet::from(["read".to_owned()]);
        Sandbox::confined(&read_only).within(|| nix::unistd::write(std::io::stderr(), b"got out\n").unwrap());
    }),
];

fn all() -> Vec<Scenario> {
    [frames::SCENARIOS, settings::SCENARIOS, attach::SCENARIOS].into_iter().flatten().map(copy).collect()
}

/// Those that can be played here: not every kernel has macvtaps, and only root makes nodes for them.
fn playable() -> Vec<Scenario> {
    let has_macvtaps = macvtaps(&["mv0"]);
    all().into_iter().filter(|scenario| has_macvtaps || own(scenario) != attach::MACVTAP).collect()
}

fn copy(scenario: &Scenario) -> Scenario {
    Scenario { ..*scenario }
}

fn find(name: &str) -> Scenario {
    all().into_iter().find(|scenario| scenario.name == name).unwrap_or_else(|| panic!("no scenario {name}"))
}

fn allowed(scenario: &Scenario, rows: &BTreeMap<String, Row>) -> BTreeSet<String> {
    let row = |name: &&str| rows.get(*name).unwrap_or_else(|| panic!("{}: no row {name:?}", scenario.name));
    scenario.rows.iter().flat_map(row).flatten().cloned().collect()
}

fn own(scenario: &Scenario) -> &'static str {
    scenario.rows.last().unwrap()
}

pub(crate) fn the_table_has_a_row_for_each_scenario_and_the_other_way_round() {
    let rows: BTreeSet<String> = rows().into_keys().collect();
    let played: BTreeSet<String> =
        all().iter().flat_map(|scenario| scenario.rows).map(|row| (*row).into()).collect();
    assert_eq!(rows, played);
}

pub(crate) fn every_method_stands_in_the_table() {
    // It lies beside the package, and not in it.
    let listing = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/api/public-api.txt");
    let Ok(listing) = std::fs::read_to_string(listing) else { return };
    let titles = rows().into_keys().collect::<Vec<_>>().join(" ");
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words: BTreeSet<&str> = titles.split(|letter| !is_word(letter)).collect();
    let methods: BTreeSet<&str> = listing.lines().filter_map(method).filter(|name| !is_form(name)).collect();
    assert!(methods.len() > 30, "{methods:?}");
    let missing: Vec<_> = methods.difference(&words).collect();
    assert!(missing.is_empty(), "in no row: {missing:?}");
}

/// The name in a line of the listing that is about a method of what a hypervisor's threads have in their hands.
fn method(line: &str) -> Option<&str> {
    let (path, _) = line.split_once("fn tap_plumb::")?.1.split_once('(')?;
    let (of, name) = path.rsplit_once("::")?;
    let named = matches!(of, "Backend" | "Tap" | "Session<B>") && !matches!(name, "fmt" | "drop");
    named.then_some(name)
}

/// Those that the row of the frames means by "all forms".
fn is_form(name: &str) -> bool {
    let form = name.split('_').next().unwrap_or_default();
    matches!(form, "receive" | "send" | "resume") && name != "receive_buffer_len"
}

/// The sandbox itself can fail a test.
pub(crate) fn a_call_that_is_not_in_the_row_kills() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.env("TAP_PLUMB_TEST_ROLE", "strays ").output().unwrap();
    assert_eq!((output.status.signal(), output.stderr), (Some(libc::SIGSYS), vec![]));
}

/// Said once more, lest the table be widened.
pub(crate) fn frames_are_moved_by_four_calls() {
    let four = ["read", "readv", "write", "writev"].map(|name| BTreeSet::from([name.to_owned()]));
    assert_eq!(rows()[frames::ROW], four);
    assert_eq!(rows()[settings::OFFLOAD], [BTreeSet::from(["ioctl TUNSETOFFLOAD".to_owned()])]);
}

pub(crate) fn every_step_makes_the_calls_of_its_rows_and_its_own_row_has_no_other() {
    let rows = rows();
    let mut used = BTreeMap::<&str, BTreeSet<String>>::new();
    let mut wrong = Vec::new();
    for scenario in playable() {
        let calls = tracer::trace(scenario.name);
        let allowed = allowed(&scenario, &rows);
        wrong.extend(
            calls
                .difference(&allowed)
                .map(|call| format!("{}: {call} is in none of its rows", scenario.name)),
        );
        used.entry(own(&scenario)).or_default().extend(calls);
    }
    for (row, used) in used {
        let unused = rows[row].iter().filter(|entry| entry.is_disjoint(&used));
        wrong.extend(unused.map(|entry| format!("{row:?} lists {entry:?}, which nothing of it does")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

pub(crate) fn every_step_lives_in_the_sandbox_of_its_rows() {
    playable().iter().for_each(|scenario| tracer::confine(scenario.name));
}

// The table of src/guide/sandboxes.md, read from its text.

/// What a row allows: each entry is a call by its name, or several of which a C library uses one.
pub(crate) type Row = Vec<BTreeSet<String>>;

const GUIDE: &str = include_str!("../../../src/guide/sandboxes.md");

/// The rows by the text of their first cell, without its marks.
pub(crate) fn rows() -> BTreeMap<String, Row> {
    let lines = GUIDE.lines().skip_while(|line| !line.starts_with("| step or method |")).skip(2);
    let mut rows = BTreeMap::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [title, calls, requests] = cells[..] else { panic!("three cells: {line}") };
        let row = entries(calls, "").chain(entries(requests, "ioctl ")).collect();
        assert!(rows.insert(title.replace('`', ""), row).is_none(), "twice: {title}");
    }
    assert!(!rows.is_empty(), "the table is not where it was");
    rows
}

/// `a`, `b` or `c`: two entries.
fn entries<'a>(cell: &'a str, kind: &'a str) -> impl Iterator<Item = BTreeSet<String>> + 'a {
    cell.split(", ").filter(|entry| !entry.is_empty()).map(move |entry| {
        let names = entry.split(" or ").map(|name| {
            let bare = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            format!("{kind}{}", bare.unwrap_or_else(|| panic!("no name in backticks: {name:?} in {cell:?}")))
        });
        names.collect()
    })
}

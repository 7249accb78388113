//! What becomes of the figures: benches/RESULTS.md with what was measured, on what, and the verdicts; and how far the ratios of two
//! runs lie apart, from what they printed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::report::{Bound, Figure, Report, Verdict};
use crate::rig::Outcome;

/// The peers that are crates; their versions are those of the lock file that this program was built from.
const CRATES: [&str; 3] = ["etherparse", "internet-checksum", "tun-rs"];
const LOCK: &str = include_str!("../Cargo.lock");

/// What the ratios of two runs may differ by.
const LIMIT: f64 = 0.03;

pub fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `ci/bench all`; what is to be said about them is in NOTES.md.\n\n",
    );
    let facts = [
        ("command", "`ci/bench all`".to_owned()),
        ("date", date()),
        ("kernel", kernel()),
        ("processors", processor()),
        ("peers", peers().join(", ")),
    ];
    text += "| | |\n|---|---|\n";
    for (name, fact) in facts {
        let _ = writeln!(text, "| {name} | {fact} |");
    }
    text += "\nEach ratio is of two things measured alternately in one run, of the fastest tenth of their turns (latencies and\n\
             processor time: of the median round). Frames both ways, threads, `gso.*` and the attach are the median of five\n\
             processes. Beside a ratio stand the\n\
             least and the most of the rounds. A/A is the peer measured against itself in the same\n\
             rounds; where it is off by more than one per cent, the figure is unsteady, and its bound does not count. The ones on\n\
             two queues count where two threads of bare calls gain as much (`.bare`). Ratios of time, calls and memory are the\n\
             better the smaller, those of `Gbit/s` and of queues the greater.\n\n\
             ![ratios](results.svg)\n\n\
             | figure | value | ratio | least..most | peer | A/A | bound | verdict |\n|---|---|---|---|---|---|---|---|\n";
    for figure in &report.figures {
        text += &row(figure);
    }
    text
}

fn row(figure: &Figure) -> String {
    let Figure { name, unit, spread: [least, most], peer, control, bound, .. } = figure;
    let control = control.map_or("".into(), |control| format!("{control:.3}"));
    let bound_text = if matches!(bound, Bound::None) { String::new() } else { bound.text() };
    let value = figure.value_text();
    let (ratio, verdict) = (figure.ratio_text(), figure.verdict().text());
    format!(
        "| {name} | {value} {unit} | **{ratio}** | {least:.3}..{most:.3} | {peer} | {control} | {bound_text} | {verdict} |\n"
    )
}

fn kernel() -> String {
    first_line("uname", &["-sr"])
}

fn date() -> String {
    first_line("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])
}

/// Processors and their model.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':']));
    format!("{} x {model}", models.len())
}

/// Every peer with its version.
fn peers() -> Vec<String> {
    let crates = CRATES.iter().map(|name| format!("{name} {}", locked(name).unwrap_or("unknown")));
    let programs = [
        first_line("iperf3", &["--version"]).split(" (").next().unwrap_or_default().to_owned(),
        first_line("strace", &["--version"]),
        first_line("rustc", &["--version"]),
    ];
    crates.chain(programs).collect()
}

fn locked(name: &str) -> Option<&'static str> {
    let (_, behind) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(behind.split_once('"')?.0)
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map_or(Vec::new(), |output| output.stdout);
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").to_owned()
}

/// Prints the figures of which the two differ by more, and which of them were unsteady; `false` when there are any.
pub fn compare(one: &str, other: &str) -> Outcome<bool> {
    let (one, other) = (ratios(one)?, ratios(other)?);
    let mut apart = 0;
    for (name, (ratio, steady)) in &one {
        let (other_ratio, other_steady) =
            other.get(name).ok_or_else(|| format!("the second run lacks {name}"))?;
        // What the machine gave the bare calls more or less of the second time is no drift of ours.
        let machine =
            bare_of(name).and_then(|bare| Some(other.get(&bare)?.0 / one.get(&bare)?.0)).unwrap_or(1.0);
        let drift = if ratio == other_ratio { 0.0 } else { other_ratio / ratio / machine - 1.0 };
        if drift.abs() > LIMIT {
            let note = if *steady && *other_steady { "" } else { " (unsteady)" };
            println!("{name}: {ratio:.4} and {other_ratio:.4}, {:+.1} %{note}", drift * 100.0);
            apart += 1;
        }
    }
    println!("{} of {} figures within {} %", one.len() - apart, one.len(), LIMIT * 100.0);
    Ok(apart == 0)
}

/// The figure that says what the bare calls gain where this one says what we gain; of those, itself.
fn bare_of(name: &str) -> Option<String> {
    let (figure, peer) = name.split_once('/')?;
    let figure = figure.strip_suffix(".bare").unwrap_or(figure);
    (peer == "one-queue").then(|| format!("{figure}.bare/{peer}"))
}

/// The ratio of each name and peer, and whether it was steady, from lines `name value unit ratio peer  # ... verdict`.
fn ratios(path: &str) -> Outcome<BTreeMap<String, (f64, bool)>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let [name, _, _, ratio, peer, "#", .., last] = line.split_whitespace().collect::<Vec<_>>()[..] {
            let steady = last != Verdict::Unsteady.text();
            found.insert(format!("{name}/{peer}"), (ratio.parse()?, steady));
        }
    }
    Ok(found)
}

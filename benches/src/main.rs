//! Measures tap-plumb beside what it is built on, and beside what else there is. Run it by `ci/bench`.

mod calls;
mod chart;
mod checksum;
mod forms;
mod forward;
mod frames;
mod frontend;
mod gso;
mod in_line;
mod life;
mod measure;
mod memory;
mod queues;
mod report;
mod results;
mod rig;
mod scale;
mod slices;
mod streams;
mod threads;

use std::fs;
use std::process::ExitCode;

use report::Report;
use rig::Outcome;

type Group = (&'static str, fn(&mut Report) -> Outcome<()>);

const GROUPS: [Group; 13] = [
    // First, since it looks at the memory of this process.
    ("memory", memory::all),
    // Then what takes a few nanoseconds, before others have used the heap: where that lies changes it by a tenth.
    ("checksum", checksum::all),
    ("frames", frames::all),
    ("slices", slices::all),
    ("forms", forms::all),
    ("threads", threads::all),
    ("gso", gso::all),
    ("forward", forward::all),
    ("scale", scale::all),
    ("queues", queues::all),
    ("life", life::all),
    ("calls", calls::all),
    ("streams", streams::all),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match &arguments[..] {
        [calls::COUNTED, what] => calls::counted(what).map(|()| true),
        ["compare", one, other] => results::compare(one, other),
        [] => run("quick"),
        [which] => run(which),
        _ => Err("one name of figures, or compare and two files".into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells whether every bound was met that counts.
fn run(which: &str) -> Outcome<bool> {
    let wanted: &[&str] = match which {
        "quick" => &["frames"],
        "gso" => &["gso", "checksum"],
        "all" => &GROUPS.map(|(name, _)| name),
        one => &[one],
    };
    let groups: Vec<_> = GROUPS.iter().filter(|(name, _)| wanted.contains(name)).collect();
    if groups.is_empty() {
        let names = GROUPS.map(|(name, _)| name).join(" ");
        return Err(
            format!("no figures named '{which}'; there are: quick gso all, and by group: {names}").into()
        );
    }
    rig::enter_namespace()?;
    rig::pin(rig::WORKER);
    let mut report = Report::default();
    for (_, group) in groups {
        group(&mut report)?;
    }
    if which == "all" {
        fs::write("RESULTS.md", results::markdown(&report))?;
        fs::write("results.svg", chart::svg(&report))?;
    }
    let missed = report.missed();
    if !missed.is_empty() {
        eprintln!("bounds missed: {}", missed.join(" "));
    }
    Ok(missed.is_empty())
}

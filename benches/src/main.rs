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
use std::process::{Command, ExitCode, Stdio};

use report::{Figure, Report};
use rig::Outcome;

/// A group's name, the processes that measure it one after the other, and what measures.
type Group = (&'static str, usize, fn(&mut Report) -> Outcome<()>);

/// The C library's call costs up to 8 % more or less in one process than in the next, in all its rounds alike.
const SEVERAL: usize = 5;

const GROUPS: [Group; 13] = [
    // First, since it looks at the memory of this process.
    ("memory", 1, memory::all),
    // Then what takes a few nanoseconds, before others have used the heap: where that lies changes it by a tenth.
    ("checksum", 1, checksum::all),
    ("frames", SEVERAL, frames::all),
    ("slices", SEVERAL, slices::all),
    ("forms", SEVERAL, forms::all),
    ("threads", SEVERAL, threads::all),
    ("gso", SEVERAL, gso::all),
    ("forward", 1, forward::all),
    ("scale", 1, scale::all),
    ("queues", 1, queues::all),
    ("life", SEVERAL, life::all),
    ("calls", 1, calls::all),
    ("streams", 1, streams::all),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match &arguments[..] {
        [ONE_OF_SEVERAL, name] => one_of_several(name).map(|()| true),
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

/// The argument by which a process is told to measure a group for another one.
const ONE_OF_SEVERAL: &str = "one-of-several";

/// Has processes of their own measure a group one after the other, in this one's namespace, and takes the median of each figure.
fn by_several(processes: usize, name: &str, report: &mut Report) -> Outcome<()> {
    let measure = || -> Outcome<Vec<Figure>> {
        let mut command = Command::new("/proc/self/exe");
        let output = command.args([ONE_OF_SEVERAL, name]).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{name} in a process of its own: {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let measured = (0..processes).map(|_| measure()).collect::<Outcome<Vec<_>>>()?;
    let named = |figures: &Vec<Figure>| -> Vec<_> {
        figures.iter().map(|figure| (figure.name.clone(), figure.peer.clone())).collect()
    };
    if measured.iter().any(|figures| named(figures) != named(&measured[0])) {
        return Err(format!("the processes differ in what they measured of {name}").into());
    }
    for at in 0..measured[0].len() {
        let same = measured.iter().map(|figures| figures[at].clone()).collect();
        report.add(Figure::median(same).ok_or("no process measured")?);
    }
    Ok(())
}

fn one_of_several(name: &str) -> Outcome<()> {
    let (.., group) = GROUPS.iter().find(|(known, ..)| *known == name).ok_or("no such group")?;
    let mut report = Report { silent: true, ..Report::default() };
    group(&mut report)?;
    serde_json::to_writer(std::io::stdout(), &report.figures)?;
    Ok(())
}

/// Tells whether every bound was met that counts.
fn run(which: &str) -> Outcome<bool> {
    let wanted: &[&str] = match which {
        "quick" => &["frames"],
        "gso" => &["gso", "checksum"],
        "all" => &GROUPS.map(|(name, ..)| name),
        one => &[one],
    };
    let groups: Vec<_> = GROUPS.iter().filter(|(name, ..)| wanted.contains(name)).collect();
    if groups.is_empty() {
        let names = GROUPS.map(|(name, ..)| name).join(" ");
        return Err(
            format!("no figures named '{which}'; there are: quick gso all, and by group: {names}").into()
        );
    }
    rig::enter_namespace()?;
    rig::pin(rig::WORKER);
    let mut report = Report::default();
    for (name, processes, group) in groups {
        if *processes == 1 { group(&mut report)? } else { by_several(*processes, name, &mut report)? }
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

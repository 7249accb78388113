//! The machine that the program runs on. Each group is asked by a process of its own, for a close that waits for ever
//! cannot be interrupted, not even by a kill: then the others are asked all the same.

use std::io;
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::questions::{Clock, Facts, GROUPS, Links};

/// The group that needs links, and no driver.
const DATALINK: &str = "datalink";

/// The variable that names two links made for the questions, with a space between the names.
const LINKS: &str = "FACTS_LINKS";

/// The longest group takes half of it.
const LIMIT: Duration = Duration::from_secs(60);

struct Real(Instant);

impl Clock for Real {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn pass(&self, time: Duration) {
        sleep(time);
    }
}

/// Asks the groups that were named, or all.
pub(crate) fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--here", name] => match GROUPS.iter().find(|(known, _)| *known == name) {
            Some((name, questions)) => {
                Facts::ask(name, &Real(Instant::now()), links().as_ref(), &mut io::stdout(), *questions);
                ExitCode::SUCCESS
            }
            None => usage(),
        },
        [] => ask(&GROUPS.map(|(name, _)| name)),
        ref names if names.iter().all(|name| GROUPS.iter().any(|(known, _)| known == name)) => ask(names),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: illumos-facts [group ...]; groups: {}", GROUPS.map(|(name, _)| name).join(" "));
    ExitCode::from(2)
}

fn links() -> Option<Links> {
    Links::parse(&std::env::var(LINKS).ok()?)
}

fn ask(groups: &[&str]) -> ExitCode {
    let mut status = ExitCode::SUCCESS;
    for name in groups {
        if *name == DATALINK && links().is_none() {
            eprintln!("illumos-facts: {name}: skipped: {LINKS} names no two links that were made for it");
            if std::env::var("CI").is_ok_and(|ci| ci == "true") {
                status = ExitCode::FAILURE;
            }
            continue;
        }
        if let Err(reason) = ask_in_child(name) {
            println!("{}", serde_json::json!({ "fact": format!("{name}.ended"), "value": reason }));
            status = ExitCode::FAILURE;
        }
    }
    status
}

fn ask_in_child(name: &str) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program).args(["--here", name]).spawn().map_err(failed)?;
    match wait(&mut child).map_err(failed)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(status.to_string()),
        None => {
            // Not waited for: it may never end.
            child.kill().map_err(failed)?;
            Err(format!("not within {} s", LIMIT.as_secs()))
        }
    }
}

fn wait(child: &mut Child) -> io::Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(Duration::from_millis(20));
    }
    Ok(None)
}

//! A program's standard error, and a terminate program nobody can be told about, go to the log.

#[path = "support/programs.rs"]
mod programs;

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
use programs::{Programs, attach_failure, named, setup_failure};

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        LINES.lock().unwrap().push((record.level(), record.args().to_string()));
    }
    fn flush(&self) {}
}

/// What a program of this test had logged, without the folder's name.
fn lines_of(programs: &Programs) -> Vec<(Level, String)> {
    let folder = format!("{}/", programs.folder().display());
    let lines = LINES.lock().unwrap();
    let ours = lines.iter().filter(|(level, line)| *level < Level::Debug && line.contains(&folder));
    ours.map(|(level, line)| (*level, line.replace(&folder, ""))).collect()
}

fn collect() {
    // The first test installs it.
    let _ = log::set_logger(&Collector);
    log::set_max_level(LevelFilter::Trace);
}

/// Row B38.
#[test]
fn the_standard_error_of_a_program_is_logged_line_by_line() {
    collect();
    let programs = Programs::new("success");
    attach_failure(named(programs.script("setup", "echo one >&2; printf 'two\\033[1m' >&2")));
    let expected = [(Level::Info, "setup: one".into()), (Level::Info, "setup: two\\u{1b}[1m".into())];
    assert_eq!(lines_of(&programs), expected);
}

/// Row B38.
#[test]
fn the_standard_error_of_a_failing_program_is_a_warning() {
    collect();
    let programs = Programs::new("failure");
    setup_failure(named(programs.script("setup", "echo no bridge >&2; exit 1")));
    assert_eq!(lines_of(&programs), [(Level::Warn, "setup: no bridge".into())]);
}

/// Row hazard 23.
#[test]
fn endless_standard_error_is_cut_and_the_rest_counted() {
    collect();
    let programs = Programs::new("endless");
    attach_failure(named(programs.script("setup", "head -c 1048576 /dev/zero | tr '\\0' x >&2")));
    let lines = lines_of(&programs);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].1, format!("setup: {}", "x".repeat(4096)));
    assert_eq!(lines[1].1, "setup: 1044480 more bytes of its standard error were discarded");
}

/// Row B40.
#[test]
fn the_failure_of_a_terminate_program_is_logged_where_no_error_can_tell() {
    collect();
    let programs = Programs::new("terminate");
    let config =
        named(programs.script("setup", "")).terminate_program(programs.script("terminate", "exit 5"));
    attach_failure(config);
    assert_eq!(
        lines_of(&programs),
        [(Level::Warn, "terminate program: terminate ended with status 5; the log has what it wrote to its standard error".into())]
    );
}

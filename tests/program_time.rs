//! Programs that do not end: both are stopped, with what they started, and the wait is bounded.

#[path = "support/programs.rs"]
mod programs;

use std::time::{Duration, Instant};

use programs::{NOWHERE, Programs, attach_failure, named, setup_failure, unnamed};
use tap_plumb::ProgramError;

const LIMIT: Duration = Duration::from_millis(300);
/// What a loaded machine may add.
const MARGIN: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_secs(5);

fn assert_stopped(error: &ProgramError) {
    assert!(matches!(error, ProgramError::Timeout { seconds: 1, .. }), "{error}");
}

/// Row hazard 23.
#[test]
fn a_program_that_hangs_is_stopped() {
    let programs = Programs::new("hang");
    let begun = Instant::now();
    let error =
        setup_failure(unnamed(programs.recorder("setup", "echo tapnone1; sleep 60")).program_timeout(LIMIT));
    assert_stopped(&error);
    assert!((LIMIT..LIMIT + MARGIN).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(!programs.lives("setup.pid"));
}

/// Row hazard 23.
#[test]
fn what_a_script_started_is_stopped_with_it() {
    let programs = Programs::new("children");
    let body =
        "sh -c 'trap \"\" TERM; echo $$ > \"$0/child.pid\"; while :; do sleep 1; done' \"$here\" & wait";
    assert_stopped(&setup_failure(named(programs.recorder("setup", body)).program_timeout(LIMIT)));
    assert!(!programs.lives("setup.pid"));
    assert!(ends(&programs, "child.pid"), "the script's child is left");
}

/// Row B40.
#[test]
fn a_program_that_ignores_sigterm_is_killed_after_the_grace() {
    let programs = Programs::new("stubborn");
    let begun = Instant::now();
    let setup = programs.recorder("setup", "trap '' TERM; while :; do sleep 1; done");
    assert_stopped(&setup_failure(named(setup).program_timeout(LIMIT)));
    assert!((LIMIT + GRACE..LIMIT + GRACE + MARGIN).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(!programs.lives("setup.pid"));
}

/// Row B40.
#[test]
fn the_program_has_time_to_clean_up_after_sigterm() {
    let programs = Programs::new("clean up");
    let setup =
        programs.recorder("setup", "trap 'echo done > \"$here/cleaned\"; exit 0' TERM; sleep 60 & wait");
    // Its status 0 came too late to be a success.
    assert_stopped(&setup_failure(named(setup).program_timeout(LIMIT)));
    assert_eq!(programs.text("cleaned"), "done\n");
}

/// Row hazard 23.
#[test]
fn a_daemon_that_holds_the_output_open_is_not_waited_for() {
    let programs = Programs::new("daemon");
    let setup = programs.recorder("setup", "sleep 30 & echo $! > \"$here/daemon.pid\"; echo tapnone1");
    let begun = Instant::now();
    attach_failure(unnamed(setup).terminate_program(programs.recorder("terminate", "")));
    assert!(begun.elapsed() < MARGIN, "{:?}", begun.elapsed());
    assert_eq!(programs.calls(), ["setup:0:", "terminate:1:tapnone1"]);
    assert!(programs.lives("daemon.pid"), "a daemon is the program's own business");
    let id = programs.text("daemon.pid").trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// Row hazard 23.
#[test]
fn endless_output_does_not_stop_the_clock() {
    let programs = Programs::new("endless");
    let begun = Instant::now();
    assert_stopped(&setup_failure(unnamed(programs.script("setup", "exec yes")).program_timeout(LIMIT)));
    assert!(begun.elapsed() < LIMIT + MARGIN);
}

/// Row hazard 23.
#[test]
fn endless_output_of_a_daemon_does_not_hold_the_program_up() {
    let programs = Programs::new("endless daemon");
    let begun = Instant::now();
    // The daemon ends by SIGPIPE once nobody reads.
    let setup = programs.script("setup", "echo tapnone1; yes & echo $! > \"$here/daemon.pid\"");
    attach_failure(unnamed(setup));
    assert!(begun.elapsed() < MARGIN);
    assert!(ends(&programs, "daemon.pid"));
}

/// Row B40.
#[test]
fn the_terminate_program_has_its_time_too() {
    let programs = Programs::new("terminate");
    let setup = programs.recorder("setup", "");
    let terminate = programs.recorder("terminate", "sleep 60");
    let begun = Instant::now();
    attach_failure(named(setup).terminate_program(terminate).program_timeout(LIMIT));
    assert!((LIMIT..LIMIT + MARGIN).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(programs.calls(), [format!("setup:1:{NOWHERE}"), format!("terminate:1:{NOWHERE}")]);
    assert!(!programs.lives("terminate.pid"));
}

/// Row B40.
#[test]
fn a_limit_beyond_the_clock_is_no_limit() {
    let programs = Programs::new("no limit");
    attach_failure(named(programs.script("setup", "sleep 0.1")).program_timeout(Duration::MAX));
}

/// Whether the process is gone soon; whoever adopted it must collect it first.
fn ends(programs: &Programs, file: &str) -> bool {
    let deadline = Instant::now() + MARGIN;
    while programs.lives(file) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

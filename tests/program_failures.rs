//! Programs that cannot be run, and programs that fail: each way has its own error, and leaves no zombie.

#[path = "support/programs.rs"]
mod programs;

use std::error::Error;
use std::io;
use std::path::PathBuf;

use programs::{NOWHERE, Programs, attach_failure, named, setup_failure, unnamed};
use tap_plumb::{AttachError, ProgramError};

fn spawn_errno(program: impl Into<PathBuf>) -> Option<i32> {
    let program = program.into();
    match setup_failure(named(&program)) {
        ProgramError::Spawn { program: named, source, .. } => {
            assert_eq!(named, program);
            source.raw_os_error()
        }
        other => panic!("{other}"),
    }
}

/// Row F39.
#[test]
fn a_missing_program_is_reported_with_its_path() {
    let programs = Programs::new("missing");
    let missing = programs.folder().join("nobody");
    assert_eq!(spawn_errno(&missing), Some(libc::ENOENT));
    let text = setup_failure(named(&missing)).to_string();
    assert!(text.contains(&*missing.to_string_lossy()), "{text}");
}

#[test]
fn a_script_with_the_line_ends_of_another_system_is_told_what_is_wrong_with_it() {
    let programs = Programs::new("line ends");
    let script = programs.script("setup", "exit 0");
    std::fs::write(&script, "#!/bin/sh\r\nexit 0\r\n").unwrap();
    let text = setup_failure(named(&script)).to_string();
    assert!(text.contains("carriage return"), "{text}");
    std::fs::write(&script, "#!/no/such/shell\nexit 0\n").unwrap();
    let text = setup_failure(named(&script)).to_string();
    assert!(text.contains("its interpreter \"/no/such/shell\" does not exist"), "{text}");
}

/// Row hazard 27.
#[test]
fn what_cannot_be_run_is_told_apart_by_the_system() {
    let programs = Programs::new("not run");
    let plain = programs.script("plain", "exit 0");
    std::process::Command::new("chmod").arg("644").arg(&plain).status().unwrap();
    assert_eq!(spawn_errno(plain), Some(libc::EACCES));
    assert_eq!(spawn_errno(programs.folder()), Some(libc::EACCES));
    let through_a_file = programs.script("file", "").join("setup");
    assert_eq!(spawn_errno(through_a_file), Some(libc::ENOTDIR));
}

/// Row hazard 20.
#[test]
fn the_search_path_is_not_searched() {
    // There is a program `true` in every PATH, and none in this directory.
    assert_eq!(spawn_errno("true"), Some(libc::ENOENT));
}

/// Row hazard 20.
#[test]
fn no_shell_sees_the_path() {
    let programs = Programs::new("quotes");
    let name = "a'b \"c\"; touch injected; $(touch injected) `touch injected` &";
    let setup = programs.script(name, "echo ran > \"$here/calls\"; echo tapnone1");
    attach_failure(unnamed(setup));
    assert_eq!(programs.calls(), ["ran"]);
    assert!(!std::path::Path::new("injected").exists(), "a shell has run what the path contains");
}

/// Rows hazard 21 and O12.
#[test]
fn a_path_of_any_length_is_run_or_refused_but_never_cut() {
    let programs = Programs::new("long");
    let long = format!("{}/{}", programs.folder().display(), "./".repeat(1500));
    let setup = programs.recorder("setup", "");
    attach_failure(named(format!("{long}setup")));
    assert_eq!(programs.calls(), [format!("setup:1:{NOWHERE}")]);
    drop(setup);
    assert_eq!(spawn_errno(format!("{long}{}setup", "./".repeat(1500))), Some(libc::ENAMETOOLONG));
}

/// Row F36.
#[test]
fn a_status_other_than_0_is_a_failure_and_is_told() {
    let programs = Programs::new("status");
    let error = setup_failure(unnamed(programs.recorder("setup", "echo tapnone1; exit 3")));
    assert!(matches!(error, ProgramError::Status { status: 3, .. }), "{error}");
    assert!(!programs.lives("setup.pid"));
}

/// Row F36.
#[test]
fn a_signal_is_a_failure_and_is_told() {
    let programs = Programs::new("signal");
    let error = setup_failure(named(programs.recorder("setup", "kill -9 $$")));
    assert!(matches!(error, ProgramError::Signal { signal: libc::SIGKILL, .. }), "{error}");
    assert!(!programs.lives("setup.pid"));
}

/// Row hazard 25.
#[test]
fn a_name_printed_by_a_failing_program_is_not_used() {
    let programs = Programs::new("printed, failed");
    let setup = programs.recorder("setup", "echo tapnone1; exit 1");
    let terminate = programs.recorder("terminate", "");
    setup_failure(unnamed(setup).terminate_program(terminate));
    assert_eq!(programs.calls(), ["setup:0:"]);
}

/// Row B40.
#[test]
fn the_errno_outlives_what_is_logged_on_the_way() {
    let error = AttachError::from(setup_failure(named("/nowhere/at/all")));
    let source =
        error.source().and_then(|error| error.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error);
    assert_eq!(source, Some(libc::ENOENT));
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
}

/// Row hazard 24.
#[test]
fn a_program_leaves_no_zombie() {
    let programs = Programs::new("zombie");
    let setup = programs.recorder("setup", "");
    attach_failure(named(setup).terminate_program(programs.recorder("terminate", "")));
    assert!(!programs.lives("setup.pid"));
    assert!(!programs.lives("terminate.pid"));
}

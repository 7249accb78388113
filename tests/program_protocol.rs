//! Which program is run when, what it is told and given, what becomes of its output, and of one that fails.

#[path = "support/programs.rs"]
mod programs;

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use programs::{NOWHERE, Programs, attach_failure, named, setup_failure, unnamed, write_program};
use tap_plumb::{AttachError, Config, ProgramError};

// Which program is run when, and what it is told. No privilege is needed: the attach fails, the programs run.

/// Row F36.
#[test]
fn the_setup_program_is_given_a_name_that_is_known() {
    let programs = Programs::new("static");
    attach_failure(named(programs.recorder("setup", "echo tapother7")));
    assert_eq!(programs.calls(), [format!("setup:1:{NOWHERE}")]);
}

/// Row F37.
#[test]
fn the_first_line_of_output_is_the_name_where_none_is_known() {
    let programs = Programs::new("dynamic");
    let setup = programs.recorder("setup", "echo tapnone7; echo tapnone8");
    attach_failure(unnamed(setup).terminate_program(programs.recorder("terminate", "")));
    assert_eq!(programs.calls(), ["setup:0:", "terminate:1:tapnone7"]);
}

/// Row F38.
#[test]
fn the_terminate_program_is_given_the_name() {
    let programs = Programs::new("terminate");
    let setup = programs.recorder("setup", "");
    attach_failure(named(setup).terminate_program(programs.recorder("terminate", "")));
    assert_eq!(programs.calls(), [format!("setup:1:{NOWHERE}"), format!("terminate:1:{NOWHERE}")]);
}

/// Row hazard 26.
#[test]
fn a_failed_setup_program_owes_no_terminate_program() {
    let programs = Programs::new("setup fails");
    let setup = programs.recorder("setup", "exit 3");
    setup_failure(named(setup).terminate_program(programs.recorder("terminate", "")));
    assert_eq!(programs.calls(), [format!("setup:1:{NOWHERE}")]);
}

/// Row hazard 26.
#[test]
fn an_unusable_name_owes_no_terminate_program() {
    let programs = Programs::new("bad name");
    let setup = programs.recorder("setup", "echo 'a b'");
    setup_failure(unnamed(setup).terminate_program(programs.recorder("terminate", "")));
    assert_eq!(programs.calls(), ["setup:0:"]);
}

/// Row hazard 26.
#[test]
fn without_a_setup_program_a_failed_attach_owes_no_terminate_program() {
    let programs = Programs::new("attach fails");
    let terminate = programs.recorder("terminate", "");
    attach_failure(Config::new().name(NOWHERE).must_exist().terminate_program(terminate));
    assert_eq!(programs.calls(), [] as [&str; 0]);
}

/// Row hazard 26.
#[test]
fn a_failing_terminate_program_does_not_hide_why_the_attach_failed() {
    let programs = Programs::new("both fail");
    let setup = programs.recorder("setup", "");
    attach_failure(named(setup).terminate_program(programs.recorder("terminate", "exit 4")));
    assert_eq!(programs.calls().len(), 2);
}

/// Row B31.
#[test]
fn a_bad_name_is_refused_before_any_program_runs() {
    let programs = Programs::new("refused");
    let config = Config::new().name("tap 0; reboot").setup_program(programs.recorder("setup", ""));
    assert!(matches!(attach_failure(config), AttachError::BadName { .. }));
    assert_eq!(programs.calls(), [] as [&str; 0]);
}

/// Row B33.
#[test]
fn a_template_is_no_name_to_tell_a_setup_program() {
    let programs = Programs::new("template");
    let config = Config::new().name("tap%d").setup_program(programs.recorder("setup", ""));
    // Where names may not contain a `%` at all, that is the answer.
    assert!(matches!(attach_failure(config), AttachError::BadOption { .. } | AttachError::BadName { .. }));
    assert_eq!(programs.calls(), [] as [&str; 0]);
}

/// Row B33.
#[test]
fn a_descriptor_without_a_name_runs_no_program() {
    let programs = Programs::new("nameless");
    let (socket, _peer) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let config = Config::new().inherited(socket.into()).setup_program(programs.recorder("setup", ""));
    let error = attach_failure(config).to_string();
    assert!(error.contains("need an interface that has a name"), "{error}");
    assert_eq!(programs.calls(), [] as [&str; 0]);
}

// A program inherits standard input, output and error, and nothing else.

/// Opens a file without close-on-exec, as a process written in C may have done.
fn inheritable() -> File {
    let file = File::open("/dev/null").unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    file
}

/// Row B30.
#[test]
fn no_descriptor_of_this_process_reaches_a_program() {
    if !std::path::Path::new("/proc/self/fd").exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no /proc/self/fd");
        eprintln!("skipped: without /proc/self/fd nobody can list a program's descriptors");
        return;
    }
    let programs = Programs::new("descriptors");
    let files: Vec<File> = (0..40).map(|_| inheritable()).collect();
    let setup = programs.script("setup", "ls /proc/self/fd > \"$here/listed\"");
    attach_failure(named(setup));
    // The fourth is the folder that `ls` reads.
    assert_eq!(programs.text("listed"), "0\n1\n2\n3\n");
    for file in &files {
        assert_eq!(fcntl(file, FcntlArg::F_GETFD), Ok(0), "descriptor {} was changed here", file.as_raw_fd());
    }
}

// What becomes of a program's output: a name, or a reason why it is none.

/// The name taken from the output of `body`, as the terminate program was told it.
fn name_from(test: &str, body: &str) -> String {
    let programs = Programs::new(test);
    let setup = programs.script("setup", body);
    attach_failure(unnamed(setup).terminate_program(programs.recorder("terminate", "")));
    let calls = programs.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls[0].strip_prefix("terminate:1:").unwrap().into()
}

fn refusal_of(test: &str, body: &str) -> String {
    let programs = Programs::new(test);
    match setup_failure(unnamed(programs.script("setup", body))) {
        ProgramError::NoName { program, reason } => {
            assert!(program.ends_with("setup"));
            reason
        }
        other => panic!("{other}"),
    }
}

/// Row hazard 23.
#[test]
fn carriage_return_and_blanks_are_trimmed() {
    assert_eq!(name_from("cr", "printf 'tapnone5\\r\\n'"), "tapnone5");
    assert_eq!(name_from("blanks", "printf ' \\t tapnone5 \\t\\r\\nmore\\n'"), "tapnone5");
}

/// Row hazard 23.
#[test]
fn a_line_without_an_end_is_a_line() {
    assert_eq!(name_from("no newline", "printf tapnone6"), "tapnone6");
}

/// Row hazard 23.
#[test]
fn a_name_written_in_pieces_is_read_to_its_end() {
    assert_eq!(name_from("pieces", "printf tap; sleep 0.2; printf none; sleep 0.1; echo 4"), "tapnone4");
}

/// Row hazard 23.
#[test]
fn a_mebibyte_of_output_stops_nobody() {
    let long = "echo tapnone3; head -c 1048576 /dev/zero && echo whole > \"$here/written\"";
    let programs = Programs::new("mebibyte");
    let setup = programs.script("setup", long);
    attach_failure(unnamed(setup).terminate_program(programs.recorder("terminate", "")));
    // A reader that stops early ends the program by SIGPIPE, or leaves it waiting for room.
    assert_eq!(programs.text("written"), "whole\n");
    assert_eq!(programs.calls(), ["terminate:1:tapnone3"]);
}

/// Row hazard 22.
#[test]
fn no_output_is_no_name() {
    assert_eq!(refusal_of("nothing", ":"), "it printed nothing");
    assert_eq!(refusal_of("empty line", "echo; echo tapnone2"), "its first line is empty");
}

/// Row B31.
#[test]
fn what_cannot_be_a_name_is_refused_with_the_reason() {
    let bodies = [
        ("two words", "echo tap 0"),
        ("slash", "echo ../tap0"),
        ("colon", "echo tap0:1"),
        ("long", "echo tap0123456789012345678901234567890"),
        ("nul", "printf 'tap\\0000\\n'"),
    ];
    for (test, body) in bodies {
        assert!(refusal_of(test, body).contains("tap"), "{test}");
    }
    assert_eq!(refusal_of("bytes", "printf 'tap\\377\\n'"), "its first line is not UTF-8");
    assert_eq!(refusal_of("a template", "echo 'tap%d'"), "its first line is a template");
    assert_eq!(refusal_of("endless", "head -c 5000 /dev/zero"), "its first line is longer than 4096 bytes");
}

/// Row F36.
#[test]
fn output_is_ignored_where_the_name_is_known() {
    let programs = Programs::new("ignored");
    let setup =
        programs.script("setup", "head -c 1048576 /dev/zero; echo 'a b' && echo whole > \"$here/written\"");
    attach_failure(named(setup).terminate_program(programs.recorder("terminate", "echo more")));
    assert_eq!(programs.text("written"), "whole\n");
    assert_eq!(programs.calls(), [format!("terminate:1:{NOWHERE}")]);
}

// Programs that cannot be run, and programs that fail: each way has its own error, and leaves no zombie.

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
    let script = programs.folder().join("setup");
    write_program(&script, "#!/bin/sh\r\nexit 0\r\n");
    let text = setup_failure(named(&script)).to_string();
    assert!(text.contains("carriage return"), "{text}");
    write_program(&script, "#!/no/such/shell\nexit 0\n");
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

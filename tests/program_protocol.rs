//! Which program is run when, and what it is told. No privilege is needed: the attach fails, the programs run.

#[path = "support/programs.rs"]
mod programs;

use programs::{NOWHERE, Programs, attach_failure, named, setup_failure, unnamed};
use tap_plumb::{AttachError, Config};

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

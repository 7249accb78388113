//! What becomes of a program's output: a name, or a reason why it is none.

#[path = "support/programs.rs"]
mod programs;

use programs::{NOWHERE, Programs, attach_failure, named, setup_failure, unnamed};
use tap_plumb::ProgramError;

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
    assert_eq!(refusal_of("template", "echo 'tap%d'"), "its first line is a template");
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

//! How the example ends.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::command::{run, success};
use super::host::{exists, vanishes, wait_until};
use super::programs::Programs;

// What is said when nothing can be run.

pub(crate) fn what_cannot_be_run_is_told_before_or_after_the_attach() {
    let wrong: [(&[&str], &str); 8] = [
        (&["--tap", "vm1"], "a command is missing"),
        (&["--tap", "vm1", "--", "SELF", "echo-words"], "write {fd} or {fds}"),
        (&["--queues", "2", "--", "SELF", "echo-words", "{fd}"], "2 queues need a descriptor each"),
        (&["--header", "11", "--", "SELF", "echo-words", "{fd}"], "0, 10 or 12"),
        (&["--address", "192.0.2.1", "--", "SELF", "echo-words", "{fd}"], "192.0.2.1/24"),
        (&["--frob", "--", "SELF", "echo-words", "{fd}"], "--help lists the options"),
        (&["--tap", "lo", "--", "SELF", "echo-words", "{fd}"], "lo cannot be used"),
        (&["--tap", "vm1", "--", "/nowhere/at/all", "{fd}"], "cannot run /nowhere/at/all: No such file"),
    ];
    for (words, expected) in wrong {
        let output = run(words).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && text.lines().count() == 1, "{words:?}: {text}");
        assert!(text.starts_with("run: ") && text.contains(expected), "{words:?}: {text}");
        assert!(output.stdout.is_empty() && !exists("vm1"), "{words:?}");
    }
}

// The example stays where the command cannot take its place.

pub(crate) fn a_terminate_program_is_run_when_the_command_has_ended() {
    let programs = Programs::new("staying");
    let terminate = programs.recorder("terminate", "");
    for (queues, mark) in [("1", "{fd}"), ("2", "{fds}")] {
        let words = ["--tap", "vm1", "--queues", queues, "--address", "192.0.2.1/24", "--up", "--terminate"];
        let mut command = run(&words);
        command.arg(&terminate).arg("--").arg(std::env::current_exe().unwrap()).args(["move-frames", mark]);
        let output = success(&command.output().unwrap());
        assert_eq!(output, format!("{queues} inherited and 0 others on vm1\na header of 0\nasked: true\n"));
        vanishes("vm1");
    }
    assert_eq!(programs.calls(), ["terminate:1:vm1"].repeat(2));
}

pub(crate) fn signals_and_the_status_go_through() {
    let programs = Programs::new("signals");
    let terminate = programs.recorder("terminate", "");
    let mut command = run(&["--tap", "vm1", "--terminate"]);
    command.arg(&terminate).args(["--", "/bin/sh", "-c", "exit 7 # {fd}"]);
    assert_eq!(command.output().unwrap().status.code(), Some(7));
    let mut command = run(&["--tap", "vm1", "--terminate"]);
    command.arg(&terminate).arg("--").arg(std::env::current_exe().unwrap()).args(["hold", "{fd}"]);
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    wait_until("the interface", || exists("vm1"));
    // Passed on once the command is there; before that it ends this program, which is no less right.
    std::thread::sleep(Duration::from_millis(300));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert!(start.elapsed() < Duration::from_secs(9), "the command was ended, and not waited for");
    vanishes("vm1");
    assert_eq!(programs.calls(), ["terminate:1:vm1"].repeat(2));
}

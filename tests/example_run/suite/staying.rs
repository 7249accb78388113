//! The example stays where the command cannot take its place.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::command::{run, success};
use super::host::{exists, vanishes, wait_until};
use super::programs::Programs;

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

//! Runs parts of a test in processes of their own: this test binary again, told by its environment what to do.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const ROLE: &str = "TAP_PLUMB_TEST_ROLE";

/// What a process of the test binary can be asked to do; it ends the process.
pub(crate) type Role = (&'static str, fn(&str));

/// Plays the role that the environment asks for, if it does. Must come first in `main`, before there are threads.
pub(crate) fn play(roles: &[Role]) {
    let Ok(asked) = std::env::var(ROLE) else { return };
    let (name, argument) = asked.split_once(' ').unwrap_or((&asked, ""));
    let (_, role) = roles.iter().find(|(known, _)| *known == name).expect("a role of the list");
    role(argument);
    std::process::exit(0);
}

fn command(role: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ROLE, format!("{role} {argument}")).stdin(Stdio::piped());
    command
}

/// Runs a role to its end, in the caller's namespaces; its failure is the caller's.
pub(crate) fn run(role: &str, argument: &str) {
    answer(role, argument);
}

/// What a role writes on its standard output; its failure is the caller's.
pub(crate) fn answer(role: &str, argument: &str) -> String {
    let output = command(role, argument).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{role} {argument}: {}\n{errors}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Starts a role that prints a line when it is ready and then goes on until its standard input closes.
pub(crate) fn start(role: &str, argument: &str) -> Child {
    let mut child = command(role, argument).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "{role} {argument}");
    child
}

//! Runs the example.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use super::programs;

/// The built example.
pub(crate) fn path() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| programs::build(&["guest"]).join("guest"));
    &PATH
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments);
    command
}

/// Standard output, of a run that was to succeed.
pub(crate) fn success(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert_eq!(err, "");
    out.into_owned()
}

/// Standard error, of a run that was to fail with status 1 and one line.
pub(crate) fn failure(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    err.into_owned()
}

/// A counter of the table.
pub(crate) fn count(output: &str, name: &str) -> u64 {
    let mut words = output.split_whitespace().skip_while(|word| *word != name);
    words.nth(1).unwrap_or_else(|| panic!("no {name} in\n{output}")).parse().unwrap()
}

/// The line `text: A = B`, where both are the same number.
pub(crate) fn sum(output: &str, text: &str) -> u64 {
    let line = output.lines().find_map(|line| line.strip_prefix(text)?.strip_prefix(": "));
    let (left, right) =
        line.and_then(|line| line.split_once(" = ")).unwrap_or_else(|| panic!("no {text} in\n{output}"));
    assert_eq!(left, right, "{text}");
    left.parse().unwrap()
}

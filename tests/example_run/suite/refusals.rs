//! What is said when nothing can be run.

use super::command::run;
use super::host::exists;

pub(crate) fn what_cannot_be_run_is_told_before_or_after_the_attach() {
    let wrong: [(&[&str], &str); 8] = [
        (&["--tap", "vm1"], "a command is missing"),
        (&["--tap", "vm1", "--", "SELF", "echo-words"], "write {fd} or {fds}"),
        (&["--queues", "2", "--", "SELF", "echo-words", "{fd}"], "2 queues have as many descriptors"),
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

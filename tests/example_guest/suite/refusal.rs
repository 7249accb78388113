//! What is said when nothing can be done.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::guest::{command, failure, path, success};
use super::programs::Programs;

const NOBODY: u32 = 65534;

pub(crate) fn an_ordinary_user_is_told_what_to_do() {
    if !nix::unistd::getuid().is_root() || fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("not tried: only root can become somebody else");
        return;
    }
    // Where the project lies, others may not look.
    let programs = Programs::new("nobody");
    let copy = programs.folder().join("guest");
    fs::copy(path(), &copy).unwrap();
    let mut command = Command::new(&copy);
    let output = command.arg("--attach-only").uid(NOBODY).gid(NOBODY).output();
    let output = match output {
        // In a user namespace that maps nobody but this user.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return eprintln!("not tried: {error}"),
        output => output.unwrap(),
    };
    if fs::metadata("/dev/net/tun").unwrap().permissions().mode() & 0o006 == 0o006 && output.status.success()
    {
        assert!(success(&output).starts_with("attached tap0\n"));
        return;
    }
    let text = failure(&output);
    let understood =
        text.contains("/dev/net/tun: Permission denied") && text.contains("chmod 0666 /dev/net/tun");
    // Where the host allows no user namespaces.
    let no_namespace = text.contains("no network namespace can be made") && text.contains("run as root");
    assert!(understood || no_namespace, "{text}");
}

pub(crate) fn a_wrong_option_is_one_sentence() {
    let wrong: [(&[&str], &str); 6] = [
        (&["--name", "a b"], "white space"),
        (&["--name", "lo"], "lo cannot be used"),
        (&["--name", "vm1", "--fd", "3"], "exclude each other"),
        (&["--fd", "999"], "FileHandle 999"),
        (&["--frob"], "--help lists the options"),
        (&["--setup", "/nowhere/at/all"], "cannot run /nowhere/at/all"),
    ];
    for (arguments, expected) in wrong {
        let text = failure(&command(arguments).output().unwrap());
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}

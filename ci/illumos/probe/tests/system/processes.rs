//! Other programs: the host's, and illumos' own.

use std::env;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn output_and_exit_status() {
    let output = shell("echo out; echo err >&2; exit 3").output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!((output.status.code(), output.status.signal()), (Some(3), None));
}

#[test]
fn death_by_a_signal_has_illumos_number() {
    for (name, number) in [("KILL", libc::SIGKILL), ("USR1", libc::SIGUSR1), ("BUS", libc::SIGBUS)] {
        let status = shell(&format!("kill -{name} $$")).status().unwrap();
        assert_eq!(status.signal(), Some(number), "{name}");
    }
}

#[test]
fn a_child_is_killed_and_reaped() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
}

#[test]
fn input_goes_through_a_pipe() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
    assert!(child.wait().unwrap().success());
}

#[test]
fn environment_and_folder_are_the_child_s_own() {
    let output = shell("pwd; echo $PROBE").current_dir("/").env("PROBE", "value").output().unwrap();
    assert_eq!(output.stdout, b"/\nvalue\n");
    let output = Command::new("/usr/bin/env").env_clear().env("ONLY", "1").output().unwrap();
    assert_eq!(output.stdout, b"ONLY=1\n");
}

#[test]
fn a_program_that_is_not_there() {
    let error = Command::new("/nowhere/at/all").spawn().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let error = Command::new("/etc/passwd").spawn().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
}

/// A function to run before exec makes std fork and exec by itself.
#[test]
fn the_way_by_fork_and_exec() {
    let mut command = shell("echo $0 $PROBE; exit 4");
    command.env("PROBE", "value").process_group(0);
    #[expect(unsafe_code, reason = "pre_exec")]
    // SAFETY: does nothing.
    unsafe {
        command.pre_exec(|| Ok(()))
    };
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(4), &b"sh value\n"[..]));
    let mut missing = Command::new("/nowhere/at/all");
    #[expect(unsafe_code, reason = "pre_exec")]
    // SAFETY: does nothing.
    unsafe {
        missing.pre_exec(|| Ok(()))
    };
    assert_eq!(missing.spawn().unwrap_err().raw_os_error(), Some(libc::ENOENT));
}

/// Only the child that the next tests start does something here.
#[test]
fn child() {
    match env::var("PROBE_CHILD").as_deref() {
        Ok("exit") => std::process::exit(i32::try_from(env::args().count()).unwrap()),
        Ok("name") => println!("[{}]", env::current_exe().unwrap().display()),
        _ => {}
    }
}

fn this_program(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["processes::child", "--exact", "--nocapture"]).env("PROBE_CHILD", role);
    command
}

#[test]
fn a_program_starts_itself() {
    assert_eq!(this_program("exit").status().unwrap().code(), Some(4));
    let output = this_program("name").arg0("another name").output().unwrap();
    let expected = format!("[{}]", env::current_exe().unwrap().display());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&expected), "{text} has no {expected}");
}

#[test]
fn a_program_replaces_itself() {
    let mut command = shell("exec \"$0\"");
    command.arg("/bin/true");
    assert!(command.status().unwrap().success());
    let mut fork = this_program("exit");
    #[expect(unsafe_code, reason = "pre_exec")]
    // SAFETY: does nothing.
    unsafe {
        fork.pre_exec(|| Ok(()))
    };
    assert_eq!(fork.status().unwrap().code(), Some(4));
}

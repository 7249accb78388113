//! How a guest ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest::{command, count, failure, path, success, sum};
use super::programs::Programs;

// What is said when nothing can be done.

const NOBODY: u32 = 65534;

pub(crate) fn an_ordinary_user_is_told_what_to_do() {
    if !nix::unistd::getuid().is_root() || fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("not tried: only root can become somebody else");
        return;
    }
    // Where the project lies, others may not look.
    let programs = Programs::new("nobody");
    let copy = programs.folder().join("guest");
    // By another process: were it open for writing here while another test's thread forks, running it would fail (ETXTBSY).
    assert!(Command::new("cp").arg(path()).arg(&copy).status().unwrap().success());
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

// A guest that stays, and how it ends.

/// A guest that is up, and its output so far.
struct Guest {
    child: Child,
    out: BufReader<ChildStdout>,
    text: String,
}

impl Guest {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut guest =
            Self { out: BufReader::new(child.stdout.take().unwrap()), child, text: String::new() };
        while !guest.text.contains("Ctrl-C ends it") {
            assert_ne!(guest.out.read_line(&mut guest.text).unwrap(), 0, "it ended: {}", guest.text);
        }
        guest
    }

    fn end(mut self) -> Output {
        self.out.read_to_string(&mut self.text).unwrap();
        let mut stderr = Vec::new();
        self.child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        Output {
            status: self.child.wait().unwrap(),
            stdout: std::mem::take(&mut self.text).into_bytes(),
            stderr,
        }
    }
}

impl Drop for Guest {
    /// A test that fails leaves no guest behind; one that succeeds has seen its end.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_there(name: &str) -> bool {
    Command::new("ip").args(["link", "show", name]).output().unwrap().status.success()
}

/// Row B20.
pub(crate) fn ctrl_c_detaches_cleanly() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let programs = Programs::new("ctrl-c");
        let terminate = programs.recorder("terminate", "");
        let arguments = ["--name", "vm1", "--stay", "--address", "10.20.30.1/30", "--terminate"];
        let guest = Guest::start(command(&arguments).arg(terminate));
        let mut stream = TcpStream::connect("10.20.30.2:80").unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

        assert!(is_there("vm1"));
        kill(Pid::from_raw(guest.child.id().try_into().unwrap()), signal).unwrap();
        let output = success(&guest.end());
        assert!(!is_there("vm1"));
        assert!(output.ends_with("detached\n"), "{output}");
        // An answer to ARP, one to the connection, and the page.
        assert!(count(&output, "frames_sent") >= 3, "{output}");
        assert_eq!(sum(&output, "the kernel took = sent"), count(&output, "segments_sent"));
        assert_eq!(programs.calls(), ["terminate:1:vm1"]);
    }
}

/// Row B17.
pub(crate) fn a_removed_interface_ends_the_guest() {
    let guest = Guest::start(&mut command(&["--name", "vm2", "--stay"]));
    assert!(Command::new("ip").args(["link", "del", "vm2"]).status().unwrap().success());
    let output = guest.end();
    assert_eq!(failure(&output), "guest: the interface was removed\n");
    // The table is shown all the same, and still adds up as far as anybody can tell.
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(sum(&text, "received = delivered + every drop"), count(&text, "frames_received"));
}

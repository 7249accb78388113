//! What a guest on an event loop lives through.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::host::{exists, ip, vanishes};
use super::programs;

// A running example, and what it says.

/// The examples, each by its event loop.
pub(crate) const LOOPS: [&str; 2] = ["tokio", "mio"];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| programs::build(&LOOPS));

pub(crate) fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(FOLDER.join(name));
    command.args(arguments);
    command
}

/// A running example; a failed test leaves none behind.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = command(name, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Waits at most two seconds for a line that begins so, or for the end.
    pub(crate) fn wait_for(&self, beginning: &str) {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(2)) {
                Ok(line) if line.starts_with(beginning) => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no line {beginning:?} within two seconds"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before a line {beginning:?}"),
            }
        }
    }

    /// Forgets what it has said so far.
    pub(crate) fn forget(&self) {
        self.lines.try_iter().for_each(drop);
    }

    /// Waits for its end, which must come within two seconds of its last line.
    pub(crate) fn end(mut self) -> Output {
        while self.lines.recv_timeout(Duration::from_secs(2)).is_ok() {}
        assert!(self.lines.try_recv().is_err());
        let mut stderr = Vec::new();
        let ended = (0..2000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            self.child.try_wait().unwrap().is_some()
        });
        assert!(ended, "it goes on without a word");
        std::io::Read::read_to_end(&mut self.child.stderr.take().unwrap(), &mut stderr).unwrap();
        Output { status: self.child.wait().unwrap(), stdout: Vec::new(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// More than any test waits for.
const ENDLESS: &str = "60000";

/// Keeps the host from sending anything of its own accord: a frame that comes in tells a poller more than that.
fn quiet() {
    for scope in ["all", "default"] {
        // A kernel without IPv6 has nothing to be silenced.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
}

pub(crate) fn a_host_answers_and_the_interface_goes_with_the_program() {
    for name in LOOPS {
        let running = Running::start(name, &["vm0", "192.0.2.1/24", "20"]);
        running.wait_for("answer 1");
        assert!(exists("vm0"));
        running.wait_for("answer 20");
        let output = running.end();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        vanishes("vm0");
    }
}

pub(crate) fn an_interface_that_comes_up_is_noticed_without_any_other_frame() {
    quiet();
    for name in LOOPS {
        let running = Running::start(name, &["vm0", "192.0.2.1/24", ENDLESS]);
        running.wait_for("answer");
        for _ in 0..3 {
            ip("link set vm0 down");
            running.wait_for("waits: the interface is down");
            thread::sleep(Duration::from_millis(100));
            running.forget();
            ip("link set vm0 up");
            running.wait_for("answer");
        }
    }
}

pub(crate) fn a_removed_interface_ends_the_one_and_is_made_again_by_the_other() {
    let running = Running::start("tokio", &["vm0", "192.0.2.1/24", ENDLESS]);
    running.wait_for("answer");
    ip("link del vm0");
    let output = running.end();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "tokio: the interface is gone; re-attach or detach\n"
    );
    let running = Running::start("mio", &["vm0", "192.0.2.1/24", ENDLESS]);
    for _ in 0..3 {
        running.wait_for("answer");
        ip("link del vm0");
        running.wait_for("waits: the interface was removed");
        running.forget();
        running.wait_for("answer");
        assert!(exists("vm0"));
    }
}

pub(crate) fn a_wrong_command_line_is_one_sentence() {
    for name in LOOPS {
        for (arguments, expected) in [
            (&[][..], "usage: "),
            (&["vm0", "192.0.2.1"], "usage: "),
            (&["vm0", "192.0.2.1/24", "many"], "usage: "),
            (&["lo", "192.0.2.1/24"], "lo cannot be used"),
        ] {
            let output = command(name, arguments).output().unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(
                output.status.code() == Some(1) && text.lines().count() == 1,
                "{name} {arguments:?}: {text}"
            );
            assert!(text.contains(expected), "{name} {arguments:?}: {text}");
        }
    }
}

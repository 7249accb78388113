//! A running example, and what it says.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::example;

/// The examples, each by its event loop.
pub(crate) const LOOPS: [&str; 2] = ["tokio", "mio"];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| example::build(&LOOPS));

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

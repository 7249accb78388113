//! The programs that a test starts: small scripts, and the examples.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tap_plumb::{AttachError, Config, ProgramError};

// Small real programs for the tests of the setup and terminate programs.

/// An interface that no system has: every attach to it fails, after the setup program ran.
pub(crate) const NOWHERE: &str = "tapnone9";

/// Writes a program by another process: were it open for writing here while another test's thread forks, running it would fail
/// with `ETXTBSY`.
pub(crate) fn write_program(path: &Path, text: &str) {
    let write = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let status = Command::new("sh").args(["-c", write, "sh"]).arg(path).arg(text).status().unwrap();
    assert!(status.success());
}

/// A folder with a test's programs and what they recorded; it goes with the value.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// `test` keeps the folders of one process apart.
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tap-plumb {} {test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a shell script that does `body` and nothing else.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.folder.join(name);
        write_program(&path, &format!("#!/bin/sh\nhere=${{0%/*}}\n{body}\n"));
        path
    }

    /// Writes a script that first records `name:number of arguments:first argument`, then its process id in `name.pid`.
    pub(crate) fn recorder(&self, name: &str, body: &str) -> PathBuf {
        let record = format!("echo \"{name}:$#:$1\" >> \"$here/calls\"; echo $$ > \"$here/{name}.pid\"");
        self.script(name, &format!("{record}\n{body}"))
    }

    /// What the recorders recorded, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.folder.join("calls")).unwrap_or_default().lines().map(Into::into).collect()
    }

    /// The text a program left in a file.
    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    /// Whether the process whose id a program left in `file` is there, be it as a zombie.
    pub(crate) fn lives(&self, file: &str) -> bool {
        let id = self.text(file).trim().parse().unwrap();
        kill(Pid::from_raw(id), None) != Err(Errno::ESRCH)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Attaches to nowhere after running `setup`, which is given the name.
pub(crate) fn named(setup: impl Into<PathBuf>) -> Config {
    Config::new().name(NOWHERE).must_exist().setup_program(setup)
}

/// Attaches to the name that `setup` prints.
pub(crate) fn unnamed(setup: impl Into<PathBuf>) -> Config {
    Config::new().any().must_exist().setup_program(setup)
}

/// The setup program's failure. Fails the test when the attach succeeds or fails otherwise.
pub(crate) fn setup_failure(config: Config) -> ProgramError {
    match config.attach() {
        Err(AttachError::Program(error)) => error,
        other => panic!("the setup program was to fail, but: {other:?}"),
    }
}

/// The failure of an attach whose setup program succeeded.
pub(crate) fn attach_failure(config: Config) -> AttachError {
    match config.attach() {
        Err(AttachError::Program(error)) => panic!("the setup program was to succeed, but: {error}"),
        Err(error) => error,
        Ok(tap) => panic!("{tap:?} was to be nowhere"),
    }
}

// The examples, as their users run them.

/// The folder of the built examples, beside the test binaries. Under cargo they are brought up to date first:
/// `cargo test --test NAME` builds none.
pub(crate) fn build(names: &[&str]) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).unwrap();
    if let Some(cargo) = std::env::var_os("CARGO") {
        let release = profile.ends_with("release").then_some("--release");
        let wanted = names.iter().flat_map(|name| ["--example", name]);
        let build = Command::new(cargo).arg("build").args(wanted).args(release).output().unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    }
    let folder = profile.join("examples");
    for name in names {
        assert!(folder.join(name).exists(), "{name} is not built: cargo build --example {name}");
    }
    folder
}

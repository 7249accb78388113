//! `ci/illumos/debian-rust` on a machine of small commands: `machine` stands for apt and dpkg, whose lists may be old.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const OLD: &str = "1.85.0+dfsg3-1~deb12u3\n";
const NEW: &str = "1.96.0+dfsg1-1~deb12u1\n";
const COMPILER: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "rustfmt-web"];

/// A machine whose package lists are some weeks old, with these packages.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str, installed: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("debian-{}-{name}", std::process::id()));
        assert!(Command::new("tests/debian/machine").arg(path.join("bin")).status().unwrap().success());
        fs::write(path.join("lists"), OLD).unwrap();
        for (package, version) in installed {
            fs::write(path.join(format!("installed-{package}")), version).unwrap();
        }
        Self(path)
    }

    fn run(&self, broken: &str, user: &str, packages: &[&str]) -> Output {
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        let mut script = Command::new("ci/illumos/debian-rust");
        script.args(packages).env("PATH", path).env("STATE", &self.0).env("BREAK", broken);
        script.env("USER_ID", user).output().unwrap()
    }

    /// What apt was asked for: the first words.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.0.join("calls")).unwrap_or_default();
        calls.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
    }

    fn installed(&self, package: &str) -> Option<String> {
        fs::read_to_string(self.0.join(format!("installed-{package}"))).ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn all(version: &str) -> [(&'static str, &str); 5] {
    COMPILER.map(|package| (package, version))
}

#[track_caller]
fn assert_fails(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in words {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// Row C1.
#[test]
fn package_lists_of_long_ago_are_brought_up_to_date_before_anything_is_installed() {
    let machine = Machine::new("fresh", &[]);
    let output = machine.run("", "0", &["qemu-user"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(machine.calls(), ["update", "install"]);
    for package in COMPILER.iter().chain(&["qemu-user"]) {
        assert_eq!(machine.installed(package).as_deref(), Some(NEW), "{package}");
    }
}

/// Row C1.
#[test]
fn a_compiler_that_is_too_old_is_replaced() {
    let machine = Machine::new("old", &all(OLD));
    let output = machine.run("", "0", &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(machine.installed("rustc-web").as_deref(), Some(NEW));
}

/// Row C1.
#[test]
fn a_compiler_whose_source_is_of_another_version_is_replaced() {
    let machine = Machine::new("two", &all(NEW));
    fs::write(machine.0.join("installed-rust-web-src"), "1.95.0\n").unwrap();
    assert!(machine.run("", "0", &[]).status.success());
    assert_eq!(machine.installed("rust-web-src").as_deref(), Some(NEW));
}

/// Row C1.
#[test]
fn nothing_is_asked_of_apt_where_all_is_there() {
    let machine = Machine::new("whole", &all(NEW));
    assert!(machine.run("", "1000", &[]).status.success());
    assert_eq!(machine.calls(), [""; 0]);
}

/// Row C1.
#[test]
fn an_archive_with_an_old_compiler_alone_is_called_so() {
    let machine = Machine::new("archive", &[]);
    let output = machine.run("archive", "0", &[]);
    assert_fails(&output, &["is 1.85.0", "or later is needed", "security.debian.org"]);
}

/// Row C1.
#[test]
fn lists_that_cannot_be_had_are_told_of_and_the_version_decides() {
    let machine = Machine::new("offline", &[]);
    let output = machine.run("update", "0", &[]);
    assert_fails(&output, &["could not be brought up to date", "is 1.85.0"]);
}

#[test]
fn an_install_that_fails_is_named() {
    let machine = Machine::new("install", &[]);
    assert_fails(&machine.run("install", "0", &[]), &["apt-get failed: apt-get install"]);
}

/// Row C1.
#[test]
fn an_ordinary_user_is_told_to_update_the_lists_first() {
    let machine = Machine::new("user", &all(OLD));
    let output = machine.run("", "1000", &[]);
    assert_fails(&output, &["missing: rustc-web", "sudo apt-get update && sudo apt-get install"]);
    assert_eq!(machine.calls(), [""; 0]);
}

#[test]
fn a_compiler_of_another_origin_is_held_against_the_same_version() {
    let machine = Machine::new("another", &[]);
    for (version, enough) in
        [("1.85.0", false), ("1.90.9", false), ("1.91.0", true), ("1.100.0", true), ("2.0.0", true)]
    {
        let mut script = Command::new("ci/illumos/debian-rust");
        script.arg("--check").arg(machine.0.join("bin/some-rustc")).env("RUSTC_VERSION", version);
        let output = script.output().unwrap();
        assert_eq!(output.status.success(), enough, "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains("is needed: rustup update"), !enough, "{said}");
    }
}

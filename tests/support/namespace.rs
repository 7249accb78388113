//! Runs tests against the real kernel, each in a network namespace of its own. Root is not needed: where the process lacks
//! the right to make one, it first enters a user namespace, which it must do before it has threads. Hence a test binary that
//! uses this has `harness = false` in Cargo.toml and calls [`run`] from `main`.

use std::fs::{self, OpenOptions};
use std::io;
use std::panic::resume_unwind;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use libtest_mimic::{Arguments, Trial};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

/// Tests at once, unless told.
const TEST_THREADS: usize = 6;

/// A test by name; it fails by panicking.
pub(crate) type Test = (&'static str, fn());

/// Lists test functions with their names: `tests![this, module::that]`.
macro_rules! tests {
    ($($test:path),* $(,)?) => { vec![$((stringify!($test), $test as fn())),*] };
}
pub(crate) use tests;

/// Runs `tests`, understanding the usual arguments of a test binary. Where the host cannot run them, they are reported as
/// ignored and the reason is printed; with `CI=true` that is a failure.
pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They wait for the kernel more than they work.
    arguments.test_threads.get_or_insert(TEST_THREADS);
    let obstacle = if arguments.list { None } else { prepare().err() };
    if let Some(reason) = &obstacle {
        eprintln!("skipped: {reason}");
    }
    let skip = obstacle.is_some();
    let trials = tests.into_iter().map(|(name, test)| trial(name, test).with_ignored_flag(skip)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if skip && std::env::var("CI").is_ok_and(|value| value == "true") {
        eprintln!("a skipped test is an error where CI=true");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        // A thread of its own moves, and those it starts: the tests do not see each other's interfaces, nor a namespace of
        // another kind that one of them enters.
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            test();
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(())
    })
}

/// Gets the rights that every test needs, or says what is missing and what would help.
fn prepare() -> Result<(), String> {
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        enter_user_namespace().map_err(|error| format!("no user namespace ({error}); run as root"))?;
    }
    let node = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    node.map_err(|error| format!("/dev/net/tun: {error}; `chmod 0666 /dev/net/tun`, or run as root"))?;
    let ip = Command::new("ip").arg("-V").stdout(Stdio::null()).status();
    ip.map_err(|error| format!("the command ip: {error}; install iproute2")).map(drop)
}

/// Becomes root of a user namespace in which nobody else exists.
fn enter_user_namespace() -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

//! Where trials run, and the laws that hold after each.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use tap_plumb::Backend;

const PATIENCE: Duration = Duration::from_secs(30);

/// Enters a network namespace of its own, as root of a user namespace where that is needed. There is one thread yet.
pub(crate) fn enter() {
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        enter_user_namespace().expect("a user namespace; else run as root");
    }
    for scope in ["all", "default"] {
        // The host is to send nothing of its own accord. A kernel without IPv6 does not.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
}

fn enter_user_namespace() -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) -> String {
    try_ip(words).unwrap_or_else(|error| panic!("ip {words}: {error}"))
}

pub(crate) fn try_ip(words: &str) -> Result<String, String> {
    let output = Command::new("ip").args(words.split(' ')).output().expect("the command ip");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Waits until `condition` holds; a loss when it does not within half a minute.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Tells whether every frame that was offered or taken is accounted for.
pub(crate) fn adds_up(backend: &Backend) -> bool {
    let all = backend.statistics();
    all.transmit.frames_offered == all.transmit.frames_sent + all.transmit.dropped()
        && all.receive.frames_received == all.receive.frames_delivered + all.receive.dropped()
}

/// The law of the counters, once nothing is on its way.
pub(crate) fn assert_adds_up(backend: &Backend) {
    wait_until(&format!("the sums of {:?}", backend.statistics()), || adds_up(backend));
}

/// Context switches of these threads so far.
fn switches(threads: &[i32]) -> u64 {
    let of = |thread: &i32| {
        let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap_or_default();
        let lines = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
        lines.filter_map(|line| line.split_whitespace().next_back()?.parse::<u64>().ok()).sum::<u64>()
    };
    threads.iter().map(of).sum()
}

/// Waits until these threads sleep for a while; those that never do are lost.
pub(crate) fn assert_idle(threads: &[i32]) {
    wait_until("idle threads", || {
        let before = switches(threads);
        thread::sleep(Duration::from_millis(20));
        switches(threads) == before
    });
}

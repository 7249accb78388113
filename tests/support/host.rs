//! The host's side of a test: the command `ip`, and what procfs says of this process.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs `ip` with these words in the calling thread's namespace; its failure fails the test.
pub(crate) fn ip(words: &str) -> String {
    try_ip(words).unwrap_or_else(|errors| panic!("ip {words}: {errors}"))
}

/// As [`ip`], where the kernel may refuse.
pub(crate) fn try_ip(words: &str) -> Result<String, String> {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Waits until the interface shows carrier or not: some kernels take up to a second.
pub(crate) fn wait_for_carrier(name: &str, carrier: bool) {
    let what = format!("carrier {carrier} on {name}");
    wait_until(&what, || ip(&format!("link show {name}")).contains("NO-CARRIER") != carrier);
}

/// Tells whether there is an interface of this name in the calling thread's namespace.
pub(crate) fn exists(name: &str) -> bool {
    Command::new("ip").args(["link", "show", "dev", name]).output().unwrap().status.success()
}

/// Waits until there is no interface of this name: where other tests start processes, those hold a copy of every descriptor
/// for a moment.
pub(crate) fn vanishes(name: &str) {
    wait_until(&format!("the end of {name}"), || !exists(name));
}

/// Counts the open descriptors of this process. Only a process without other tests can compare two counts.
pub(crate) fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Whether this process has the rights of the machine's root, and not those over a user namespace of its own alone.
pub(crate) fn is_root_of_the_machine() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    nix::unistd::geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Waits until `condition` holds; a test that would wait for ever fails after five seconds.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what} never came true");
        std::thread::sleep(Duration::from_millis(1));
    }
}

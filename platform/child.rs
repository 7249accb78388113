//! What a program that this process starts must not inherit.
//!
//! UNSAFETY: `CommandExt::pre_exec` is unsafe by nature, and the descriptors of others are known by number only.
#![expect(unsafe_code, reason = "runs a closure between fork and exec")]

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Descriptors opened by other threads between the listing and the fork stay below the highest one plus this.
const SLACK: RawFd = 1024;
/// Where no listing can be had (a change of root without these file systems).
const HIGHEST_UNKNOWN: RawFd = 65_535;

/// Leaves `command` nothing but its standard input, output and error. Descriptors opened here are close-on-exec
/// anyway; those of the process around, a virtual machine's disks for example, may not be.
///
/// They are marked and not closed, because std reports a failed exec through a descriptor of its own.
pub(crate) fn inherit_standard_streams_only(command: &mut Command) {
    let last = highest_descriptor().map_or(HIGHEST_UNKNOWN, |highest| highest.saturating_add(SLACK));
    let mark = move || {
        (3..=last).for_each(close_on_exec);
        Ok(())
    };
    // SAFETY: the closure owns one integer, and between fork and exec it makes nothing but fcntl calls, which
    // POSIX lists as async-signal-safe: no allocation, no lock, no memory of the parent.
    unsafe { command.pre_exec(mark) };
}

fn close_on_exec(number: RawFd) {
    // SAFETY: F_SETFD takes integers only; a number that is not open is answered with EBADF, which is no failure here.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Reads the highest open descriptor from `/proc/self/fd` (Linux, illumos, Solaris) or `/dev/fd` (the BSDs, macOS).
fn highest_descriptor() -> Option<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").or_else(|_| std::fs::read_dir("/dev/fd")).ok()?;
    entries.flatten().filter_map(|entry| parse(&entry.file_name())).max()
}

fn parse(name: &OsStr) -> Option<RawFd> {
    name.to_str()?.parse().ok()
}

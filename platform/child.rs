//! What a program that this process starts must not inherit.
//!
//! UNSAFETY: `CommandExt::pre_exec` is unsafe by nature, and the descriptors of others are known by number only.
#![expect(unsafe_code, reason = "runs a closure between fork and exec")]

use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The highest descriptor looked at where there is no listing of the open ones.
const HIGHEST: RawFd = 65_535;

/// Leaves `command` nothing but its standard input, output and error. Descriptors opened here are close-on-exec
/// anyway; those of the process around, a virtual machine's disks for example, may not be. One that another thread opens
/// just now without close-on-exec escapes, as it would escape anybody.
///
/// In the child they are marked and not closed, because std reports a failed exec through a descriptor of its own.
pub(crate) fn inherit_standard_streams_only(command: &mut Command) {
    let inheritable = inheritable_descriptors();
    if inheritable.is_empty() {
        // Without a closure std starts the program by posix_spawn, which spares a large process the cost of a fork (on
        // illumos: swap space for all of it).
        return;
    }
    let mark = move || {
        inheritable.iter().copied().for_each(set_close_on_exec);
        Ok(())
    };
    // SAFETY: the closure only reads a vector it owns, and between fork and exec it makes nothing but fcntl calls,
    // which POSIX lists as async-signal-safe: no allocation, no lock, nothing that another thread may be changing.
    unsafe { command.pre_exec(mark) };
}

fn inheritable_descriptors() -> Vec<RawFd> {
    let mut numbers = listed().unwrap_or_else(|| (0..=HIGHEST).collect());
    numbers.retain(|number| *number > 2 && is_inheritable(*number));
    numbers
}

/// Reads `/proc/self/fd` (Linux, illumos, Solaris). `/dev/fd` is no substitute: on some systems it shows three entries
/// whatever is open.
fn listed() -> Option<Vec<RawFd>> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    Some(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn is_inheritable(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes integers only; a number that is not open is answered with -1, which has the bit set.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags & libc::FD_CLOEXEC == 0
}

fn set_close_on_exec(number: RawFd) {
    // SAFETY: F_SETFD takes integers only; one that was closed meanwhile is answered with EBADF, which is no failure here.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

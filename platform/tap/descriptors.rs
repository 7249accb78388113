//! Descriptors known by number only: one that a configuration names, and those that a program must not inherit.
//!
//! UNSAFETY: nothing but the kernel can tell whether a number is an open descriptor, and `CommandExt::pre_exec` is unsafe by
//! nature.
#![expect(unsafe_code, reason = "asks the kernel about numbers, and runs a closure between fork and exec")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The highest descriptor looked at where there is no listing of the open ones.
const HIGHEST: RawFd = 65_535;

/// Leaves `command` nothing but its standard input, output and error. Descriptors opened here are close-on-exec
/// anyway; those of the process around, a virtual machine's disks for example, may not be. One that another thread opens
/// just now without close-on-exec escapes, as it would escape anybody.
///
/// In the child they are marked and not closed, because std reports a failed exec through a descriptor of its own.
pub(super) fn inherit_standard_streams_only(command: &mut Command) {
    let inheritable = inheritable_descriptors();
    if inheritable.is_empty() {
        // Without a closure std starts the program by posix_spawn, which spares a large process the cost of a fork (on
        // illumos: swap space for all of it).
        return;
    }
    let mark = move || {
        inheritable.iter().for_each(|number| set_flags(*number, libc::FD_CLOEXEC));
        // In a process without standard streams std may have opened one under its own number, close-on-exec.
        (0..=2).for_each(|number| set_flags(number, 0));
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

fn set_flags(number: RawFd, flags: c_int) {
    // SAFETY: F_SETFD takes integers only; one that was closed meanwhile is answered with EBADF, which is no failure here.
    unsafe { libc::fcntl(number, libc::F_SETFD, flags) };
}

/// Duplicates the descriptor `number`, close-on-exec and above the standard streams. The original stays its owner's.
pub(super) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes integers only; the kernel answers EBADF to a number that is not open.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if duplicate < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has made this descriptor in the call above, and nobody else has seen its number.
    above_standard_streams(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

/// Moves a descriptor above the standard streams, should a process without those have given their numbers away. What
/// somebody prints must not go out as a frame.
pub(crate) fn above_standard_streams(fd: OwnedFd) -> io::Result<OwnedFd> {
    // A copy is never below 3.
    if fd.as_raw_fd() > 2 { Ok(fd) } else { fd.try_clone() }
}

/// Lets programs that this process starts inherit a descriptor.
pub(super) fn make_inheritable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
    fcntl(fd, FcntlArg::F_SETFD(flags - FdFlag::FD_CLOEXEC))?;
    Ok(())
}

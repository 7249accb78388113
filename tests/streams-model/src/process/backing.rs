//! The host's side: descriptors that stand behind the model's, reached by bare system calls.
//!
//! Everything here goes through `syscall(2)`: the named functions of the C library may be the interposed ones.

// UNSAFETY: bare system calls of the host.
#![expect(
    unsafe_code,
    reason = "bare system calls of the host, which cannot go through interposed functions"
)]

use std::collections::BTreeMap;

use crate::abi::{POLLIN, POLLPRI, POLLRDNORM};
use crate::kernel::Kernel;
use crate::memory::HostMemory;

/// Which descriptors' host side is readable now.
#[derive(Debug, Default)]
pub(super) struct Backing {
    readable: BTreeMap<u32, bool>,
}

impl Backing {
    /// Makes the host's descriptors readable exactly where the streams have something to say.
    pub(super) fn synchronize(&mut self, kernel: &Kernel) {
        for (file, fd) in kernel.backed_files() {
            let wanted = kernel.poll_events(fd, POLLIN | POLLPRI | POLLRDNORM) != 0;
            let now = self.readable.entry(file).or_default();
            if *now != wanted {
                *now = wanted;
                if wanted { host::make_readable(fd) } else { host::make_unreadable(fd) }
            }
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.readable.clear();
    }
}

/// Memory for calls whose callers vouch for their addresses.
pub(super) fn caller_memory() -> HostMemory {
    // SAFETY: `Process::open` and `Process::call` are unsafe and require valid addresses; the other calls carry none.
    unsafe { HostMemory::new() }
}

/// System calls of the host, with illumos error numbers where they can fail.
pub(crate) mod host {
    use std::ptr;

    use libc::{c_int, c_long};

    use crate::abi::Errno;
    use crate::interpose::numbers::errno_of_host;
    use crate::kernel::interface::Family;

    /// The errno of the calling thread.
    fn last_errno() -> Errno {
        errno_of_host(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    fn checked(result: c_long) -> Result<c_int, Errno> {
        if result < 0 { Err(last_errno()) } else { Ok(result as c_int) }
    }

    pub(crate) fn process_id() -> i32 {
        // SAFETY: getpid takes nothing and cannot fail.
        let id = unsafe { libc::syscall(libc::SYS_getpid) };
        id as i32
    }

    pub(crate) fn event_descriptor(close_on_exec: bool) -> Result<i32, Errno> {
        let flags = libc::EFD_NONBLOCK | if close_on_exec { libc::EFD_CLOEXEC } else { 0 };
        // SAFETY: eventfd2 takes two integers and makes a descriptor.
        checked(unsafe { libc::syscall(libc::SYS_eventfd2, 0, flags) })
    }

    pub(crate) fn datagram_socket(family: Family, close_on_exec: bool) -> Result<i32, Errno> {
        let domain = if family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_DGRAM | if close_on_exec { libc::SOCK_CLOEXEC } else { 0 };
        // SAFETY: socket takes three integers and makes a descriptor.
        checked(unsafe { libc::syscall(libc::SYS_socket, domain, kind, 0) })
    }

    pub(crate) fn duplicate(fd: i32, minimum: i32, close_on_exec: bool) -> Result<i32, Errno> {
        let command = if close_on_exec { libc::F_DUPFD_CLOEXEC } else { libc::F_DUPFD };
        // SAFETY: this fcntl takes three integers and makes a descriptor.
        checked(unsafe { libc::syscall(libc::SYS_fcntl, fd, command, minimum) })
    }

    pub(crate) fn duplicate_onto(fd: i32, onto: i32, close_on_exec: bool) -> Result<i32, Errno> {
        let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
        // SAFETY: dup3 takes three integers; what `onto` was before is the caller's to give up.
        checked(unsafe { libc::syscall(libc::SYS_dup3, fd, onto, flags) })
    }

    pub(crate) fn close(fd: i32) {
        // SAFETY: close takes an integer; the number is the model's and nobody else owns it.
        unsafe { libc::syscall(libc::SYS_close, fd) };
    }

    pub(crate) fn close_on_exec(fd: i32) -> Result<i32, Errno> {
        // SAFETY: this fcntl takes two integers and changes nothing.
        checked(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFD) })
    }

    pub(crate) fn set_close_on_exec(fd: i32, on: bool) -> Result<(), Errno> {
        // SAFETY: this fcntl takes three integers.
        checked(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFD, c_int::from(on)) }).map(drop)
    }

    pub(crate) fn make_readable(fd: i32) {
        let one = 1_u64;
        // SAFETY: an eventfd takes the 8 bytes of `one`, which lives until the call returns.
        unsafe { libc::syscall(libc::SYS_write, fd, &raw const one, 8) };
    }

    pub(crate) fn make_unreadable(fd: i32) {
        let mut count = 0_u64;
        // SAFETY: an eventfd writes 8 bytes into `count`, which is ours and lives until the call returns.
        unsafe { libc::syscall(libc::SYS_read, fd, &raw mut count, 8) };
    }

    /// The host's poll.
    pub(crate) fn poll(fds: &mut [libc::pollfd], timeout_ms: c_int) -> Result<i32, Errno> {
        // SAFETY: `fds` are `fds.len()` pollfd of ours, writable and alive until the call returns.
        checked(unsafe { poll_host(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) })
    }

    /// poll(2) by the call that every architecture has, with the signal mask left alone.
    ///
    /// # Safety
    /// `fds` must be `count` pollfd, writable until the call returns.
    pub(crate) unsafe fn poll_host(fds: *mut libc::pollfd, count: libc::nfds_t, timeout_ms: c_int) -> i64 {
        let mut limit = libc::timespec {
            tv_sec: (timeout_ms / 1000).into(),
            tv_nsec: (timeout_ms % 1000 * 1_000_000).into(),
        };
        let limit = if timeout_ms < 0 { ptr::null_mut() } else { &raw mut limit };
        let no_mask = ptr::null::<libc::sigset_t>();
        // SAFETY: the caller's promise about `fds`; `limit` is null or a timespec of ours that lives until the call
        // returns and that the kernel may overwrite with the time left; there is no mask.
        unsafe { libc::syscall(libc::SYS_ppoll, fds, count, limit, no_mask, 8_usize) }
    }
}

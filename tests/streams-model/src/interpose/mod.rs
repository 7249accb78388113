//! The functions a test binary defines in place of the C library's, so that the model sees every call, the standard
//! library's own included.
//!
//! Each asks without a lock whether the call is the model's; if not, it goes on as a bare system call. Nothing here is
//! different before a [`crate::Machine`] is booted, so the functions may run at any time: before main, in any thread.

// UNSAFETY: C functions that take raw pointers and set errno.
#![expect(unsafe_code, reason = "C functions of the C library, defined anew")]

pub mod numbers;

use std::ffi::CStr;

use libc::{c_char, c_int, c_long, c_ulong, c_void, iovec, mode_t, nfds_t, pollfd, size_t, ssize_t};

use self::numbers::{command_of_host, errno_to_host, flags_of_host, flags_to_host};
use crate::abi;
use crate::call::Call;
use crate::kernel::interface::Family;
use crate::process::{Answer, host, process};

/// Gives an answer to a caller in C.
fn give(answer: Answer) -> c_long {
    match answer {
        Ok(value) => value,
        Err(errno) => {
            // SAFETY: takes nothing; gives the address of the calling thread's errno.
            let location = unsafe { libc::__errno_location() };
            // SAFETY: `location` is the calling thread's errno, an int that lives as long as the thread.
            unsafe { *location = errno_to_host(errno) };
            -1
        }
    }
}

fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// Leads a call to the model.
///
/// # Safety
/// As [`crate::Process::call`].
unsafe fn model(call: Call) -> c_long {
    // SAFETY: the caller's promise is the same.
    give(unsafe { process().call(call) })
}

/// `openat`, and with `AT_FDCWD` `open`.
///
/// # Safety
/// `path` must be a NUL-terminated string.
pub unsafe fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    if process().is_booted() && !path.is_null() {
        // SAFETY: `path` is a NUL-terminated string that lives until the call returns (the caller's promise).
        let name = unsafe { CStr::from_ptr(path) };
        if process().serves(name.to_bytes()) {
            // SAFETY: as above: `path` is the address of a NUL-terminated string.
            return give(unsafe { process().open(address(path), flags_of_host(flags)) }) as c_int;
        }
    }
    // SAFETY: the arguments of the caller, unchanged.
    unsafe { libc::syscall(libc::SYS_openat, directory, path, flags, mode) as c_int }
}

/// `socket`: datagram sockets of the Internet families are the model's as well, for the interface requests.
pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let family = match domain {
        libc::AF_INET => Some(Family::V4),
        libc::AF_INET6 => Some(Family::V6),
        _ => None,
    };
    let plain = kind & !libc::SOCK_CLOEXEC == libc::SOCK_DGRAM && protocol == 0;
    match family {
        Some(family) if plain && process().is_booted() => {
            give(process().socket(family, kind & libc::SOCK_CLOEXEC != 0)) as c_int
        }
        // SAFETY: socket takes three integers.
        _ => unsafe { libc::syscall(libc::SYS_socket, domain, kind, protocol) as c_int },
    }
}

/// `close`
pub fn close(fd: c_int) -> c_int {
    if process().owns(fd) {
        return give(process().close(fd)) as c_int;
    }
    // SAFETY: close takes an integer; who owns the number is between the caller and the host.
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

/// `dup`
pub fn dup(fd: c_int) -> c_int {
    if process().owns(fd) {
        return give(process().duplicate(fd, 0, false)) as c_int;
    }
    // SAFETY: dup takes an integer.
    unsafe { libc::syscall(libc::SYS_dup, fd) as c_int }
}

/// `dup3`, and with no flags `dup2` (which also allows equal numbers).
pub fn dup3(fd: c_int, onto: c_int, flags: c_int) -> c_int {
    if process().owns(fd) || process().owns(onto) {
        return give(process().duplicate_onto(fd, onto, flags & libc::O_CLOEXEC != 0)) as c_int;
    }
    // SAFETY: dup3 takes three integers; what `onto` was before is the caller's to give up.
    unsafe { libc::syscall(libc::SYS_dup3, fd, onto, flags) as c_int }
}

/// `dup2`
pub fn dup2(fd: c_int, onto: c_int) -> c_int {
    if fd == onto && !process().owns(fd) {
        // SAFETY: this fcntl takes two integers; it only checks that the descriptor is open.
        let open = unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFD) };
        return if open < 0 { -1 } else { fd };
    }
    dup3(fd, onto, 0)
}

/// `fstat`: a stream is a character device, whatever stands behind it on the host.
///
/// # Safety
/// `status` must point at a writable `struct stat`.
pub unsafe fn fstat(fd: c_int, status: *mut libc::stat) -> c_int {
    // SAFETY: fstat writes one `struct stat` at `status`, which is the caller's and writable.
    let result = unsafe { libc::syscall(libc::SYS_fstat, fd, status) as c_int };
    if result == 0 && process().owns(fd) && process().is_stream(fd) {
        // SAFETY: `status` is the caller's and was just filled.
        unsafe { (*status).st_mode = libc::S_IFCHR | 0o600 };
    }
    result
}

/// `fcntl`
///
/// # Safety
/// `argument` must be what the command requires.
pub unsafe fn fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    if !process().owns(fd) {
        // SAFETY: the arguments of the caller, unchanged.
        return unsafe { libc::syscall(libc::SYS_fcntl, fd, command, argument) as c_int };
    }
    let illumos = command_of_host(command);
    let argument = argument as c_int;
    let argument = if illumos == abi::F_SETFL { flags_of_host(argument) } else { argument };
    match process().fcntl(fd, illumos, i64::from(argument)) {
        Ok(flags) if illumos == abi::F_GETFL => flags_to_host(flags as i32),
        answer => give(answer) as c_int,
    }
}

/// `ioctl`
///
/// # Safety
/// `argument` must be what the request requires.
pub unsafe fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    if process().owns(fd) {
        let call = Call::Ioctl { fd, request: request as u32, argument: address(argument) };
        // SAFETY: the caller vouches for what the argument points at.
        return unsafe { model(call) as c_int };
    }
    // SAFETY: the arguments of the caller, unchanged.
    unsafe { libc::syscall(libc::SYS_ioctl, fd, request, argument) as c_int }
}

/// Whether reading and writing on a descriptor is the model's: on its sockets it is the host's.
fn streams(fd: c_int) -> bool {
    process().owns(fd) && process().is_stream(fd)
}

/// `read`
///
/// # Safety
/// `buffer` must have room for `length` bytes.
pub unsafe fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    if streams(fd) {
        // SAFETY: the caller's promise: room for `length` bytes.
        return unsafe {
            model(Call::Read { fd, buffer: address(buffer), length: length as u64 }) as ssize_t
        };
    }
    // SAFETY: the arguments of the caller, unchanged.
    unsafe { libc::syscall(libc::SYS_read, fd, buffer, length) as ssize_t }
}

/// `readv`
///
/// # Safety
/// `vector` must be `count` slices of writable memory.
pub unsafe fn readv(fd: c_int, vector: *const iovec, count: c_int) -> ssize_t {
    if streams(fd) {
        // SAFETY: the caller's promise: `count` slices of writable memory.
        return unsafe { model(Call::Readv { fd, vector: address(vector), count }) as ssize_t };
    }
    // SAFETY: the arguments of the caller, unchanged.
    unsafe { libc::syscall(libc::SYS_readv, fd, vector, count) as ssize_t }
}

/// `write`
///
/// # Safety
/// `buffer` must be `length` readable bytes.
pub unsafe fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    if streams(fd) {
        // SAFETY: the caller's promise: `length` readable bytes.
        return unsafe {
            model(Call::Write { fd, buffer: address(buffer), length: length as u64 }) as ssize_t
        };
    }
    // SAFETY: the arguments of the caller, unchanged.
    unsafe { libc::syscall(libc::SYS_write, fd, buffer, length) as ssize_t }
}

/// `writev`
///
/// # Safety
/// `vector` must be `count` slices of readable memory.
pub unsafe fn writev(fd: c_int, vector: *const iovec, count: c_int) -> ssize_t {
    if streams(fd) {
        // SAFETY: the caller's promise: `count` slices of readable memory.
        return unsafe { model(Call::Writev { fd, vector: address(vector), count }) as ssize_t };
    }
    // SAFETY: the arguments of the caller, unchanged.
    unsafe { libc::syscall(libc::SYS_writev, fd, vector, count) as ssize_t }
}

/// `poll`
///
/// # Safety
/// `fds` must be `count` pollfd.
pub unsafe fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    if process().is_booted() && !fds.is_null() && count > 0 {
        // SAFETY: the caller's promise: `count` pollfd, ours alone until the call returns.
        let entries = unsafe { std::slice::from_raw_parts_mut(fds, count as usize) };
        if entries.iter().any(|entry| process().owns(entry.fd)) {
            return give(process().poll(entries, timeout)) as c_int;
        }
    }
    // SAFETY: the arguments of the caller, unchanged.
    unsafe { host::poll_host(fds, count, timeout) as c_int }
}

/// `getmsg`: the host has none, so a descriptor of its own is no stream.
///
/// # Safety
/// `control` and `data` must be null or a strbuf, `flags` an int.
pub unsafe fn getmsg(fd: c_int, control: *mut c_void, data: *mut c_void, flags: *mut c_int) -> c_int {
    if !process().owns(fd) {
        return give(Err(abi::Errno::ENOSTR)) as c_int;
    }
    let call = Call::Getmsg { fd, control: address(control), data: address(data), flags: address(flags) };
    // SAFETY: the caller's promise: strbufs and an int.
    unsafe { model(call) as c_int }
}

/// `putmsg`
///
/// # Safety
/// `control` and `data` must be null or a strbuf.
pub unsafe fn putmsg(fd: c_int, control: *const c_void, data: *const c_void, flags: c_int) -> c_int {
    if !process().owns(fd) {
        return give(Err(abi::Errno::ENOSTR)) as c_int;
    }
    // SAFETY: the caller's promise: strbufs.
    unsafe { model(Call::Putmsg { fd, control: address(control), data: address(data), flags }) as c_int }
}

//! The process, and waiting for its children: `unistd.h`, `stdlib.h`, `sys/wait.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{errno, set, to_illumos};
use crate::signal_set::SIGNALS;
use crate::translate::Flags;
use std::ffi::{CStr, c_char, c_int, c_void};

forward! { same:
    fn getpid() -> c_int;
    fn getppid() -> c_int;
    fn getpgrp() -> c_int;
    fn getenv(name: *const c_char) -> *mut c_char;
    fn pause() -> c_int;
}

forward! { errno:
    fn getpgid(pid: c_int) -> c_int;
    fn setpgid(pid: c_int, group: c_int) -> c_int;
    fn setsid() -> c_int;
    fn fork() -> c_int;
}

#[unsafe(export_name = "illumos_exit")]
extern "C" fn exit(status: c_int) -> ! {
    crate::delivery::finish();
    crate::streams::end();
    // SAFETY: takes a number; runs what was registered to run.
    unsafe { libc::exit(status) }
}

#[unsafe(export_name = "illumos__exit")]
extern "C" fn immediate_exit(status: c_int) -> ! {
    // SAFETY: takes a number.
    unsafe { libc::_exit(status) }
}

#[unsafe(export_name = "illumos_abort")]
extern "C" fn abort() -> ! {
    // SAFETY: takes nothing.
    unsafe { libc::abort() }
}

#[unsafe(export_name = "illumos_atexit")]
extern "C" fn atexit(function: extern "C" fn()) -> c_int {
    // SAFETY: the caller's function, which lives as long as the program.
    unsafe { libc::atexit(function) }
}

/// The program's `environ`: on illumos the program owns the variable (its crt1 does), the host's libc has its own.
fn program_variable() -> *mut *mut *mut c_char {
    // SAFETY: a name; the program's own definition comes first in the search.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"environ".as_ptr()) }.cast()
}

/// The environment by the program's variable, which std sets itself before it execs.
pub(crate) fn environment() -> *const *const c_char {
    let place = program_variable();
    // SAFETY: the program's variable, of the size of an address; crt1 has filled it.
    unsafe { place.read() }.cast_const().cast()
}

/// Tells the program where the environment is after the host has changed it.
fn share_environment() {
    unsafe extern "C" {
        /// The host's variable, by the name that no program interposes.
        static __environ: *mut *mut c_char;
    }
    // SAFETY: the host's variable; a racing change of the environment is the caller's mistake on any Unix.
    let environment = unsafe { __environ };
    // SAFETY: the program's variable, of the size of an address.
    unsafe { program_variable().write(environment) };
}

#[unsafe(export_name = "illumos_setenv")]
unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int {
    // SAFETY: the caller's NUL-terminated strings, which the host copies.
    let result = errno(unsafe { libc::setenv(name, value, overwrite) });
    share_environment();
    result
}

#[unsafe(export_name = "illumos_unsetenv")]
unsafe extern "C" fn unsetenv(name: *const c_char) -> c_int {
    // SAFETY: the caller's NUL-terminated string.
    let result = errno(unsafe { libc::unsetenv(name) });
    share_environment();
    result
}

/// # Safety
/// `list` is an array of NUL-terminated strings that ends with null.
pub(crate) unsafe fn strings<'a>(list: *const *const c_char) -> Vec<&'a CStr> {
    let mut strings = Vec::new();
    let mut next = list;
    loop {
        // SAFETY: in the array, of which null was not met yet.
        let string = unsafe { next.read() };
        if string.is_null() {
            return strings;
        }
        // SAFETY: as the caller promises.
        strings.push(unsafe { CStr::from_ptr(string) });
        // SAFETY: one past an entry that was not the last.
        next = unsafe { next.add(1) };
    }
}

#[unsafe(export_name = "illumos_getrlimit")]
unsafe extern "C" fn getrlimit(resource: c_int, limit: *mut libc::rlimit) -> c_int {
    // SAFETY: the caller's place for two numbers, laid out as the host's.
    errno(unsafe { libc::getrlimit(host_resource(resource), limit) })
}

#[unsafe(export_name = "illumos_setrlimit")]
unsafe extern "C" fn setrlimit(resource: c_int, limit: *const libc::rlimit) -> c_int {
    // SAFETY: the caller's two numbers, laid out as the host's.
    errno(unsafe { libc::setrlimit(host_resource(resource), limit) })
}

/// `sys/resource.h`: the first five agree.
fn host_resource(illumos: c_int) -> libc::__rlimit_resource_t {
    match illumos {
        5 => libc::RLIMIT_NOFILE,
        6 => libc::RLIMIT_AS,
        other => libc::__rlimit_resource_t::try_from(other).unwrap_or(libc::__rlimit_resource_t::MAX),
    }
}

/// The host's `pthread_atfork` takes the same three functions.
#[unsafe(export_name = "illumos_pthread_atfork")]
unsafe extern "C" fn pthread_atfork(
    prepare: Option<unsafe extern "C" fn()>,
    parent: Option<unsafe extern "C" fn()>,
    child: Option<unsafe extern "C" fn()>,
) -> c_int {
    // SAFETY: the caller's functions, which live as long as the program.
    let result = unsafe { libc::pthread_atfork(prepare, parent, child) };
    set(to_illumos(result));
    to_illumos(result)
}

/// Registers a destructor of a C++ object or a thread's variable; the host's takes the same.
#[unsafe(export_name = "illumos___cxa_atexit")]
unsafe extern "C" fn cxa_atexit(
    destructor: unsafe extern "C" fn(*mut c_void),
    object: *mut c_void,
    library: *mut c_void,
) -> c_int {
    unsafe extern "C" {
        fn __cxa_atexit(
            destructor: unsafe extern "C" fn(*mut c_void),
            object: *mut c_void,
            library: *mut c_void,
        ) -> c_int;
    }
    // SAFETY: the caller's destructor and object, which live as long as the library.
    unsafe { __cxa_atexit(destructor, object, library) }
}

/// `sys/wait.h`.
const WAIT_FLAGS: Flags = Flags {
    what: "waitpid flag",
    pairs: &[(0x40, libc::WNOHANG), (0x04, libc::WUNTRACED), (0x08, libc::WCONTINUED)],
};

/// The status is laid out alike; the signals in it are not numbered alike.
fn illumos_status(host: c_int) -> c_int {
    if libc::WIFSIGNALED(host) {
        return SIGNALS.to_illumos(libc::WTERMSIG(host)) | (host & 0x80);
    }
    if libc::WIFSTOPPED(host) {
        return SIGNALS.to_illumos(libc::WSTOPSIG(host)) << 8 | 0x7f;
    }
    host
}

#[unsafe(export_name = "illumos_waitpid")]
unsafe extern "C" fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int {
    let mut host = 0;
    // SAFETY: a number of this stack.
    let found = errno(unsafe { libc::waitpid(pid, &raw mut host, WAIT_FLAGS.to_host(options)) });
    // SAFETY: null or the caller's place for a number.
    if let Some(status) = unsafe { status.as_mut() }.filter(|_| found > 0) {
        *status = illumos_status(host);
    }
    found
}

#[unsafe(export_name = "illumos_wait")]
unsafe extern "C" fn wait(status: *mut c_int) -> c_int {
    // SAFETY: null or the caller's place for a number.
    unsafe { waitpid(-1, status, 0) }
}

#[cfg(test)]
mod tests {
    use super::illumos_status;

    #[test]
    fn an_exit_status_stays_and_a_signal_is_renumbered() {
        assert_eq!(illumos_status(3 << 8), 3 << 8);
        assert_eq!(illumos_status(libc::SIGBUS | 0x80), 10 | 0x80);
        assert_eq!(illumos_status(libc::SIGSTOP << 8 | 0x7f), 23 << 8 | 0x7f);
        assert_eq!(illumos_status(0xffff), 0xffff);
    }
}

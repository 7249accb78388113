//! Sending signals: `signal.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{EINVAL, errno, fail, number, to_illumos};
use crate::signal_set::SIGNALS;
use crate::thread::host_thread;
use std::ffi::c_int;

#[unsafe(export_name = "illumos_kill")]
extern "C" fn kill(pid: c_int, signal: c_int) -> c_int {
    // SAFETY: takes numbers.
    with_signal(signal, |host| errno(unsafe { libc::kill(pid, host) })).unwrap_or_else(|| fail(EINVAL))
}

#[unsafe(export_name = "illumos_killpg")]
extern "C" fn killpg(group: c_int, signal: c_int) -> c_int {
    // SAFETY: takes numbers.
    with_signal(signal, |host| errno(unsafe { libc::killpg(group, host) })).unwrap_or_else(|| fail(EINVAL))
}

#[unsafe(export_name = "illumos_raise")]
extern "C" fn raise(signal: c_int) -> c_int {
    // SAFETY: takes a number.
    with_signal(signal, |host| errno(unsafe { libc::raise(host) })).unwrap_or_else(|| fail(EINVAL))
}

#[unsafe(export_name = "illumos_pthread_kill")]
pub(crate) extern "C" fn pthread_kill(thread: u32, signal: c_int) -> c_int {
    let Some(thread) = host_thread(thread) else {
        return to_illumos(libc::ESRCH);
    };
    // SAFETY: a thread that has not been joined or detached, by the caller's promise.
    with_signal(signal, |host| number(unsafe { libc::pthread_kill(thread, host) })).unwrap_or(EINVAL)
}

/// Signal 0 asks whether the process is there.
fn with_signal(illumos: c_int, send: impl FnOnce(c_int) -> c_int) -> Option<c_int> {
    if illumos == 0 { Some(send(0)) } else { SIGNALS.find_host(illumos).map(send) }
}

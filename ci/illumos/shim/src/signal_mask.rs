//! Which signals a thread takes, and waiting for one: `signal.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{EINVAL, errno, fail, number, to_illumos};
use crate::signal_set::{SIGNALS, SignalSet};
use crate::translate::Numbers;
use std::ffi::c_int;

/// `sys/iso/signal_iso.h`: how a mask is changed.
const MASK_CHANGES: Numbers = Numbers {
    what: "sigprocmask request",
    pairs: &[(1, libc::SIG_BLOCK), (2, libc::SIG_UNBLOCK), (3, libc::SIG_SETMASK)],
};

/// Changes the mask by the host's function, which says whether it went well.
///
/// # Safety
/// `set` is null or the caller's set, `old` null or a place for one.
unsafe fn mask(
    how: c_int,
    set: *const SignalSet,
    old: *mut SignalSet,
    change: impl FnOnce(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    let set = unsafe { set.as_ref() }.map(SignalSet::host);
    let how = if set.is_some() { MASK_CHANGES.to_host(how) } else { libc::SIG_BLOCK };
    let mut host_old = SignalSet::default().host();
    let result = change(how, set.as_ref().map_or(std::ptr::null(), std::ptr::from_ref), &raw mut host_old);
    if result == 0 && !old.is_null() {
        // SAFETY: as the caller promises.
        unsafe { old.write(SignalSet::of_host(&host_old)) };
    }
    result
}

#[unsafe(export_name = "illumos_pthread_sigmask")]
unsafe extern "C" fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int {
    // SAFETY: the sets `mask` makes.
    let change = |how, set, old| unsafe { libc::pthread_sigmask(how, set, old) };
    // SAFETY: the caller's sets.
    number(unsafe { mask(how, set, old, change) })
}

#[unsafe(export_name = "illumos_sigprocmask")]
unsafe extern "C" fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int {
    // SAFETY: the sets `mask` makes.
    let change = |how, set, old| unsafe { libc::sigprocmask(how, set, old) };
    // SAFETY: the caller's sets.
    errno(unsafe { mask(how, set, old, change) })
}

/// The one of POSIX, that gives the error as its result.
#[unsafe(export_name = "illumos___posix_sigwait")]
unsafe extern "C" fn posix_sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int {
    // SAFETY: the caller's set.
    let found = unsafe { sigwait(set) };
    if found < 0 {
        return EINVAL;
    }
    // SAFETY: the caller's place for a number.
    unsafe { signal.write(found) };
    0
}

#[unsafe(export_name = "illumos_sigwait")]
unsafe extern "C" fn sigwait(set: *const SignalSet) -> c_int {
    // SAFETY: the caller's set.
    let set = unsafe { &*set }.host();
    let mut signal = 0;
    // SAFETY: a set and a number of this stack.
    let result = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
    if result == 0 { SIGNALS.to_illumos(signal) } else { fail(to_illumos(result)) }
}

#[unsafe(export_name = "illumos_sigsuspend")]
unsafe extern "C" fn sigsuspend(set: *const SignalSet) -> c_int {
    // SAFETY: the caller's set.
    let set = unsafe { &*set }.host();
    // SAFETY: a set of this stack.
    errno(unsafe { libc::sigsuspend(&raw const set) })
}

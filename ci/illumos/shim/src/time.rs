//! Clocks: `time.h`, `sys/time_impl.h`. `struct timespec` and `struct timeval` agree.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{errno, number};
use crate::translate::Numbers;
use libc::{clockid_t, timespec, timeval};
use std::ffi::{c_int, c_void};

/// `sys/time_impl.h`.
const CLOCKS: Numbers = Numbers {
    what: "clock",
    pairs: &[
        (3, libc::CLOCK_REALTIME),
        (0, libc::CLOCK_REALTIME), // its old number
        (4, libc::CLOCK_MONOTONIC),
        (2, libc::CLOCK_THREAD_CPUTIME_ID),
        (5, libc::CLOCK_PROCESS_CPUTIME_ID),
    ],
};

forward! { errno:
    fn nanosleep(time: *const timespec, rest: *mut timespec) -> c_int;
}

forward! { same:
    fn time(out: *mut i64) -> i64;
    fn sched_yield() -> c_int;
    fn sleep(seconds: u32) -> u32;
    fn usleep(microseconds: u32) -> c_int;
    fn alarm(seconds: u32) -> u32;
}

pub(crate) fn host_clock(illumos: c_int) -> clockid_t {
    CLOCKS.to_host(illumos)
}

#[unsafe(export_name = "illumos_clock_gettime")]
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut timespec) -> c_int {
    // SAFETY: the caller's place for a time.
    errno(unsafe { libc::clock_gettime(host_clock(clock), time) })
}

#[unsafe(export_name = "illumos_clock_getres")]
unsafe extern "C" fn clock_getres(clock: c_int, time: *mut timespec) -> c_int {
    // SAFETY: null or the caller's place for a time.
    errno(unsafe { libc::clock_getres(host_clock(clock), time) })
}

/// `sys/time_impl.h`: TIMER_ABSTIME is 1 on both sides.
#[unsafe(export_name = "illumos_clock_nanosleep")]
unsafe extern "C" fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    time: *const timespec,
    rest: *mut timespec,
) -> c_int {
    // SAFETY: the caller's time, and null or a place for the rest of it.
    number(unsafe { libc::clock_nanosleep(host_clock(clock), flags, time, rest) })
}

#[unsafe(export_name = "illumos_gettimeofday")]
unsafe extern "C" fn gettimeofday(time: *mut timeval, _zone: *mut c_void) -> c_int {
    // SAFETY: the caller's place for a time; no time zone is asked for.
    errno(unsafe { libc::gettimeofday(time, std::ptr::null_mut()) })
}

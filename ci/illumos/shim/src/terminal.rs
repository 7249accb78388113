//! Pseudo-terminals: `stdlib.h`. Terminals' settings (`termios.h`) are not translated: they stop the process.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::errno;
use crate::file::OPEN_FLAGS;
use std::ffi::{c_char, c_int};

forward! { errno:
    fn grantpt(fd: c_int) -> c_int;
    fn unlockpt(fd: c_int) -> c_int;
    fn ptsname(fd: c_int) -> *mut c_char;
}

#[unsafe(export_name = "illumos_posix_openpt")]
extern "C" fn posix_openpt(flags: c_int) -> c_int {
    // SAFETY: takes a number; the access mode agrees.
    errno(unsafe { libc::posix_openpt((flags & 3) | OPEN_FLAGS.to_host(flags & !3)) })
}

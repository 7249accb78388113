//! The end of the road: something the shim has no answer for.

// UNSAFETY: the trap is called from generated assembly with a C string.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use std::ffi::{CStr, c_char};
use std::fmt::Display;

/// The status a process ends with when it asks for what the shim does not know.
const STATUS: i32 = 99;

/// Stops the process and says what it asked for.
pub(crate) fn unknown(what: &str, value: impl Display) -> ! {
    eprintln!("\nillumos shim: {what} {value} has no implementation");
    // SAFETY: takes a plain number; running no destructors is the point.
    unsafe { libc::_exit(STATUS) }
}

/// Where every function ends that illumos has and the shim does not.
#[unsafe(export_name = "illumos_missing")]
unsafe extern "C" fn missing(name: *const c_char) -> ! {
    // SAFETY: the generated code passes the address of a constant, NUL-terminated symbol name.
    let name = unsafe { CStr::from_ptr(name) };
    unknown("function", name.to_string_lossy());
}

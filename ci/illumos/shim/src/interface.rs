//! Interfaces' numbers: `net/if.h`. The model's interfaces, then the host's own.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::take_over;
use crate::streams;
use std::ffi::{CStr, c_char, c_uint};

#[unsafe(export_name = "illumos_if_nametoindex")]
unsafe extern "C" fn if_nametoindex(name: *const c_char) -> c_uint {
    // SAFETY: the caller's NUL-terminated string, which lives through the call.
    let model = streams::interface_index(unsafe { CStr::from_ptr(name) });
    if let Some(index) = model {
        return index;
    }
    // SAFETY: as above.
    let index = unsafe { libc::if_nametoindex(name) };
    if index == 0 {
        take_over();
    }
    index
}

//! Bytes and strings: `string.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{ERANGE, to_host};
use std::ffi::{CStr, c_char, c_int, c_void};

forward! { same:
    fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void;
    fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void;
    fn memset(to: *mut c_void, byte: c_int, length: usize) -> *mut c_void;
    fn memcmp(one: *const c_void, other: *const c_void, length: usize) -> c_int;
    fn memchr(within: *const c_void, byte: c_int, length: usize) -> *mut c_void;
    fn memrchr(within: *const c_void, byte: c_int, length: usize) -> *mut c_void;
    fn strlen(string: *const c_char) -> usize;
    fn strnlen(string: *const c_char, most: usize) -> usize;
    fn strcpy(to: *mut c_char, from: *const c_char) -> *mut c_char;
    fn strncpy(to: *mut c_char, from: *const c_char, most: usize) -> *mut c_char;
    fn strcat(to: *mut c_char, from: *const c_char) -> *mut c_char;
    fn strcmp(one: *const c_char, other: *const c_char) -> c_int;
    fn strncmp(one: *const c_char, other: *const c_char, most: usize) -> c_int;
    fn strchr(within: *const c_char, byte: c_int) -> *mut c_char;
    fn strrchr(within: *const c_char, byte: c_int) -> *mut c_char;
    fn strstr(within: *const c_char, what: *const c_char) -> *mut c_char;
    fn strdup(string: *const c_char) -> *mut c_char;
}

/// `strings.h`: an optimised `memcmp` whose sign nobody looks at; what a release build of std calls.
#[unsafe(export_name = "illumos_bcmp")]
unsafe extern "C" fn bcmp(one: *const c_void, other: *const c_void, length: usize) -> c_int {
    // SAFETY: the caller's blocks of `length` readable bytes.
    unsafe { libc::memcmp(one, other, length) }
}

/// The host's text: illumos words some errors otherwise.
#[unsafe(export_name = "illumos_strerror")]
extern "C" fn strerror(illumos: c_int) -> *mut c_char {
    // SAFETY: takes a number, and the host has a text for any.
    unsafe { libc::strerror(to_host(illumos).unwrap_or(illumos)) }
}

#[unsafe(export_name = "illumos_strerror_r")]
unsafe extern "C" fn strerror_r(illumos: c_int, buffer: *mut c_char, length: usize) -> c_int {
    // SAFETY: the host's text is NUL-terminated and lives until this thread's next strerror.
    let text = unsafe { CStr::from_ptr(strerror(illumos)) }.to_bytes_with_nul();
    if text.len() > length {
        return ERANGE;
    }
    // SAFETY: the caller's buffer has `length` writable bytes, at least those of the text, which lies elsewhere.
    unsafe { buffer.copy_from_nonoverlapping(text.as_ptr().cast(), text.len()) };
    0
}

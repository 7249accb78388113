//! Memory, and the bytes and strings in it: `stdlib.h`, `sys/mman.h`, `string.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{ERANGE, errno, to_host};
use crate::translate::Flags;
use libc::off_t;
use std::ffi::{CStr, c_char, c_int, c_void};

/// `sys/mman.h`. Shared, private and fixed agree; protections agree entirely.
const MAP_FLAGS: Flags = Flags {
    what: "mmap flag",
    pairs: &[
        (0x1, libc::MAP_SHARED),
        (0x2, libc::MAP_PRIVATE),
        (0x10, libc::MAP_FIXED),
        (0x40, libc::MAP_NORESERVE),
        (0x100, libc::MAP_ANONYMOUS),
    ],
};
/// `sys/mman.h`.
const SYNC_FLAGS: Flags = Flags {
    what: "msync flag",
    pairs: &[(0x4, libc::MS_SYNC), (0x1, libc::MS_ASYNC), (0x2, libc::MS_INVALIDATE)],
};

forward! { errno:
    fn malloc(size: usize) -> *mut c_void;
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn memalign(alignment: usize, size: usize) -> *mut c_void;
    fn munmap(address: *mut c_void, length: usize) -> c_int;
    fn mprotect(address: *mut c_void, length: usize, protection: c_int) -> c_int;
    // sys/mman.h: advice 0 to 4 agrees
    fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    fn mlock(address: *const c_void, length: usize) -> c_int;
    fn munlock(address: *const c_void, length: usize) -> c_int;
}

forward! { number:
    fn posix_memalign(block: *mut *mut c_void, alignment: usize, size: usize) -> c_int;
}

forward! { same:
    fn free(block: *mut c_void);
}

#[unsafe(export_name = "illumos_mmap")]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: with MAP_FIXED the caller gives up what lies there, by the same rule as on illumos.
    let mapped = unsafe { libc::mmap(address, length, protection, MAP_FLAGS.to_host(flags), fd, offset) };
    if mapped == libc::MAP_FAILED {
        crate::errno::take_over();
    }
    mapped
}

#[unsafe(export_name = "illumos_msync")]
unsafe extern "C" fn msync(address: *mut c_void, length: usize, flags: c_int) -> c_int {
    // SAFETY: a mapping of the caller's.
    errno(unsafe { libc::msync(address, length, SYNC_FLAGS.to_host(flags)) })
}

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

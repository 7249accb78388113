//! Memory: `stdlib.h`, `sys/mman.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::errno;
use crate::translate::Flags;
use libc::off_t;
use std::ffi::{c_int, c_void};

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

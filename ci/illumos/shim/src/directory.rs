//! Directories: `dirent.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{self, errno};
use std::ffi::{c_char, c_int};
use std::mem::offset_of;

/// `struct dirent` of `sys/dirent.h`, with room for the host's longest name.
#[repr(C)]
struct Entry {
    ino: u64,
    off: i64,
    reclen: u16,
    name: [c_char; 256],
}
const _: () = assert!(offset_of!(Entry, name) == 18);

/// What stands behind a `DIR *`: the program only passes it back.
struct Directory {
    host: *mut libc::DIR,
    entry: Entry,
}

impl Directory {
    fn wrap(host: *mut libc::DIR) -> *mut Self {
        if errno(host).is_null() {
            return std::ptr::null_mut();
        }
        Box::into_raw(Box::new(Self { host, entry: Entry { ino: 0, off: 0, reclen: 0, name: [0; 256] } }))
    }
}

#[unsafe(export_name = "illumos_opendir")]
unsafe extern "C" fn opendir(path: *const c_char) -> *mut Directory {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { crate::path::is_too_long(path) } {
        return errno::fail(errno::ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    Directory::wrap(unsafe { libc::opendir(path) })
}

#[unsafe(export_name = "illumos_fdopendir")]
extern "C" fn fdopendir(fd: c_int) -> *mut Directory {
    // SAFETY: takes a number; the caller gives the descriptor away.
    Directory::wrap(unsafe { libc::fdopendir(fd) })
}

#[unsafe(export_name = "illumos_readdir")]
unsafe extern "C" fn readdir(directory: *mut Directory) -> *mut Entry {
    // SAFETY: what opendir gave the caller, not closed yet and in no other thread's use.
    let directory = unsafe { &mut *directory };
    // only errno tells the end from an error
    // SAFETY: this thread's own number.
    let host_errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { host_errno.write(0) };
    // SAFETY: the host's own handle, open as long as ours.
    let found = unsafe { libc::readdir(directory.host) };
    // SAFETY: null at the end, else an entry that lives until the next readdir.
    let Some(found) = (unsafe { found.as_ref() }) else {
        // SAFETY: this thread's own number.
        if unsafe { host_errno.read() } != 0 {
            errno::take_over();
        }
        return std::ptr::null_mut();
    };
    directory.entry =
        Entry { ino: found.d_ino, off: found.d_off, reclen: found.d_reclen, name: found.d_name };
    &raw mut directory.entry
}

#[unsafe(export_name = "illumos_closedir")]
unsafe extern "C" fn closedir(directory: *mut Directory) -> c_int {
    // SAFETY: what opendir gave the caller, who gives it back and does not use it again.
    let directory = unsafe { Box::from_raw(directory) };
    // SAFETY: the host's own handle, open as long as ours.
    errno(unsafe { libc::closedir(directory.host) })
}

#[unsafe(export_name = "illumos_dirfd")]
unsafe extern "C" fn dirfd(directory: *mut Directory) -> c_int {
    // SAFETY: what opendir gave the caller, not closed yet.
    let directory = unsafe { &*directory };
    // SAFETY: the host's own handle, open as long as ours.
    errno(unsafe { libc::dirfd(directory.host) })
}

//! What a file is, and directories: `sys/stat.h`, `sys/mkdev.h`, `dirent.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{self, ENAMETOOLONG, errno, fail};
use crate::path::{AT_FLAGS, directory};
use crate::streams;
use std::ffi::{CStr, c_char, c_int};
use std::mem::{MaybeUninit, offset_of};

/// `struct stat` of `sys/stat.h`, 64 bit.
#[repr(C)]
struct Stat {
    dev: u64,
    ino: u64,
    mode: u32,
    nlink: u32,
    uid: u32,
    gid: u32,
    rdev: u64,
    size: i64,
    accessed: [i64; 2],
    modified: [i64; 2],
    changed: [i64; 2],
    blksize: i32,
    blocks: i64,
    fstype: [u8; 16],
}
const _: () = assert!(size_of::<Stat>() == 128);

/// Any number does: drivers get theirs when they are installed.
const STREAMS_MAJOR: u32 = 300;

/// `sys/mkdev.h`, 64 bit: 32 bits of major number above 32 bits of minor number.
fn device(major: u32, minor: u32) -> u64 {
    u64::from(major) << 32 | u64::from(minor)
}

#[unsafe(export_name = "illumos___makedev")]
extern "C" fn makedev(_version: c_int, major: u32, minor: u32) -> u64 {
    device(major, minor)
}

#[unsafe(export_name = "illumos___major")]
extern "C" fn major(_version: c_int, device: u64) -> u32 {
    u32::try_from(device >> 32).unwrap_or(u32::MAX)
}

#[unsafe(export_name = "illumos___minor")]
extern "C" fn minor(_version: c_int, device: u64) -> u32 {
    u32::try_from(device & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

impl Stat {
    /// A device of the model: a character device, as all streams are.
    fn stream() -> Self {
        const S_IFCHR: u32 = 0x2000;
        // SAFETY: plain numbers, for which zero is a value.
        let host = unsafe { MaybeUninit::<libc::stat>::zeroed().assume_init() };
        Self { mode: S_IFCHR | 0o666, nlink: 1, rdev: device(STREAMS_MAJOR, 0), ..Self::of(&host) }
    }

    /// The types and permissions in the mode agree.
    fn of(host: &libc::stat) -> Self {
        Self {
            dev: device(libc::major(host.st_dev), libc::minor(host.st_dev)),
            ino: host.st_ino,
            mode: host.st_mode,
            nlink: u32::try_from(host.st_nlink).unwrap_or(u32::MAX),
            uid: host.st_uid,
            gid: host.st_gid,
            rdev: device(libc::major(host.st_rdev), libc::minor(host.st_rdev)),
            size: host.st_size,
            accessed: [host.st_atime, host.st_atime_nsec],
            modified: [host.st_mtime, host.st_mtime_nsec],
            changed: [host.st_ctime, host.st_ctime_nsec],
            blksize: i32::try_from(host.st_blksize).unwrap_or(i32::MAX),
            blocks: host.st_blocks,
            fstype: *b"tmpfs\0\0\0\0\0\0\0\0\0\0\0",
        }
    }
}

/// Runs the host's call and writes what it found as illumos would.
///
/// # Safety
/// - `out` points to a `struct stat` of illumos', which may be uninitialised.
/// - `call` fills the host's structure when it returns 0.
unsafe fn translated(out: *mut Stat, call: impl FnOnce(*mut libc::stat) -> c_int) -> c_int {
    let mut host = MaybeUninit::uninit();
    let result = errno(call(host.as_mut_ptr()));
    if result == 0 {
        // SAFETY: `call` said that it has filled the structure.
        let host = unsafe { host.assume_init() };
        // SAFETY: the caller's structure, writable and of this layout.
        unsafe { out.write(Stat::of(&host)) };
    }
    result
}

#[unsafe(export_name = "illumos_stat")]
unsafe extern "C" fn stat(path: *const c_char, out: *mut Stat) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { crate::path::is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the path is the caller's NUL-terminated string.
    if streams::serves(unsafe { CStr::from_ptr(path) }) {
        // SAFETY: the caller's structure, writable, perhaps uninitialised.
        unsafe { out.write(Stat::stream()) };
        return 0;
    }
    // SAFETY: the path is the caller's NUL-terminated string, the structure the host's.
    let call = |host| unsafe { libc::stat(path, host) };
    // SAFETY: `out` is as the caller promises by the prototype, and the host fills on 0.
    unsafe { translated(out, call) }
}

#[unsafe(export_name = "illumos_lstat")]
unsafe extern "C" fn lstat(path: *const c_char, out: *mut Stat) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { crate::path::is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the path is the caller's NUL-terminated string, the structure the host's.
    let call = |host| unsafe { libc::lstat(path, host) };
    // SAFETY: `out` is as the caller promises by the prototype, and the host fills on 0.
    unsafe { translated(out, call) }
}

#[unsafe(export_name = "illumos_fstat")]
unsafe extern "C" fn fstat(fd: c_int, out: *mut Stat) -> c_int {
    if streams::owns(fd) {
        // SAFETY: the caller's structure, writable, perhaps uninitialised.
        unsafe { out.write(Stat::stream()) };
        return 0;
    }
    // SAFETY: a number, and the host's structure.
    let call = |host| unsafe { libc::fstat(fd, host) };
    // SAFETY: `out` is as the caller promises by the prototype, and the host fills on 0.
    unsafe { translated(out, call) }
}

#[unsafe(export_name = "illumos_fstatat")]
unsafe extern "C" fn fstatat(at: c_int, path: *const c_char, out: *mut Stat, flags: c_int) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { crate::path::is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the path is the caller's NUL-terminated string, the structure the host's.
    let call = |host| unsafe { libc::fstatat(directory(at), path, host, AT_FLAGS.to_host(flags)) };
    // SAFETY: `out` is as the caller promises by the prototype, and the host fills on 0.
    unsafe { translated(out, call) }
}

#[cfg(test)]
mod tests {
    use super::{Stat, device, major, minor};
    use std::mem::offset_of;

    #[test]
    fn stat_lies_as_in_the_header() {
        assert_eq!(offset_of!(Stat, mode), 16);
        assert_eq!(offset_of!(Stat, rdev), 32);
        assert_eq!(offset_of!(Stat, size), 40);
        assert_eq!(offset_of!(Stat, accessed), 48);
        assert_eq!(offset_of!(Stat, blksize), 96);
        assert_eq!(offset_of!(Stat, blocks), 104);
        assert_eq!(offset_of!(Stat, fstype), 112);
    }

    #[test]
    fn a_device_number_is_two_halves() {
        assert_eq!(device(1, 2), 0x1_0000_0002);
        assert_eq!((major(1, 0x1_0000_0002), minor(1, 0x1_0000_0002)), (1, 2));
    }
}

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
        return fail(ENAMETOOLONG);
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

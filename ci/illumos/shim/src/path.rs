//! Names of files: `unistd.h`, `sys/stat.h`, `stdio.h`, `stdlib.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{ENAMETOOLONG, errno, fail};
use crate::file::OPEN_FLAGS;
use crate::translate::Flags;
use libc::{gid_t, mode_t, timespec, uid_t};
use std::ffi::{c_char, c_int, c_long};

/// `sys/fcntl.h`: the working directory, where a directory's descriptor is expected.
const AT_FDCWD: c_int = 0xffd1_9553_u32.cast_signed();
/// `sys/fcntl.h`. The host has 0x200 for two of them; no call takes both.
pub(crate) const AT_FLAGS: Flags = Flags {
    what: "flag of an *at function",
    pairs: &[
        (0x1000, libc::AT_SYMLINK_NOFOLLOW),
        (0x2000, libc::AT_SYMLINK_FOLLOW),
        (0x1, libc::AT_REMOVEDIR),
        (0x4, libc::AT_EACCESS),
    ],
};
/// `MAXPATHLEN` of `sys/param.h`, `PATH_MAX` of `limits.h`: bytes of a name, with its NUL. The host has four times that.
const PATH_MAX: usize = 1024;

/// Is a name longer than the kernel takes?
///
/// # Safety
/// `path` is null or a NUL-terminated string.
pub(crate) unsafe fn is_too_long(path: *const c_char) -> bool {
    // SAFETY: as the caller promises; no more is read than a byte beyond the limit.
    !path.is_null() && unsafe { libc::strnlen(path, PATH_MAX) } == PATH_MAX
}

/// An argument of a function of files' names, which may be one.
pub(crate) trait Argument {
    /// # Safety
    /// A name is null or a NUL-terminated string.
    unsafe fn is_too_long(self) -> bool;
}

impl Argument for *const c_char {
    unsafe fn is_too_long(self) -> bool {
        // SAFETY: as the caller promises.
        unsafe { is_too_long(self) }
    }
}

macro_rules! no_names {
    ($($type:ty)*) => {$(
        impl Argument for $type {
            unsafe fn is_too_long(self) -> bool {
                false
            }
        }
    )*};
}

no_names! { c_int u32 usize libc::off_t *mut c_char }

/// `sys/stat.h`, in the place of nanoseconds.
const UTIMES: [(c_long, c_long); 2] = [(-1, libc::UTIME_NOW), (-2, libc::UTIME_OMIT)];

forward_paths! {
    fn access(path: *const c_char, mode: c_int) -> c_int;
    fn chdir(path: *const c_char) -> c_int;
    fn chmod(path: *const c_char, mode: mode_t) -> c_int;
    fn chown(path: *const c_char, user: uid_t, group: gid_t) -> c_int;
    fn lchown(path: *const c_char, user: uid_t, group: gid_t) -> c_int;
    fn chroot(path: *const c_char) -> c_int;
    fn link(from: *const c_char, to: *const c_char) -> c_int;
    fn symlink(from: *const c_char, to: *const c_char) -> c_int;
    fn readlink(path: *const c_char, buffer: *mut c_char, length: usize) -> isize;
    fn realpath(path: *const c_char, buffer: *mut c_char) -> *mut c_char;
    fn rename(from: *const c_char, to: *const c_char) -> c_int;
    fn unlink(path: *const c_char) -> c_int;
    fn remove(path: *const c_char) -> c_int;
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int;
    fn mkfifo(path: *const c_char, mode: mode_t) -> c_int;
    fn rmdir(path: *const c_char) -> c_int;
    fn truncate(path: *const c_char, length: libc::off_t) -> c_int;
}

forward! { errno:
    fn fchdir(fd: c_int) -> c_int;
    fn fchmod(fd: c_int, mode: mode_t) -> c_int;
    fn fchown(fd: c_int, user: uid_t, group: gid_t) -> c_int;
    fn getcwd(buffer: *mut c_char, length: usize) -> *mut c_char;
    fn mkstemp(template: *mut c_char) -> c_int;
    fn mkdtemp(template: *mut c_char) -> *mut c_char;
}

forward! { same:
    fn umask(mask: mode_t) -> mode_t;
}

/// The host's descriptor for an *at function's first argument.
pub(crate) fn directory(at: c_int) -> c_int {
    if at == AT_FDCWD { libc::AT_FDCWD } else { at }
}

#[unsafe(export_name = "illumos_faccessat")]
unsafe extern "C" fn faccessat(at: c_int, path: *const c_char, mode: c_int, flags: c_int) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    errno(unsafe { libc::faccessat(directory(at), path, mode, AT_FLAGS.to_host(flags)) })
}

#[unsafe(export_name = "illumos_linkat")]
unsafe extern "C" fn linkat(
    at: c_int,
    from: *const c_char,
    to_at: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(from) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(to) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's paths are NUL-terminated strings that live through the call.
    errno(unsafe { libc::linkat(directory(at), from, directory(to_at), to, AT_FLAGS.to_host(flags)) })
}

#[unsafe(export_name = "illumos_unlinkat")]
unsafe extern "C" fn unlinkat(at: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    errno(unsafe { libc::unlinkat(directory(at), path, AT_FLAGS.to_host(flags)) })
}

#[unsafe(export_name = "illumos_mkdirat")]
unsafe extern "C" fn mkdirat(at: c_int, path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    errno(unsafe { libc::mkdirat(directory(at), path, mode) })
}

#[unsafe(export_name = "illumos_readlinkat")]
unsafe extern "C" fn readlinkat(at: c_int, path: *const c_char, buffer: *mut c_char, length: usize) -> isize {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's NUL-terminated path, and buffer of `length` writable bytes.
    errno(unsafe { libc::readlinkat(directory(at), path, buffer, length) })
}

#[unsafe(export_name = "illumos_symlinkat")]
unsafe extern "C" fn symlinkat(from: *const c_char, at: c_int, to: *const c_char) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(from) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's paths are NUL-terminated strings that live through the call.
    errno(unsafe { libc::symlinkat(from, directory(at), to) })
}

#[unsafe(export_name = "illumos_fchmodat")]
unsafe extern "C" fn fchmodat(at: c_int, path: *const c_char, mode: mode_t, flags: c_int) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    errno(unsafe { libc::fchmodat(directory(at), path, mode, AT_FLAGS.to_host(flags)) })
}

#[unsafe(export_name = "illumos_renameat")]
unsafe extern "C" fn renameat(at: c_int, from: *const c_char, to_at: c_int, to: *const c_char) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(from) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(to) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's paths are NUL-terminated strings that live through the call.
    errno(unsafe { libc::renameat(directory(at), from, directory(to_at), to) })
}

#[unsafe(export_name = "illumos_mkostemp")]
unsafe extern "C" fn mkostemp(template: *mut c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's template is a writable, NUL-terminated string.
    errno(unsafe { libc::mkostemp(template, OPEN_FLAGS.to_host(flags)) })
}

/// The two times with the host's marks for "now" and "leave it".
fn host_times(times: &[timespec; 2]) -> [timespec; 2] {
    times.map(|time| timespec {
        tv_nsec: UTIMES.iter().find(|pair| pair.0 == time.tv_nsec).map_or(time.tv_nsec, |pair| pair.1),
        ..time
    })
}

#[unsafe(export_name = "illumos_futimens")]
unsafe extern "C" fn futimens(fd: c_int, times: *const [timespec; 2]) -> c_int {
    // SAFETY: the caller's pointer is null or to two `struct timespec`, which are the host's (two 64-bit numbers).
    let host = unsafe { times.as_ref() }.map(host_times);
    let host = host.as_ref().map_or(std::ptr::null(), |times| times.as_ptr());
    // SAFETY: null or the two times on this stack.
    errno(unsafe { libc::futimens(fd, host) })
}

#[unsafe(export_name = "illumos_utimensat")]
unsafe extern "C" fn utimensat(
    at: c_int,
    path: *const c_char,
    times: *const [timespec; 2],
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: as in futimens.
    let host = unsafe { times.as_ref() }.map(host_times);
    let host = host.as_ref().map_or(std::ptr::null(), |times| times.as_ptr());
    // SAFETY: the caller's path is a NUL-terminated string, the times are null or on this stack.
    errno(unsafe { libc::utimensat(directory(at), path, host, AT_FLAGS.to_host(flags)) })
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    /// Row O12.
    #[test]
    fn a_name_has_1023_bytes_at_most() {
        for (length, errno) in [(1023, 2), (1024, 78), (4000, 78)] {
            let name = CString::new("a/".repeat(length / 2) + &"a".repeat(length % 2)).unwrap();
            // SAFETY: a NUL-terminated string.
            let result = unsafe { super::access(name.as_ptr(), 0) };
            // SAFETY: this thread's number.
            assert_eq!((result, unsafe { crate::errno::location().read() }), (-1, errno), "{length}");
        }
    }
}

//! Users and groups: `unistd.h`, `pwd.h`, `grp.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{errno, number};
use libc::{gid_t, uid_t};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

/// `struct passwd` of `pwd.h`: two members more than the host's.
#[repr(C)]
struct User {
    name: *mut c_char,
    password: *mut c_char,
    uid: uid_t,
    gid: gid_t,
    age: *mut c_char,
    comment: *mut c_char,
    gecos: *mut c_char,
    directory: *mut c_char,
    shell: *mut c_char,
}
const _: () = assert!(size_of::<User>() == 64);

forward! { same:
    fn getuid() -> uid_t;
    fn geteuid() -> uid_t;
    fn getgid() -> gid_t;
    fn getegid() -> gid_t;
}

forward! { errno:
    fn setuid(user: uid_t) -> c_int;
    fn seteuid(user: uid_t) -> c_int;
    fn setgid(group: gid_t) -> c_int;
    fn setegid(group: gid_t) -> c_int;
    fn getgroups(most: c_int, groups: *mut gid_t) -> c_int;
}

#[unsafe(export_name = "illumos_setgroups")]
unsafe extern "C" fn setgroups(count: c_int, groups: *const gid_t) -> c_int {
    // SAFETY: the caller's array of `count` groups.
    errno(unsafe { libc::setgroups(usize::try_from(count).unwrap_or(usize::MAX), groups) })
}

#[unsafe(export_name = "illumos___posix_getpwuid_r")]
unsafe extern "C" fn getpwuid_r(
    uid: uid_t,
    user: *mut User,
    buffer: *mut c_char,
    length: usize,
    found: *mut *mut User,
) -> c_int {
    let (mut host, mut host_found) = (MaybeUninit::uninit(), std::ptr::null_mut());
    // SAFETY: places of this stack, and the caller's buffer of `length` writable bytes.
    let result = unsafe { libc::getpwuid_r(uid, host.as_mut_ptr(), buffer, length, &raw mut host_found) };
    // SAFETY: null, or the structure above, filled.
    let filled = unsafe { host_found.as_ref() };
    if let Some(host) = filled {
        let translated = User {
            name: host.pw_name,
            password: host.pw_passwd,
            uid: host.pw_uid,
            gid: host.pw_gid,
            age: host.pw_gecos,
            comment: host.pw_gecos,
            gecos: host.pw_gecos,
            directory: host.pw_dir,
            shell: host.pw_shell,
        };
        // SAFETY: the caller's structure, writable, perhaps uninitialised.
        unsafe { user.write(translated) };
    }
    let answer = if filled.is_some() { user } else { std::ptr::null_mut() };
    // SAFETY: the caller's place for an address.
    unsafe { found.write(answer) };
    number(result)
}

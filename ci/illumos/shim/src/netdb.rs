//! Names of hosts, users and groups, and numbers of interfaces: `netdb.h`, `pwd.h`, `grp.h`, `net/if.h`. The model's
//! interfaces come before the host's own.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{errno, number, take_over};
use crate::socket::TYPES;
use crate::socket_address::{Address, FAMILIES};
use crate::streams;
use crate::translate::{Flags, Numbers};
use libc::{gid_t, socklen_t, uid_t};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::mem::MaybeUninit;
use std::ptr;

/// `struct addrinfo`, 64 bit: the host has name and address the other way round.
#[repr(C)]
struct Information {
    flags: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
    address_length: socklen_t,
    name: *mut c_char,
    address: *mut [u8; ADDRESS_ROOM],
    next: *mut Self,
}
const _: () = assert!(size_of::<Information>() == 48);
const ADDRESS_ROOM: usize = 32;

/// `netdb.h`.
const QUERY_FLAGS: Flags = Flags {
    what: "getaddrinfo flag",
    pairs: &[
        (0x01, libc::AI_V4MAPPED),
        (0x02, libc::AI_ALL),
        (0x04, libc::AI_ADDRCONFIG),
        (0x08, libc::AI_PASSIVE),
        (0x10, libc::AI_CANONNAME),
        (0x20, libc::AI_NUMERICHOST),
        (0x40, libc::AI_NUMERICSERV),
    ],
};
/// `netdb.h`.
const ERRORS: Numbers = Numbers {
    what: "getaddrinfo error",
    pairs: &[
        (0, 0),
        (2, libc::EAI_AGAIN),
        (3, libc::EAI_BADFLAGS),
        (4, libc::EAI_FAIL),
        (5, libc::EAI_FAMILY),
        (6, libc::EAI_MEMORY),
        (7, libc::EAI_NODATA),
        (8, libc::EAI_NONAME),
        (9, libc::EAI_SERVICE),
        (10, libc::EAI_SOCKTYPE),
        (11, libc::EAI_SYSTEM),
        (12, libc::EAI_OVERFLOW),
    ],
};
const EAI_FAIL: c_int = 4;

fn host_query(query: &Information) -> libc::addrinfo {
    // SAFETY: plain numbers and addresses, for which zero is a value.
    let mut host = unsafe { MaybeUninit::<libc::addrinfo>::zeroed().assume_init() };
    host.ai_flags = QUERY_FLAGS.to_host(query.flags);
    host.ai_family = FAMILIES.to_host(query.family);
    host.ai_socktype = if query.kind == 0 { 0 } else { TYPES.to_host(query.kind) };
    host.ai_protocol = query.protocol;
    host
}

/// # Safety
/// `host` is an entry of getaddrinfo's, not freed yet.
unsafe fn illumos_entry(host: &libc::addrinfo, next: *mut Information) -> *mut Information {
    let mut found = Address::room();
    // SAFETY: the host's address of that length, into room for any.
    unsafe {
        ptr::copy_nonoverlapping(
            host.ai_addr.cast::<u8>(),
            found.as_mut_ptr().cast(),
            host.ai_addrlen as usize,
        )
    };
    found.set_len(host.ai_addrlen);
    let (mut address, mut address_length) = (Box::new([0; ADDRESS_ROOM]), 32);
    // SAFETY: room for 32 bytes, as the length says; the longest IP address.
    unsafe {
        found.copy_out(
            ptr::from_mut::<[u8; ADDRESS_ROOM]>(&mut address).cast::<c_void>(),
            &raw mut address_length,
        )
    };
    Box::into_raw(Box::new(Information {
        flags: QUERY_FLAGS.to_illumos(host.ai_flags),
        family: FAMILIES.to_illumos(host.ai_family),
        kind: if host.ai_socktype == 0 { 0 } else { TYPES.to_illumos(host.ai_socktype) },
        protocol: host.ai_protocol,
        address_length,
        name: ptr::null_mut(),
        address: Box::into_raw(address),
        next,
    }))
}

#[unsafe(export_name = "illumos___xnet_getaddrinfo")]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    query: *const Information,
    found: *mut *mut Information,
) -> c_int {
    // SAFETY: null or the caller's structure.
    let query = unsafe { query.as_ref() }.map(host_query);
    let query = query.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mut host = ptr::null_mut();
    // SAFETY: the caller's strings or null, null or a query of this stack, and a place for the answer.
    let result = unsafe { libc::getaddrinfo(node, service, query, &raw mut host) };
    if result != 0 {
        take_over();
        return ERRORS.find_illumos(result).unwrap_or(EAI_FAIL);
    }
    let mut entries = Vec::new();
    let mut next = host;
    // SAFETY: null at the end, else an entry of the host's list.
    while let Some(entry) = unsafe { next.as_ref() } {
        entries.push(entry);
        next = entry.ai_next;
    }
    // SAFETY: entries of the list, freed below.
    let list =
        entries.iter().rev().fold(ptr::null_mut(), |next, entry| unsafe { illumos_entry(entry, next) });
    // SAFETY: the host's list, not used again.
    unsafe { libc::freeaddrinfo(host) };
    // SAFETY: the caller's place for an address.
    unsafe { found.write(list) };
    0
}

#[unsafe(export_name = "illumos_freeaddrinfo")]
unsafe extern "C" fn freeaddrinfo(list: *mut Information) {
    let mut next = list;
    while !next.is_null() {
        // SAFETY: a box of getaddrinfo's, which the caller gives back.
        let entry = unsafe { Box::from_raw(next) };
        // SAFETY: the box that belongs to it.
        drop(unsafe { Box::from_raw(entry.address) });
        if !entry.name.is_null() {
            // SAFETY: the string that belongs to it.
            drop(unsafe { CString::from_raw(entry.name) });
        }
        next = entry.next;
    }
}

#[unsafe(export_name = "illumos_gai_strerror")]
extern "C" fn gai_strerror(illumos: c_int) -> *const c_char {
    // SAFETY: takes a number, and the host has a text for any.
    unsafe { libc::gai_strerror(ERRORS.find_host(illumos).unwrap_or(libc::EAI_FAIL)) }
}

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
    let (mut host, mut host_found) = (MaybeUninit::uninit(), ptr::null_mut());
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
    let answer = if filled.is_some() { user } else { ptr::null_mut() };
    // SAFETY: the caller's place for an address.
    unsafe { found.write(answer) };
    number(result)
}

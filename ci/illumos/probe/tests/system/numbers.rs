//! The libc crate's idea of illumos against `illumos-abi.txt`, which a C compiler made from illumos' headers.
#![cfg(any(target_os = "illumos", target_os = "solaris"))]

use std::collections::BTreeMap;
use std::mem::{align_of, offset_of, size_of};

/// `illumos-abi.txt`: a name and a number a line.
fn facts() -> BTreeMap<&'static str, i64> {
    include_str!("../../../../../tests/streams-model/data/illumos-abi.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let number = match value.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(digits, 16),
                None => value.parse(),
            };
            (name, number.unwrap())
        })
        .collect()
}

/// Compares all, reports all that differ.
fn agree(found: &[(&str, i64)]) {
    let facts = facts();
    let wrong: Vec<_> = found
        .iter()
        .map(|&(name, value)| {
            (name, value, *facts.get(name).unwrap_or_else(|| panic!("illumos-abi.txt has no {name}")))
        })
        .filter(|(_, value, fact)| value != fact)
        .collect();
    assert!(wrong.is_empty(), "name, the libc crate, the headers: {wrong:?}");
}

macro_rules! named {
    ($($name:ident)*) => { &[$((stringify!($name), i64::from(libc::$name))),*] };
}

#[test]
fn errors_flags_and_families() {
    agree(named! {
        EPERM ENOENT EINTR EIO ENXIO EBADF EAGAIN EWOULDBLOCK ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV EINVAL
        EMFILE ENOTTY ENOSPC ERANGE EBADMSG ENOSR ENOSTR ENODATA ETIME EPROTO ECOMM ENOTSUP EOPNOTSUPP EALREADY
        EINPROGRESS EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT ENETDOWN ENOBUFS ETIMEDOUT EOVERFLOW ENAMETOOLONG
        O_RDONLY O_WRONLY O_RDWR O_NDELAY O_NONBLOCK O_EXCL O_CLOEXEC O_NOCTTY
        F_GETFD F_SETFD F_GETFL F_SETFL FD_CLOEXEC
        POLLIN POLLPRI POLLOUT POLLRDNORM POLLWRNORM POLLRDBAND POLLWRBAND POLLERR POLLHUP POLLNVAL
        AF_INET AF_INET6 IFF_UP IFF_POINTOPOINT IFF_RUNNING
    });
}

/// On Solaris they are other numbers.
#[cfg(target_os = "illumos")]
#[test]
fn what_only_illumos_numbers_so() {
    agree(named! { F_DUPFD_CLOEXEC POLLRDHUP });
}

#[test]
fn requests_of_streams() {
    // an int on illumos, where some have the highest bit set; the table shows them unsigned
    let unsigned = |name, value: libc::c_int| (name, i64::from(value.cast_unsigned()));
    agree(&[
        unsigned("I_STR", libc::I_STR),
        unsigned("I_PUSH", libc::I_PUSH),
        unsigned("I_POP", libc::I_POP),
        unsigned("I_LOOK", libc::I_LOOK),
        unsigned("I_LINK", libc::I_LINK),
        unsigned("I_UNLINK", libc::I_UNLINK),
        unsigned("I_PLINK", libc::I_PLINK),
        unsigned("I_PUNLINK", libc::I_PUNLINK),
        unsigned("I_SRDOPT", libc::I_SRDOPT),
        unsigned("FIONREAD", libc::FIONREAD),
        unsigned("FIONBIO", libc::FIONBIO),
    ]);
}

macro_rules! size {
    ($($name:ident)*) => {
        &[$((concat!("sizeof(struct ", stringify!($name), ")"), size_of::<libc::$name>() as i64)),*]
    };
}

macro_rules! offset {
    ($($name:ident $member:ident)*) => {
        &[$((
            concat!("offsetof(struct ", stringify!($name), ", ", stringify!($member), ")"),
            offset_of!(libc::$name, $member) as i64,
        )),*]
    };
}

#[test]
fn structures_lie_as_in_the_headers() {
    agree(size! { sockaddr_storage sockaddr sockaddr_in sockaddr_in6 pollfd iovec });
    agree(offset! {
        sockaddr_storage ss_family
        sockaddr_in sin_family sockaddr_in sin_port sockaddr_in sin_addr
        sockaddr_in6 sin6_addr sockaddr_in6 sin6_scope_id
        pollfd fd pollfd events pollfd revents
    });
    agree(&[("alignof(struct sockaddr_storage)", align_of::<libc::sockaddr_storage>() as i64)]);
}

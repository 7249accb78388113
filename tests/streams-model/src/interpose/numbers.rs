//! Between the numbers of the host and those of illumos.

use crate::abi::{self, Errno};

/// Error numbers that differ, as (illumos, host). The rest agrees.
const ERRNOS: &[(Errno, i32)] = &[
    (Errno::ENOTSUP, libc::EOPNOTSUPP),
    (Errno::EOPNOTSUPP, libc::EOPNOTSUPP),
    (Errno::ENOSTR, libc::ENOSTR),
    (Errno::ENODATA, libc::ENODATA),
    (Errno::ETIME, libc::ETIME),
    (Errno::ENOSR, libc::ENOSR),
    (Errno::ECOMM, libc::ECOMM),
    (Errno::EPROTO, libc::EPROTO),
    (Errno::EBADMSG, libc::EBADMSG),
    (Errno::ENAMETOOLONG, libc::ENAMETOOLONG),
    (Errno::EOVERFLOW, libc::EOVERFLOW),
    (Errno::EAFNOSUPPORT, libc::EAFNOSUPPORT),
    (Errno::EADDRINUSE, libc::EADDRINUSE),
    (Errno::EADDRNOTAVAIL, libc::EADDRNOTAVAIL),
    (Errno::ENETDOWN, libc::ENETDOWN),
    (Errno::ENOBUFS, libc::ENOBUFS),
    (Errno::ETIMEDOUT, libc::ETIMEDOUT),
    (Errno::EALREADY, libc::EALREADY),
    (Errno::EINPROGRESS, libc::EINPROGRESS),
];

/// The host's number of an error.
pub fn errno_to_host(errno: Errno) -> i32 {
    ERRNOS.iter().find(|(known, _)| *known == errno).map_or(errno.0, |(_, host)| *host)
}

/// The error of a host's number.
pub(crate) fn errno_of_host(number: i32) -> Errno {
    ERRNOS.iter().find(|(_, host)| *host == number).map_or(Errno(number), |(known, _)| *known)
}

/// Flags that differ, as (illumos, host).
const FLAGS: &[(i32, i32)] = &[(abi::O_NONBLOCK, libc::O_NONBLOCK), (abi::O_CLOEXEC, libc::O_CLOEXEC)];

/// The access mode is the same on both.
const ACCESS_MODE: i32 = 3;

/// illumos' number of the host's open flags; those the model does not know are dropped.
pub fn flags_of_host(flags: i32) -> i32 {
    FLAGS
        .iter()
        .fold(flags & ACCESS_MODE, |all, (ours, host)| if flags & host != 0 { all | ours } else { all })
}

/// The host's number of illumos' open flags.
pub fn flags_to_host(flags: i32) -> i32 {
    FLAGS
        .iter()
        .fold(flags & ACCESS_MODE, |all, (ours, host)| if flags & ours != 0 { all | host } else { all })
}

/// illumos' number of the host's fcntl command.
pub fn command_of_host(command: i32) -> i32 {
    match command {
        libc::F_DUPFD_CLOEXEC => abi::F_DUPFD_CLOEXEC,
        same => same,
    }
}

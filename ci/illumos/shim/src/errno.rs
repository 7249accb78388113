//! Error numbers: `sys/errno.h`, and `___errno`, by which illumos' `errno` is reached.

// UNSAFETY: hands out the address of this thread's number, and exports C functions.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::translate::Numbers;
use std::cell::Cell;
use std::ffi::c_int;
use std::io;

pub(crate) const EINTR: c_int = 4;
/// What an error becomes, too, that illumos has no number for (`EUCLEAN`, say).
pub(crate) const EIO: c_int = 5;
pub(crate) const ENXIO: c_int = 6;
pub(crate) const EAGAIN: c_int = 11;
pub(crate) const EINVAL: c_int = 22;
pub(crate) const ENOTTY: c_int = 25;
pub(crate) const ERANGE: c_int = 34;
pub(crate) const ENAMETOOLONG: c_int = 78;
pub(crate) const EDESTADDRREQ: c_int = 96;
pub(crate) const EMSGSIZE: c_int = 97;
pub(crate) const ECONNRESET: c_int = 131;
pub(crate) const ENOTCONN: c_int = 134;

/// `sys/errno.h`. The first 34 agree by descent from one Unix, the others do not.
const ERRNOS: Numbers = Numbers {
    what: "errno",
    pairs: &[
        (1, libc::EPERM),
        (2, libc::ENOENT),
        (3, libc::ESRCH),
        (4, libc::EINTR),
        (5, libc::EIO),
        (6, libc::ENXIO),
        (7, libc::E2BIG),
        (8, libc::ENOEXEC),
        (9, libc::EBADF),
        (10, libc::ECHILD),
        (11, libc::EAGAIN),
        (12, libc::ENOMEM),
        (13, libc::EACCES),
        (14, libc::EFAULT),
        (15, libc::ENOTBLK),
        (16, libc::EBUSY),
        (17, libc::EEXIST),
        (18, libc::EXDEV),
        (19, libc::ENODEV),
        (20, libc::ENOTDIR),
        (21, libc::EISDIR),
        (22, libc::EINVAL),
        (23, libc::ENFILE),
        (24, libc::EMFILE),
        (25, libc::ENOTTY),
        (26, libc::ETXTBSY),
        (27, libc::EFBIG),
        (28, libc::ENOSPC),
        (29, libc::ESPIPE),
        (30, libc::EROFS),
        (31, libc::EMLINK),
        (32, libc::EPIPE),
        (33, libc::EDOM),
        (34, libc::ERANGE),
        (35, libc::ENOMSG),
        (36, libc::EIDRM),
        (37, libc::ECHRNG),
        (38, libc::EL2NSYNC),
        (39, libc::EL3HLT),
        (40, libc::EL3RST),
        (41, libc::ELNRNG),
        (42, libc::EUNATCH),
        (43, libc::ENOCSI),
        (44, libc::EL2HLT),
        (45, libc::EDEADLK),
        (46, libc::ENOLCK),
        (47, libc::ECANCELED),
        (49, libc::EDQUOT),
        (50, libc::EBADE),
        (51, libc::EBADR),
        (52, libc::EXFULL),
        (53, libc::ENOANO),
        (54, libc::EBADRQC),
        (55, libc::EBADSLT),
        (57, libc::EBFONT),
        (58, libc::EOWNERDEAD),
        (59, libc::ENOTRECOVERABLE),
        (60, libc::ENOSTR),
        (61, libc::ENODATA),
        (62, libc::ETIME),
        (63, libc::ENOSR),
        (64, libc::ENONET),
        (65, libc::ENOPKG),
        (66, libc::EREMOTE),
        (67, libc::ENOLINK),
        (68, libc::EADV),
        (69, libc::ESRMNT),
        (70, libc::ECOMM),
        (71, libc::EPROTO),
        (74, libc::EMULTIHOP),
        (77, libc::EBADMSG),
        (78, libc::ENAMETOOLONG),
        (79, libc::EOVERFLOW),
        (80, libc::ENOTUNIQ),
        (81, libc::EBADFD),
        (82, libc::EREMCHG),
        (83, libc::ELIBACC),
        (84, libc::ELIBBAD),
        (85, libc::ELIBSCN),
        (86, libc::ELIBMAX),
        (87, libc::ELIBEXEC),
        (88, libc::EILSEQ),
        (89, libc::ENOSYS),
        (90, libc::ELOOP),
        (91, libc::ERESTART),
        (92, libc::ESTRPIPE),
        (93, libc::ENOTEMPTY),
        (94, libc::EUSERS),
        (95, libc::ENOTSOCK),
        (96, libc::EDESTADDRREQ),
        (97, libc::EMSGSIZE),
        (98, libc::EPROTOTYPE),
        (99, libc::ENOPROTOOPT),
        (120, libc::EPROTONOSUPPORT),
        (121, libc::ESOCKTNOSUPPORT),
        // the host has one number for ENOTSUP (48 on illumos) and EOPNOTSUPP; sockets, which say the latter, say it more
        (122, libc::EOPNOTSUPP),
        (48, libc::ENOTSUP),
        (123, libc::EPFNOSUPPORT),
        (124, libc::EAFNOSUPPORT),
        (125, libc::EADDRINUSE),
        (126, libc::EADDRNOTAVAIL),
        (127, libc::ENETDOWN),
        (128, libc::ENETUNREACH),
        (129, libc::ENETRESET),
        (130, libc::ECONNABORTED),
        (131, libc::ECONNRESET),
        (132, libc::ENOBUFS),
        (133, libc::EISCONN),
        (134, libc::ENOTCONN),
        (143, libc::ESHUTDOWN),
        (144, libc::ETOOMANYREFS),
        (145, libc::ETIMEDOUT),
        (146, libc::ECONNREFUSED),
        (147, libc::EHOSTDOWN),
        (148, libc::EHOSTUNREACH),
        (149, libc::EALREADY),
        (150, libc::EINPROGRESS),
        (151, libc::ESTALE),
        // one number with EDEADLK on the host
        (56, libc::EDEADLOCK),
    ],
};

thread_local! {
    /// illumos' `errno` of this thread. The host's own is another variable, so neither libc disturbs the other.
    static ERRNO: Cell<c_int> = const { Cell::new(0) };
}

#[unsafe(export_name = "illumos____errno")]
pub(crate) extern "C" fn location() -> *mut c_int {
    ERRNO.with(Cell::as_ptr)
}

/// illumos' number for the host's error.
pub(crate) fn to_illumos(host: c_int) -> c_int {
    if host == 0 { 0 } else { ERRNOS.find_illumos(host).unwrap_or(EIO) }
}

/// The host's number for illumos' error, if it has one.
pub(crate) fn to_host(illumos: c_int) -> Option<c_int> {
    ERRNOS.find_host(illumos)
}

/// Sets illumos' `errno`.
pub(crate) fn set(illumos: c_int) {
    ERRNO.set(illumos);
}

/// Sets illumos' `errno` and returns what most calls return with it.
pub(crate) fn fail<T: Outcome>(illumos: c_int) -> T {
    set(illumos);
    T::FAILURE
}

/// Takes over the host's `errno` after a call that failed.
pub(crate) fn take_over() {
    set(to_illumos(io::Error::last_os_error().raw_os_error().unwrap_or(0)));
}

/// A result that has a value for "failed, see `errno`".
pub(crate) trait Outcome: Copy + PartialEq {
    /// That value.
    const FAILURE: Self;
}

impl Outcome for c_int {
    const FAILURE: Self = -1;
}

impl Outcome for isize {
    const FAILURE: Self = -1;
}

impl Outcome for i64 {
    const FAILURE: Self = -1;
}

impl<T> Outcome for *mut T {
    const FAILURE: Self = std::ptr::null_mut();
}

impl<T> Outcome for *const T {
    const FAILURE: Self = std::ptr::null();
}

/// Passes on a result that says by -1 or null that `errno` is set.
pub(crate) fn errno<T: Outcome>(result: T) -> T {
    if result == T::FAILURE {
        take_over();
    }
    result
}

/// Passes on a result that is the error's number, or 0.
pub(crate) fn number(result: c_int) -> c_int {
    to_illumos(result)
}

/// Passes on a result that tells of no error.
pub(crate) fn same<T>(result: T) -> T {
    result
}

#[cfg(test)]
mod tests {
    use super::{EIO, ERRNOS, to_host, to_illumos};
    use std::collections::BTreeSet;
    use std::ffi::CStr;

    /// `sys/errno.h`: 1..=151 with gaps at 75, 76, 100..=119 and 135..=142.
    fn illumos_errnos() -> BTreeSet<i32> {
        let gaps = (75..=76).chain(100..=119).chain(135..=142);
        let gaps: BTreeSet<_> = gaps.collect();
        (1..=151).filter(|number| !gaps.contains(number)).collect()
    }

    #[test]
    fn every_illumos_errno_is_in_the_table_once() {
        let listed: BTreeSet<_> = ERRNOS.pairs.iter().map(|pair| pair.0).collect();
        assert_eq!(listed.len(), ERRNOS.pairs.len());
        // ELOCKUNMAPPED and ENOTACTIVE have no counterpart on Linux
        let missing: Vec<_> = illumos_errnos().difference(&listed).copied().collect();
        assert_eq!(missing, [72, 73]);
        assert!(listed.is_subset(&illumos_errnos()));
    }

    #[test]
    fn illumos_errnos_survive_the_way_there_and_back() {
        for &(illumos, host) in ERRNOS.pairs {
            let expected = match illumos {
                48 => 122, // ENOTSUP is EOPNOTSUPP on Linux
                56 => 45,  // EDEADLOCK is EDEADLK on Linux
                other => other,
            };
            assert_eq!(to_host(illumos), Some(host));
            assert_eq!(to_illumos(host), expected, "errno {illumos}");
        }
    }

    #[test]
    fn host_errnos_survive_the_way_there_and_back() {
        for host in (1..=133).filter(|&host| is_errno_of_the_host(host)) {
            match to_illumos(host) {
                EIO if host != libc::EIO => {
                    assert!(LINUX_ONLY.contains(&host), "errno {host} of the host is lost")
                }
                illumos => assert_eq!(to_host(illumos), Some(host)),
            }
        }
    }

    const LINUX_ONLY: [i32; 15] = [
        libc::EDOTDOT,
        libc::EUCLEAN,
        libc::ENOTNAM,
        libc::ENAVAIL,
        libc::EISNAM,
        libc::EREMOTEIO,
        libc::ENOMEDIUM,
        libc::EMEDIUMTYPE,
        libc::ENOKEY,
        libc::EKEYEXPIRED,
        libc::EKEYREVOKED,
        libc::EKEYREJECTED,
        libc::ERFKILL,
        libc::EHWPOISON,
        0,
    ];

    #[expect(unsafe_code, reason = "asks the host's C library for the text")]
    fn is_errno_of_the_host(number: i32) -> bool {
        // SAFETY: takes a number, returns the address of a static or thread's own string.
        let text = unsafe { libc::strerror(number) };
        // SAFETY: strerror's result is NUL-terminated and lives until this thread's next strerror.
        let text = unsafe { CStr::from_ptr(text) };
        !text.to_bytes().starts_with(b"Unknown")
    }
}

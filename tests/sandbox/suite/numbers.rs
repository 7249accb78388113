//! Names of system calls and requests, and their numbers.

use libc::c_long;

/// A call by its name, or a request of ioctl(2) by `ioctl` and its name.
pub(crate) fn name(call: c_long, request: u64) -> String {
    if call == libc::SYS_ioctl {
        let known = REQUESTS.iter().find(|(_, number)| u64::from(*number as u32) == request & 0xffff_ffff);
        return known.map_or_else(|| format!("ioctl {request:#x}"), |(name, _)| format!("ioctl {name}"));
    }
    let known = CALLS.iter().chain(OLDER).find(|(_, number)| *number == call);
    known.map_or_else(|| format!("call {call}"), |(name, _)| (*name).to_owned())
}

/// The number of a call, and that of the request where it is an ioctl. `None` for a call that this processor has not.
pub(crate) fn number(name: &str) -> Option<(c_long, Option<u32>)> {
    if let Some(request) = name.strip_prefix("ioctl ") {
        let (_, number) = REQUESTS.iter().find(|(known, _)| *known == request)?;
        return Some((libc::SYS_ioctl, Some(*number as u32)));
    }
    CALLS.iter().chain(OLDER).find(|(known, _)| *known == name).map(|(_, number)| (*number, None))
}

macro_rules! calls {
    ($($name:ident: $number:ident,)*) => { &[$((stringify!($name), libc::$number)),*] };
}

const CALLS: &[(&str, c_long)] = calls! {
    brk: SYS_brk, mmap: SYS_mmap, munmap: SYS_munmap, mremap: SYS_mremap, mprotect: SYS_mprotect, madvise: SYS_madvise,
    futex: SYS_futex, read: SYS_read, readv: SYS_readv, write: SYS_write, writev: SYS_writev, close: SYS_close,
    fcntl: SYS_fcntl, openat: SYS_openat, fstat: SYS_fstat, newfstatat: SYS_newfstatat, statx: SYS_statx,
    socket: SYS_socket, sendto: SYS_sendto, recvfrom: SYS_recvfrom, getsockopt: SYS_getsockopt,
    getpeername: SYS_getpeername, readlinkat: SYS_readlinkat, getdents64: SYS_getdents64, getpid: SYS_getpid,
    clock_nanosleep: SYS_clock_nanosleep, statfs: SYS_statfs,
};

/// Calls that newer processors have not.
const OLDER: &[(&str, c_long)] = &[
    #[cfg(target_arch = "x86_64")]
    ("readlink", libc::SYS_readlink),
    #[cfg(target_arch = "x86_64")]
    ("open", libc::SYS_open),
];

macro_rules! requests {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name as libc::Ioctl)),*] };
}

const REQUESTS: &[(&str, libc::Ioctl)] = requests! {
    TUNSETIFF TUNGETIFF TUNSETQUEUE TUNGETVNETHDRSZ TUNSETVNETHDRSZ TUNSETVNETLE TUNSETSNDBUF TUNSETCARRIER
    TUNSETTXFILTER TUNSETFILTEREBPF TUNSETOFFLOAD TUNDETACHFILTER TUNGETDEVNETNS TUNSETOWNER TUNSETGROUP TUNSETPERSIST
    SIOCGSKNS SIOCGIFINDEX SIOCGIFFLAGS SIOCSIFFLAGS SIOCGIFMTU SIOCSIFMTU SIOCGIFHWADDR SIOCSIFHWADDR
    SIOCGIFTXQLEN SIOCSIFTXQLEN SIOCETHTOOL
};

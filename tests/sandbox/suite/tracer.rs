//! System calls under the eyes of a tracer, and their names.
// UNSAFETY: what the kernel says of a system call is a union of C.
#![expect(unsafe_code, reason = "ptrace(2) answers by a union")]

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use libc::c_long;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::sandbox::{CHECK, MARK};

// Runs a scenario in a process of its own, traced or confined.

fn start(role: &str, scenario: &str) -> (Child, Pid) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("TAP_PLUMB_TEST_ROLE", format!("{role} {scenario}")).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = Pid::from_raw(child.id().try_into().unwrap());
    (child, id)
}

fn errors(mut child: Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The calls of a scenario's steps.
pub(crate) fn trace(scenario: &str) -> BTreeSet<String> {
    let (child, id) = start("traced", scenario);
    let mut status = waitpid(id, Some(WaitPidFlag::__WALL)).unwrap();
    assert_eq!(status, WaitStatus::Stopped(id, Signal::SIGSTOP), "{scenario}: {}", errors(child));
    ptrace::setoptions(id, ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL)
        .unwrap();
    let (mut calls, mut inside) = (BTreeSet::new(), false);
    ptrace::syscall(id, None).unwrap();
    loop {
        status = waitpid(id, Some(WaitPidFlag::__WALL)).unwrap();
        let signal = match status {
            WaitStatus::PtraceSyscall(_) => {
                match entered(id) {
                    Some((MARK, _)) => inside = !inside,
                    Some((call, second)) if cfg!(debug_assertions) && (call, second as u32) == CHECK => {}
                    Some((call, request)) if inside => {
                        calls.insert(name(call, request));
                    }
                    _ => {}
                }
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            _ => break,
        };
        ptrace::syscall(id, signal).unwrap();
    }
    assert_eq!(status, WaitStatus::Exited(id, 0), "{scenario}: {}", errors(child));
    calls
}

/// The number of the call that is being entered, and its second argument.
fn entered(id: Pid) -> Option<(c_long, u64)> {
    let info = ptrace::syscall_info(id).unwrap();
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` says that the kernel has filled in this member of the union, which holds integers only and is owned by this
    // frame.
    let entry = unsafe { info.u.entry };
    Some((entry.nr.try_into().unwrap(), entry.args[1]))
}

/// Runs a scenario in the sandbox of its rows.
pub(crate) fn confine(scenario: &str) {
    let (mut child, _) = start("confined", scenario);
    let status = child.wait().unwrap();
    assert!(status.success(), "{scenario}, which its sandbox ended: {status}\n{}", errors(child));
}

// Names of system calls and requests, and their numbers.

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

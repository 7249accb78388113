//! Runs a scenario in a process of its own, traced or confined.

// UNSAFETY: what the kernel says of a system call is a union of C.
#![expect(unsafe_code, reason = "ptrace(2) answers by a union")]

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::numbers;
use super::sandbox::{CHECK, MARK};

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
                        calls.insert(numbers::name(call, request));
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
fn entered(id: Pid) -> Option<(libc::c_long, u64)> {
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

//! Threads in which system calls fail, or may not be made.

use std::collections::BTreeMap;
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

// Makes one system call fail, in one thread: what no configuration of a machine can bring about.

/// Runs `action` in a thread of its own (in the caller's namespaces) where `call` fails with `errno`; with `request`, only
/// the ioctl of that number.
pub(crate) fn with_refused<T: Send>(
    call: i64,
    request: Option<libc::Ioctl>,
    errno: i32,
    action: impl FnOnce() -> T + Send,
) -> T {
    let rules = request.map(|number| vec![is(1, SeccompCmpOp::Eq, u64::from(number as u32))]);
    within(&filter(call, rules, errno), action)
}

/// Runs `action` likewise where every ioctl fails by `EPERM` but those of the list.
pub(crate) fn with_requests_only<T: Send>(allowed: &[libc::Ioctl], action: impl FnOnce() -> T + Send) -> T {
    let others = allowed.iter().map(|number| is(1, SeccompCmpOp::Ne, u64::from(*number as u32)));
    within(&filter(libc::SYS_ioctl, Some(others.collect()), libc::EPERM), action)
}

/// Runs `action` likewise where the ioctl `request` fails with `errno` when its argument, a number, has this bit.
pub(crate) fn with_bit_refused<T: Send>(
    request: libc::Ioctl,
    bit: u32,
    errno: i32,
    action: impl FnOnce() -> T + Send,
) -> T {
    let bit = u64::from(bit);
    let conditions =
        vec![is(1, SeccompCmpOp::Eq, u64::from(request as u32)), is(2, SeccompCmpOp::MaskedEq(bit), bit)];
    within(&filter(libc::SYS_ioctl, Some(conditions), errno), action)
}

fn within<T: Send>(filter: &BpfProgram, action: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(filter).unwrap();
            action()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn is(argument: u8, operation: SeccompCmpOp, value: u64) -> SeccompCondition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value).unwrap()
}

/// Refuses `call` where all of `conditions` hold.
fn filter(call: i64, conditions: Option<Vec<SeccompCondition>>, errno: i32) -> BpfProgram {
    let rules = conditions.into_iter().map(|all| SeccompRule::new(all).unwrap());
    let rules = BTreeMap::from([(call, rules.collect())]);
    let refuse = SeccompAction::Errno(u32::try_from(errno).unwrap());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture).unwrap().try_into().unwrap()
}

// A thread that may make few system calls, as in a sandbox.

/// Runs `action` in a thread of its own that may make `calls`, and what a thread needs to end; any other call kills the
/// process, by `SIGSYS`.
pub(crate) fn with_only<T: Send>(calls: &[i64], action: impl FnOnce() -> T + Send) -> T {
    let end = [
        libc::SYS_futex,
        libc::SYS_munmap,
        libc::SYS_madvise,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigprocmask,
        libc::SYS_exit,
    ];
    let rules = calls.iter().chain(&end).map(|call| (*call, Vec::new())).collect();
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&program).unwrap();
            action()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

//! The place where a step is taken: under the eyes of a tracer, or in a sandbox that allows its row and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use nix::unistd::getppid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::tracer;

/// What a thread of the harness does besides: it ends, hands its result over, and gives its memory back.
const HARNESS: [libc::c_long; 8] = [
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What the standard library does before each `close` where assertions are on: it asks whether the descriptor is open.
pub(crate) const CHECK: (libc::c_long, u32) = (libc::SYS_fcntl, libc::F_GETFD as u32);

/// The call that tells a tracer where a step begins and where it ends; nothing else in this process makes it.
pub(crate) const MARK: libc::c_long = libc::SYS_getppid;

pub(crate) enum Sandbox {
    Traced,
    Confined(BpfProgram),
}

impl Sandbox {
    /// A thread in it that does anything but `allowed` kills the process.
    pub(crate) fn confined(allowed: &BTreeSet<String>) -> Self {
        let mut rules: BTreeMap<_, Vec<SeccompRule>> = HARNESS.map(|call| (call, Vec::new())).into();
        for (call, request) in allowed.iter().filter_map(|name| tracer::number(name)) {
            let rule = request.map(|request| SeccompRule::new(vec![second_is(request)]).unwrap());
            rules.entry(call).or_default().extend(rule);
        }
        if cfg!(debug_assertions) {
            let check = SeccompRule::new(vec![second_is(CHECK.1)]).unwrap();
            rules.entry(CHECK.0).or_insert_with(|| vec![check]);
        }
        let architecture = std::env::consts::ARCH.try_into().unwrap();
        let filter =
            SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture);
        Self::Confined(filter.unwrap().try_into().unwrap())
    }

    /// Takes a step.
    pub(crate) fn within<T: Send>(&self, step: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Traced => {
                getppid();
                let outcome = step();
                getppid();
                outcome
            }
            Self::Confined(filter) => thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    apply_filter(filter).unwrap();
                    step()
                });
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        }
    }
}

/// Compares the second argument.
fn second_is(number: u32) -> SeccompCondition {
    SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(number)).unwrap()
}

//! Makes one system call fail, in one thread: what no configuration of a machine can bring about.

use std::collections::BTreeMap;
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// Runs `action` in a thread of its own (in the caller's namespaces) where `call` fails with `errno`; with `request`, only
/// the ioctl of that number.
pub(crate) fn with_refused<T: Send>(
    call: i64,
    request: Option<libc::Ioctl>,
    errno: i32,
    action: impl FnOnce() -> T + Send,
) -> T {
    let filter = filter(call, request, errno);
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&filter).unwrap();
            action()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn filter(call: i64, request: Option<libc::Ioctl>, errno: i32) -> BpfProgram {
    let rules = request.into_iter().map(|number| {
        let equal =
            SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(number as u32));
        SeccompRule::new(vec![equal.unwrap()]).unwrap()
    });
    let rules = BTreeMap::from([(call, rules.collect())]);
    let refuse = SeccompAction::Errno(u32::try_from(errno).unwrap());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture).unwrap().try_into().unwrap()
}

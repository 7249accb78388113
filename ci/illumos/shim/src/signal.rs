//! Signals: `signal.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{EINVAL, errno, fail, to_illumos};
use crate::signal_set::{SIGNAL_COUNT, SIGNALS, SignalSet};
use crate::translate::Flags;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// `sa_flags` of `sys/signal.h`.
const ACTION_FLAGS: Flags = Flags {
    what: "sigaction flag",
    pairs: &[
        (0x1, libc::SA_ONSTACK),
        (0x2, libc::SA_RESETHAND),
        (0x4, libc::SA_RESTART),
        (0x8, libc::SA_SIGINFO),
        (0x10, libc::SA_NODEFER),
        (0x1_0000, libc::SA_NOCLDWAIT),
        (0x2_0000, libc::SA_NOCLDSTOP),
    ],
};
/// SIG_DFL and SIG_IGN agree; SIG_ERR is what `signal` fails with.
const SIG_ERR: usize = usize::MAX;
const HIGHEST_SPECIAL: usize = 1;

/// `struct sigaction` of `sys/signal.h`, 64 bit.
#[repr(C)]
struct Action {
    flags: c_int,
    handler: usize,
    mask: SignalSet,
}
const _: () = assert!(size_of::<Action>() == 32);

/// `siginfo_t` of `sys/siginfo.h`, 64 bit: the members of signals sent, of children and of faults overlap.
#[repr(C)]
struct Information {
    signal: c_int,
    code: c_int,
    errno: c_int,
    _pad: c_int,
    members: Members,
}
const _: () = assert!(size_of::<Information>() == 256);

#[repr(C)]
union Members {
    fault: usize,
    sent: Sent,
    child: Child,
    _all: [u64; 30],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Sent {
    pid: c_int,
    _pad: c_int,
    uid: u32,
    value: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Child {
    pid: c_int,
    user_time: i64,
    status: c_int,
    system_time: i64,
}

/// `stack_t` of `sys/signal.h`.
#[repr(C)]
pub(crate) struct Stack {
    address: *mut c_void,
    size: usize,
    flags: c_int,
}
const SS_DISABLE: c_int = 2;

/// The program's handlers by illumos' number: the host calls [`deliver`], which looks here.
static HANDLERS: [AtomicUsize; SIGNAL_COUNT] = [const { AtomicUsize::new(0) }; SIGNAL_COUNT];

type Handler = extern "C" fn(c_int, *const Information, *const c_void);

/// What the host calls for every signal with a handler. Only what is safe in a handler: no allocation, no lock.
///
/// The context is withheld: registers lie elsewhere in illumos' `ucontext_t`.
unsafe extern "C" fn deliver(signal: c_int, information: *const libc::siginfo_t, _context: *const c_void) {
    // SAFETY: this thread's own number.
    let host_errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let interrupted = unsafe { host_errno.read() };
    if let Some(illumos) = SIGNALS.find_illumos(signal)
        && let Some(handler) = usize::try_from(illumos).ok().and_then(|index| HANDLERS.get(index))
    {
        // SAFETY: the kernel's record of this signal, on this thread's stack.
        let information = unsafe { &*information };
        let translated = translate(illumos, information);
        let handler = handler.load(SeqCst);
        // SAFETY: what the program registered as a handler of one or three arguments; the ABI lets a function ignore
        // arguments. It was stored before the host knew of it.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
        handler(illumos, &raw const translated, std::ptr::null());
    }
    // SAFETY: as above. A handler may not change what the interrupted call finds.
    unsafe { host_errno.write(interrupted) };
}

/// illumos' record of a signal, with the members the host's kernel fills for it.
fn translate(illumos: c_int, host: &libc::siginfo_t) -> Information {
    let members = match host.si_signo {
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP => {
            // SAFETY: a fault's record has an address.
            Members { fault: unsafe { host.si_addr() }.addr() }
        }
        libc::SIGCHLD => Members { child: child(host) },
        _ => Members { sent: sent(host) },
    };
    Information { signal: illumos, code: host.si_code, errno: to_illumos(host.si_errno), _pad: 0, members }
}

fn sent(host: &libc::siginfo_t) -> Sent {
    // SAFETY: every record has the sender's place, zero when there is none.
    let pid = unsafe { host.si_pid() };
    // SAFETY: as above.
    let uid = unsafe { host.si_uid() };
    // SAFETY: as above, for what sigqueue sent along.
    let value = unsafe { host.si_value() };
    Sent { pid, _pad: 0, uid, value: value.sival_ptr.addr() }
}

fn child(host: &libc::siginfo_t) -> Child {
    // SAFETY: the record of a child has these members.
    let pid = unsafe { host.si_pid() };
    // SAFETY: as above.
    let status = unsafe { host.si_status() };
    // killed, dumped, trapped or stopped: the status is a signal; else an exit status
    let status = if host.si_code == libc::CLD_EXITED {
        status
    } else {
        SIGNALS.find_illumos(status).unwrap_or(status)
    };
    Child { pid, user_time: 0, status, system_time: 0 }
}

fn slot(illumos: c_int) -> Option<&'static AtomicUsize> {
    HANDLERS.get(usize::try_from(illumos).ok()?)
}

/// The host's action that ends in the program's handler.
fn host_action(action: &Action) -> libc::sigaction {
    // SAFETY: plain numbers and a set, for which zero is a value.
    let mut host = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    host.sa_flags = ACTION_FLAGS.to_host(action.flags);
    host.sa_mask = action.mask.host();
    host.sa_sigaction = action.handler;
    if action.handler > HIGHEST_SPECIAL {
        host.sa_flags |= libc::SA_SIGINFO;
        host.sa_sigaction = deliver as *const () as usize;
    }
    host
}

/// What was set before. SA_SIGINFO is the shim's own with a handler, so it is not known whether the program asked.
fn illumos_action(host: &libc::sigaction, handler: usize) -> Action {
    let special = host.sa_sigaction <= HIGHEST_SPECIAL;
    Action {
        flags: ACTION_FLAGS.to_illumos(host.sa_flags),
        handler: if special { host.sa_sigaction } else { handler },
        mask: SignalSet::of_host(&host.sa_mask),
    }
}

#[unsafe(export_name = "illumos_sigaction")]
unsafe extern "C" fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int {
    let (Some(host_signal), Some(slot)) = (SIGNALS.find_host(signal), slot(signal)) else {
        return fail(EINVAL);
    };
    let before = slot.load(SeqCst);
    // SAFETY: null, or the caller's structure.
    let new = unsafe { new.as_ref() };
    if let Some(new) = new.filter(|new| new.handler > HIGHEST_SPECIAL) {
        slot.store(new.handler, SeqCst);
    }
    let host_new = new.map(host_action);
    let host_new = host_new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut host_old = MaybeUninit::uninit();
    // SAFETY: null or an action of this stack; a place for the old one.
    if errno(unsafe { libc::sigaction(host_signal, host_new, host_old.as_mut_ptr()) }) < 0 {
        return -1;
    }
    if !old.is_null() {
        // SAFETY: the host filled it.
        let host_old = unsafe { host_old.assume_init() };
        // SAFETY: the caller's structure, writable, perhaps uninitialised.
        unsafe { old.write(illumos_action(&host_old, before)) };
    }
    0
}

#[unsafe(export_name = "illumos_signal")]
extern "C" fn signal(signal: c_int, handler: usize) -> usize {
    // signal(3C): the handler is reset when it is entered, and the signal is not blocked meanwhile
    let flags = if handler > HIGHEST_SPECIAL { 0x12 } else { 0 };
    let new = Action { flags, handler, mask: SignalSet::default() };
    let mut old = Action { flags: 0, handler: 0, mask: SignalSet::default() };
    // SAFETY: two structures of this stack.
    if unsafe { sigaction(signal, &raw const new, &raw mut old) } < 0 { SIG_ERR } else { old.handler }
}

impl Stack {
    pub(crate) fn new(address: *mut c_void, size: usize) -> Self {
        Self { address, size, flags: 0 }
    }
}

#[unsafe(export_name = "illumos_sigaltstack")]
unsafe extern "C" fn sigaltstack(new: *const Stack, old: *mut Stack) -> c_int {
    // SAFETY: null, or the caller's structure.
    let host_new = unsafe { new.as_ref() }.map(|stack| libc::stack_t {
        ss_sp: stack.address,
        ss_flags: if stack.flags & SS_DISABLE != 0 { libc::SS_DISABLE } else { 0 },
        // the host wants more than illumos' smallest stack when its processor saves many registers
        ss_size: if stack.flags & SS_DISABLE != 0 { libc::SIGSTKSZ } else { stack.size },
    });
    let mut host_old = MaybeUninit::<libc::stack_t>::uninit();
    let host_new = host_new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: null or a structure of this stack; a place for the old one.
    if errno(unsafe { libc::sigaltstack(host_new, host_old.as_mut_ptr()) }) < 0 {
        return -1;
    }
    if !old.is_null() {
        // SAFETY: the host filled it.
        let host_old = unsafe { host_old.assume_init() };
        let flags =
            if host_old.ss_flags & libc::SS_DISABLE != 0 { SS_DISABLE } else { host_old.ss_flags & 1 };
        // SAFETY: the caller's structure, writable, perhaps uninitialised.
        unsafe { old.write(Stack { address: host_old.ss_sp, size: host_old.ss_size, flags }) };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::{Action, Child, Information, Members, Sent};
    use std::mem::offset_of;

    #[test]
    fn actions_and_records_lie_as_in_the_header() {
        assert_eq!((offset_of!(Action, handler), offset_of!(Action, mask)), (8, 16));
        assert_eq!(offset_of!(Information, members), 16);
        assert_eq!(size_of::<Members>(), 240);
        assert_eq!((offset_of!(Sent, uid), offset_of!(Sent, value)), (8, 16));
        assert_eq!((offset_of!(Child, user_time), offset_of!(Child, status)), (8, 16));
    }
}

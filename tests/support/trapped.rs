//! Stands between the code under test and the kernel: each read, readv, write and writev on one descriptor, a socket's, is
//! trapped in one thread, noted, and answered by an errno or made.
// UNSAFETY: a handler of SIGSYS is given the trapped call by its registers, and answers it there; the call is made in its
// place by recvmsg(2) or sendmsg(2), on the caller's own memory.
#![expect(unsafe_code, reason = "a signal handler that stands for a system call")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Once;
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// One call on the descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// The length of each slice.
    pub(crate) slices: Vec<usize>,
    /// What was to be written.
    pub(crate) bytes: Vec<u8>,
}

type Answer<'a> = dyn FnMut(&Call) -> Option<i32> + 'a;

struct Kernel<'a> {
    calls: RefCell<Vec<Call>>,
    answer: RefCell<&'a mut Answer<'a>>,
}

thread_local! {
    static KERNEL: Cell<*const Kernel<'static>> = const { Cell::new(std::ptr::null()) };
}

/// Runs `action` in a thread of its own, in which `answer` gives the errno of each call on `fd`, or how many bytes were
/// [`taken`], or `None` to have it made. Returns what `action` does, and the calls.
pub(crate) fn with_answers<T: Send>(
    fd: &impl AsRawFd,
    mut answer: impl FnMut(&Call) -> Option<i32> + Send,
    action: impl FnOnce() -> T + Send,
) -> (T, Vec<Call>) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(install);
    let filter = filter(fd.as_raw_fd());
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let kernel = Kernel { calls: RefCell::default(), answer: RefCell::new(&mut answer) };
            KERNEL.set((&raw const kernel).cast());
            apply_filter(&filter).unwrap();
            let result = action();
            let calls = kernel.calls.take();
            (result, calls)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The answer that so many bytes were taken.
pub(crate) fn taken(bytes: i32) -> i32 {
    -bytes
}

/// The calls that `action` makes on `fd`, each of them made.
pub(crate) fn calls<T: Send>(fd: &impl AsRawFd, action: impl FnOnce() -> T + Send) -> (T, Vec<Call>) {
    with_answers(fd, |_| None, action)
}

fn filter(fd: RawFd) -> BpfProgram {
    let on_fd = || {
        let equal = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(fd as u32));
        vec![SeccompRule::new(vec![equal.unwrap()]).unwrap()]
    };
    let numbers = [libc::SYS_read, libc::SYS_readv, libc::SYS_write, libc::SYS_writev];
    let rules: BTreeMap<i64, Vec<SeccompRule>> =
        numbers.into_iter().map(|number| (number, on_fd())).collect();
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trap, architecture).unwrap();
    filter.try_into().unwrap()
}

fn install() {
    // SAFETY: `sigaction` is a C struct of integers and pointers, for which all zeros is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_trap as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    // SAFETY: reads one `sigaction` of this frame; the handler has the signature that SA_SIGINFO asks for.
    let result = unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0, "sigaction");
}

extern "C" fn on_trap(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel gives the interrupted `ucontext_t`, this handler's own until it returns.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    let [number, fd, start, count] = [libc::REG_RAX, libc::REG_RDI, libc::REG_RSI, libc::REG_RDX]
        .map(|register| registers[register as usize]);
    registers[libc::REG_RAX as usize] = answered(number, fd as RawFd, start as *mut c_void, count as usize);
}

/// What the trapped call returns: the bytes, or a negative errno.
fn answered(number: i64, fd: RawFd, start: *mut c_void, count: usize) -> i64 {
    let one = [libc::iovec { iov_base: start, iov_len: count }];
    let (name, many) = match number {
        libc::SYS_read => ("read", false),
        libc::SYS_readv => ("readv", true),
        libc::SYS_write => ("write", false),
        _ => ("writev", true),
    };
    let slices = if many {
        // SAFETY: the second argument of readv and writev is an array of as many `iovec`, the caller's during the call.
        unsafe { std::slice::from_raw_parts(start.cast::<libc::iovec>(), count) }
    } else {
        &one
    };
    let writes = name.starts_with("write");
    let mut call =
        Call { name, slices: slices.iter().map(|slice| slice.iov_len).collect(), bytes: Vec::new() };
    if writes {
        for slice in slices.iter().filter(|slice| slice.iov_len > 0) {
            // SAFETY: what a write is given can be read over its whole length.
            call.bytes
                .extend(unsafe { std::slice::from_raw_parts(slice.iov_base.cast::<u8>(), slice.iov_len) });
        }
    }
    // SAFETY: set by this thread before its filter, and valid until its action has ended.
    let kernel = unsafe { &*KERNEL.get() };
    let refused = (kernel.answer.borrow_mut())(&call);
    kernel.calls.borrow_mut().push(call);
    if let Some(errno) = refused {
        return -i64::from(errno);
    }
    make(writes, fd, slices)
}

fn make(writes: bool, fd: RawFd, slices: &[libc::iovec]) -> i64 {
    // SAFETY: `msghdr` is a C struct of integers and pointers, for which all zeros is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = slices.as_ptr().cast_mut();
    message.msg_iovlen = u16::try_from(slices.len()).unwrap().into();
    let result = if writes {
        // SAFETY: reads the slices of the trapped call, which could be read by it.
        unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_NOSIGNAL) }
    } else {
        // SAFETY: writes to the slices of the trapped call, which could be written by it.
        unsafe { libc::recvmsg(fd, &raw mut message, 0) }
    };
    if result >= 0 {
        result as i64
    } else {
        -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

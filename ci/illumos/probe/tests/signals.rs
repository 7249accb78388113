//! Signals: handlers, masks, and what a handler is told.

#![expect(unsafe_code, reason = "signals have no safe interface in std")]

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicBool};
use std::time::{Duration, Instant};
use std::{ptr, thread};

/// A process has one handler a signal, and the tests are threads of one process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static SENDER: AtomicI32 = AtomicI32::new(0);
static ADDRESS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn simple(signal: libc::c_int) {
    SIGNAL.store(signal, SeqCst);
}

extern "C" fn informed(
    signal: libc::c_int,
    information: *const libc::siginfo_t,
    _context: *const libc::c_void,
) {
    SIGNAL.store(signal, SeqCst);
    // SAFETY: the record lives through the handler.
    let information = unsafe { &*information };
    // SAFETY: a signal that was sent has a sender.
    SENDER.store(unsafe { information.si_pid() }, SeqCst);
}

fn set(signal: libc::c_int, handler: usize, flags: libc::c_int) -> libc::sigaction {
    // SAFETY: numbers and a set, for which zero is a value.
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    let mut old = MaybeUninit::uninit();
    // SAFETY: an action and a place for one, on this stack.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, old.as_mut_ptr()) }, 0);
    // SAFETY: filled by the call.
    unsafe { old.assume_init() }
}

fn raise(signal: libc::c_int) {
    // SAFETY: takes a number.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
fn a_handler_is_called_with_its_own_number() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGURG, libc::SIGIO, libc::SIGWINCH] {
        let before = set(signal, simple as *const () as usize, libc::SA_RESTART);
        assert_eq!(before.sa_sigaction, libc::SIG_DFL);
        raise(signal);
        assert_eq!(SIGNAL.load(SeqCst), signal);
        let ours = set(signal, libc::SIG_IGN, 0);
        assert_eq!(ours.sa_sigaction, simple as *const () as usize);
        SIGNAL.store(0, SeqCst);
        raise(signal);
        assert_eq!(SIGNAL.load(SeqCst), 0);
        assert_eq!(set(signal, libc::SIG_DFL, 0).sa_sigaction, libc::SIG_IGN);
    }
}

#[test]
fn a_handler_is_told_who_sent_the_signal() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    set(libc::SIGUSR1, informed as *const () as usize, libc::SA_SIGINFO);
    let me = i32::try_from(std::process::id()).unwrap();
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::kill(me, libc::SIGUSR1) }, 0);
    let start = Instant::now();
    while SENDER.load(SeqCst) != me {
        assert!(start.elapsed() < Duration::from_secs(5), "no signal came");
        thread::yield_now();
    }
    set(libc::SIGUSR1, libc::SIG_DFL, 0);
}

extern "C" fn fault(
    _signal: libc::c_int,
    information: *const libc::siginfo_t,
    _context: *const libc::c_void,
) {
    // SAFETY: the record lives through the handler.
    let information = unsafe { &*information };
    // SAFETY: a fault has an address.
    ADDRESS.store(unsafe { information.si_addr() }.addr(), SeqCst);
    let page = (ADDRESS.load(SeqCst) & !0xfff) as *mut libc::c_void;
    // SAFETY: the page that this test has mapped; only a system call, which is what handlers may do.
    unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_WRITE) };
}

#[test]
fn a_handler_is_told_where_the_fault_was() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = set(libc::SIGSEGV, fault as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
    // SAFETY: a new mapping of one page.
    let page = unsafe {
        libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0)
    };
    assert_ne!(page, libc::MAP_FAILED);
    let byte = page.cast::<u8>().wrapping_add(123);
    // SAFETY: inside the mapping, which the handler makes writable.
    unsafe { byte.write_volatile(7) };
    assert_eq!(ADDRESS.load(SeqCst), byte.addr());
    // SAFETY: as above.
    assert_eq!(unsafe { byte.read_volatile() }, 7);
    set(libc::SIGSEGV, before.sa_sigaction, before.sa_flags);
    // SAFETY: the mapping made above, not used again.
    assert_eq!(unsafe { libc::munmap(page, 4096) }, 0);
}

#[test]
fn a_blocked_signal_waits() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    set(libc::SIGUSR2, simple as *const () as usize, 0);
    SIGNAL.store(0, SeqCst);
    let mut mask = MaybeUninit::uninit();
    // SAFETY: initialises the set.
    unsafe { libc::sigemptyset(mask.as_mut_ptr()) };
    // SAFETY: initialised above.
    let mut mask = unsafe { mask.assume_init() };
    // SAFETY: an initialised set.
    unsafe { libc::sigaddset(&raw mut mask, libc::SIGUSR2) };
    // SAFETY: an initialised set; no interest in the old one.
    assert_eq!(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, ptr::null_mut()) }, 0);
    raise(libc::SIGUSR2);
    assert_eq!(SIGNAL.load(SeqCst), 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, ptr::null_mut()) }, 0);
    assert_eq!(SIGNAL.load(SeqCst), libc::SIGUSR2);
    set(libc::SIGUSR2, libc::SIG_DFL, 0);
}

#[test]
fn signal_hook_works_on_top() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let flag = Arc::new(AtomicBool::new(false));
    let hook = signal_hook::flag::register(libc::SIGHUP, Arc::clone(&flag)).unwrap();
    signal_hook::low_level::raise(libc::SIGHUP).unwrap();
    assert!(flag.load(SeqCst));
    assert!(signal_hook::low_level::unregister(hook));
}

#[test]
fn a_number_that_is_no_signal_is_refused() {
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::kill(0, 1000) }, -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
}

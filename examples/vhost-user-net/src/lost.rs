//! Guest memory that its owner cuts short.
//!
//! A hypervisor may truncate the file behind memory that it shares; the next access here raises `SIGBUS`, which ends a
//! process. A check beforehand cannot help, since the file may shrink right after it. So a handler puts zeros in the place
//! of memory that is watched here, and notes that it is lost; whoever uses the memory looks at the note and ends the
//! connection. A `SIGBUS` anywhere else ends the process as ever.
#![expect(unsafe_code, reason = "a signal handler")]
// UNSAFETY: the handler makes the one system call mmap(2) and touches atomics only, both of which a handler may do.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Regions watched at a time: two tables of 8, for several connections at once in tests.
const PLACES: usize = 64;

/// One stretch of memory. Its length is valid when its start is not 0.
struct Place {
    start: AtomicUsize,
    len: AtomicUsize,
    lost: AtomicBool,
}

static WATCHED: [Place; PLACES] =
    [const { Place { start: AtomicUsize::new(0), len: AtomicUsize::new(0), lost: AtomicBool::new(false) } };
        PLACES];

/// Held by whoever takes a place; whether the handler is installed.
static INSTALLED: Mutex<bool> = Mutex::new(false);

/// A stretch of memory whose loss is noted. Dropped before the memory is unmapped.
#[derive(Debug)]
pub(crate) struct Watch(usize);

impl Watch {
    /// Watches `len` bytes from `start` on, which are a mapping of their own.
    ///
    /// # Errors
    /// The system's, or that too much is watched already.
    pub(crate) fn new(start: usize, len: usize) -> io::Result<Self> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*installed {
            install()?;
            *installed = true;
        }
        let free = WATCHED.iter().position(|place| place.start.load(Ordering::Relaxed) == 0);
        let index = free.ok_or_else(|| io::Error::other("too many regions of guest memory"))?;
        let place = &WATCHED[index];
        place.lost.store(false, Ordering::Relaxed);
        place.len.store(len, Ordering::Relaxed);
        place.start.store(start, Ordering::Release);
        Ok(Self(index))
    }

    /// Whether its owner took the memory away; zeros are in its place.
    pub(crate) fn is_lost(&self) -> bool {
        WATCHED[self.0].lost.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _held = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        WATCHED[self.0].start.store(0, Ordering::Release);
    }
}

fn install() -> io::Result<()> {
    let function: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
    // SAFETY: a `sigaction` is numbers and bit sets, for which all zeros are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = function as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: one `sigaction` of this function's, read for the call; the handler in it lives as long as the program.
    match unsafe { libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Replaces the watched memory around the fault, or lets the signal have its usual effect when the access is tried again.
extern "C" fn handle(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO one `siginfo_t`, which is its own until it returns.
    let info = unsafe { &*info };
    // SAFETY: for SIGBUS the kernel fills in the address.
    let address = unsafe { info.si_addr() } as usize;
    for place in &WATCHED {
        let start = place.start.load(Ordering::Acquire);
        let len = place.len.load(Ordering::Relaxed);
        if start != 0 && address.wrapping_sub(start) < len && replace(start, len) {
            place.lost.store(true, Ordering::Relaxed);
            return;
        }
    }
    // SAFETY: takes two numbers.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
}

/// Puts zeros in the place of a mapping.
fn replace(start: usize, len: usize) -> bool {
    // SAFETY: the C library's place for the thread's errno, which lives as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; an `int` that only this thread uses.
    let before = unsafe { *errno };
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: the range is one whole mapping of the owner of a `Watch`, who reaches it by volatile and atomic accesses only,
    // has no reference into it, and unmaps it after the watch has ended.
    let mapped = unsafe { libc::mmap(start as *mut libc::c_void, len, protection, flags, -1, 0) };
    // SAFETY: as for the read above.
    unsafe { *errno = before };
    mapped != libc::MAP_FAILED
}

//! Signals' numbers and sets of them: `sys/iso/signal_iso.h`, `sys/signal.h`. Which of them a thread takes, waiting for one, and
//! sending them: `signal.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{EINVAL, errno, fail, number, to_illumos};
use crate::thread::host_thread;
use crate::translate::Numbers;
use std::ffi::c_int;
use std::mem::MaybeUninit;

/// `sys/iso/signal_iso.h`. Real-time signals and those that only illumos has are not there.
pub(crate) const SIGNALS: Numbers = Numbers {
    what: "signal",
    pairs: &[
        (1, libc::SIGHUP),
        (2, libc::SIGINT),
        (3, libc::SIGQUIT),
        (4, libc::SIGILL),
        (5, libc::SIGTRAP),
        (6, libc::SIGABRT),
        (8, libc::SIGFPE),
        (9, libc::SIGKILL),
        (10, libc::SIGBUS),
        (11, libc::SIGSEGV),
        (12, libc::SIGSYS),
        (13, libc::SIGPIPE),
        (14, libc::SIGALRM),
        (15, libc::SIGTERM),
        (16, libc::SIGUSR1),
        (17, libc::SIGUSR2),
        (18, libc::SIGCHLD),
        (19, libc::SIGPWR),
        (20, libc::SIGWINCH),
        (21, libc::SIGURG),
        (22, libc::SIGPOLL),
        (23, libc::SIGSTOP),
        (24, libc::SIGTSTP),
        (25, libc::SIGCONT),
        (26, libc::SIGTTIN),
        (27, libc::SIGTTOU),
        (28, libc::SIGVTALRM),
        (29, libc::SIGPROF),
        (30, libc::SIGXCPU),
        (31, libc::SIGXFSZ),
    ],
};
/// NSIG of `sys/signal.h`: numbers are 1 to 73.
pub(crate) const SIGNAL_COUNT: usize = 74;

/// `sigset_t` of `sys/signal.h`: signal 1 is bit 0 of the first word.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct SignalSet {
    words: [u32; 4],
}
const _: () = assert!(size_of::<SignalSet>() == 16);

/// Word and bit of a signal in a set.
fn place(signal: c_int) -> Option<(usize, u32)> {
    let bit = usize::try_from(signal).ok()?.checked_sub(1).filter(|bit| bit + 1 < SIGNAL_COUNT)?;
    Some((bit / 32, 1 << (bit % 32)))
}

impl SignalSet {
    fn has(&self, signal: c_int) -> bool {
        place(signal).is_some_and(|(word, bit)| self.words[word] & bit != 0)
    }

    fn add(&mut self, signal: c_int) {
        if let Some((word, bit)) = place(signal) {
            self.words[word] |= bit;
        }
    }

    /// The host's set; signals that it does not have cannot arrive, so they are left out.
    pub(crate) fn host(&self) -> libc::sigset_t {
        let mut host = MaybeUninit::uninit();
        // SAFETY: initialises the host's set.
        unsafe { libc::sigemptyset(host.as_mut_ptr()) };
        // SAFETY: initialised by the line above.
        let mut host = unsafe { host.assume_init() };
        for &(illumos, signal) in SIGNALS.pairs.iter().filter(|pair| self.has(pair.0)) {
            debug_assert!(illumos > 0);
            // SAFETY: an initialised set of this stack.
            unsafe { libc::sigaddset(&raw mut host, signal) };
        }
        host
    }

    pub(crate) fn of_host(host: &libc::sigset_t) -> Self {
        let mut set = Self::default();
        for &(illumos, signal) in SIGNALS.pairs {
            // SAFETY: an initialised set, and a number.
            if unsafe { libc::sigismember(host, signal) } == 1 {
                set.add(illumos);
            }
        }
        set
    }
}

/// While it lives, this thread takes no signals, and a thread that it makes never will.
pub(crate) struct SignalMask(libc::sigset_t);

impl SignalMask {
    pub(crate) fn block_all() -> Self {
        let mut all = SignalSet::default().host();
        // SAFETY: an initialised set of this stack.
        unsafe { libc::sigfillset(&raw mut all) };
        let mut before = all;
        // SAFETY: two initialised sets of this stack.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        Self(before)
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set that was there before; no interest in the one that is.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

#[unsafe(export_name = "illumos_sigemptyset")]
unsafe extern "C" fn sigemptyset(set: *mut SignalSet) -> c_int {
    // SAFETY: the caller's set, writable, perhaps uninitialised.
    unsafe { set.write(SignalSet::default()) };
    0
}

#[unsafe(export_name = "illumos_sigfillset")]
unsafe extern "C" fn sigfillset(set: *mut SignalSet) -> c_int {
    let mut full = SignalSet::default();
    (1..SIGNAL_COUNT).filter_map(|signal| c_int::try_from(signal).ok()).for_each(|signal| full.add(signal));
    // SAFETY: the caller's set, writable, perhaps uninitialised.
    unsafe { set.write(full) };
    0
}

#[unsafe(export_name = "illumos_sigaddset")]
unsafe extern "C" fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int {
    if place(signal).is_none() {
        return fail(EINVAL);
    }
    // SAFETY: the caller's initialised set, in no other use during the call.
    unsafe { &mut *set }.add(signal);
    0
}

#[unsafe(export_name = "illumos_sigdelset")]
unsafe extern "C" fn sigdelset(set: *mut SignalSet, signal: c_int) -> c_int {
    let Some((word, bit)) = place(signal) else {
        return fail(EINVAL);
    };
    // SAFETY: the caller's initialised set, in no other use during the call.
    unsafe { &mut *set }.words[word] &= !bit;
    0
}

#[unsafe(export_name = "illumos_sigismember")]
unsafe extern "C" fn sigismember(set: *const SignalSet, signal: c_int) -> c_int {
    if place(signal).is_none() {
        return fail(EINVAL);
    }
    // SAFETY: the caller's initialised set.
    c_int::from(unsafe { &*set }.has(signal))
}

#[cfg(test)]
mod tests {
    use super::{SIGNAL_COUNT, SIGNALS, SignalSet, place};

    #[test]
    fn the_header_s_signals_are_all_there_but_sigemt() {
        let listed: Vec<_> = SIGNALS.pairs.iter().map(|pair| pair.0).collect();
        let expected: Vec<_> = (1..=31).filter(|&signal| signal != 7).collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_set_goes_to_the_host_and_back() {
        let mut set = SignalSet::default();
        [1, 10, 18, 31].into_iter().for_each(|signal| set.add(signal));
        assert_eq!(SignalSet::of_host(&set.host()), set);
        assert_eq!(set.words, [0x4002_0201, 0, 0, 0]);
    }

    #[test]
    fn signals_are_numbered_from_one() {
        assert_eq!((place(0), place(1), place(33)), (None, Some((0, 1)), Some((1, 1))));
        assert_eq!(place(SIGNAL_COUNT as i32), None);
    }
}

/// `sys/iso/signal_iso.h`: how a mask is changed.
const MASK_CHANGES: Numbers = Numbers {
    what: "sigprocmask request",
    pairs: &[(1, libc::SIG_BLOCK), (2, libc::SIG_UNBLOCK), (3, libc::SIG_SETMASK)],
};

/// Changes the mask by the host's function, which says whether it went well.
///
/// # Safety
/// `set` is null or the caller's set, `old` null or a place for one.
unsafe fn mask(
    how: c_int,
    set: *const SignalSet,
    old: *mut SignalSet,
    change: impl FnOnce(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    let set = unsafe { set.as_ref() }.map(SignalSet::host);
    let how = if set.is_some() { MASK_CHANGES.to_host(how) } else { libc::SIG_BLOCK };
    let mut host_old = SignalSet::default().host();
    let result = change(how, set.as_ref().map_or(std::ptr::null(), std::ptr::from_ref), &raw mut host_old);
    if result == 0 && !old.is_null() {
        // SAFETY: as the caller promises.
        unsafe { old.write(SignalSet::of_host(&host_old)) };
    }
    result
}

#[unsafe(export_name = "illumos_pthread_sigmask")]
unsafe extern "C" fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int {
    // SAFETY: the sets `mask` makes.
    let change = |how, set, old| unsafe { libc::pthread_sigmask(how, set, old) };
    // SAFETY: the caller's sets.
    number(unsafe { mask(how, set, old, change) })
}

#[unsafe(export_name = "illumos_sigprocmask")]
unsafe extern "C" fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int {
    // SAFETY: the sets `mask` makes.
    let change = |how, set, old| unsafe { libc::sigprocmask(how, set, old) };
    // SAFETY: the caller's sets.
    errno(unsafe { mask(how, set, old, change) })
}

/// The one of POSIX, that gives the error as its result.
#[unsafe(export_name = "illumos___posix_sigwait")]
unsafe extern "C" fn posix_sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int {
    // SAFETY: the caller's set.
    let found = unsafe { sigwait(set) };
    if found < 0 {
        return EINVAL;
    }
    // SAFETY: the caller's place for a number.
    unsafe { signal.write(found) };
    0
}

#[unsafe(export_name = "illumos_sigwait")]
unsafe extern "C" fn sigwait(set: *const SignalSet) -> c_int {
    // SAFETY: the caller's set.
    let set = unsafe { &*set }.host();
    let mut signal = 0;
    // SAFETY: a set and a number of this stack.
    let result = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
    if result == 0 { SIGNALS.to_illumos(signal) } else { fail(to_illumos(result)) }
}

#[unsafe(export_name = "illumos_sigsuspend")]
unsafe extern "C" fn sigsuspend(set: *const SignalSet) -> c_int {
    // SAFETY: the caller's set.
    let set = unsafe { &*set }.host();
    // SAFETY: a set of this stack.
    errno(unsafe { libc::sigsuspend(&raw const set) })
}

#[unsafe(export_name = "illumos_kill")]
extern "C" fn kill(pid: c_int, signal: c_int) -> c_int {
    // SAFETY: takes numbers.
    with_signal(signal, |host| errno(unsafe { libc::kill(pid, host) })).unwrap_or_else(|| fail(EINVAL))
}

#[unsafe(export_name = "illumos_killpg")]
extern "C" fn killpg(group: c_int, signal: c_int) -> c_int {
    // SAFETY: takes numbers.
    with_signal(signal, |host| errno(unsafe { libc::killpg(group, host) })).unwrap_or_else(|| fail(EINVAL))
}

#[unsafe(export_name = "illumos_raise")]
extern "C" fn raise(signal: c_int) -> c_int {
    // SAFETY: takes a number.
    with_signal(signal, |host| errno(unsafe { libc::raise(host) })).unwrap_or_else(|| fail(EINVAL))
}

#[unsafe(export_name = "illumos_pthread_kill")]
pub(crate) extern "C" fn pthread_kill(thread: u32, signal: c_int) -> c_int {
    let Some(thread) = host_thread(thread) else {
        return to_illumos(libc::ESRCH);
    };
    // SAFETY: a thread that has not been joined or detached, by the caller's promise.
    with_signal(signal, |host| number(unsafe { libc::pthread_kill(thread, host) })).unwrap_or(EINVAL)
}

/// Signal 0 asks whether the process is there.
fn with_signal(illumos: c_int, send: impl FnOnce(c_int) -> c_int) -> Option<c_int> {
    if illumos == 0 { Some(send(0)) } else { SIGNALS.find_host(illumos).map(send) }
}

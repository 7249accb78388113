//! Signals' numbers and sets of them: `sys/iso/signal_iso.h`, `sys/signal.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{EINVAL, fail};
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

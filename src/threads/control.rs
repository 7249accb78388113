//! What the threads are to do, and what they have done about it: the state machine behind
//! [`Threads`](crate::Threads), without the threads.

use std::mem::replace;
use std::sync::PoisonError;
use std::time::Duration;

use super::sync::{AtomicU8, Condvar, Mutex, MutexGuard, Ordering};

/// The two threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worker {
    Receive,
    Transmit,
}

/// What the threads are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Run,
    Suspend,
    Stop,
}

/// A thread is to stop, or to stand still.
pub(super) const HALT: u8 = 1;
/// The frame at hand is to be dropped.
pub(super) const RESET: u8 = 2;
/// Something else changed that decides what to wait for.
pub(super) const CHANGED: u8 = 4;
/// The interface was bound again.
pub(super) const REATTACHED: u8 = 8;
/// The guest's link is to be dropped briefly.
pub(super) const FLAP: u8 = 16;

#[derive(Debug)]
struct State {
    wanted: Wanted,
    /// The thread stands still, or has ended.
    still: [bool; 2],
    ended: [bool; 2],
    panicked: Option<Worker>,
}

/// Shared by the two threads and whoever commands them.
#[derive(Debug)]
pub(super) struct Control {
    state: Mutex<State>,
    /// The threads wait for a command here, and nobody else: a thread's report must not wake the other thread.
    commanded: Condvar,
    /// Commanders wait for the threads' reports here.
    reported: Condvar,
    /// Held while stale frames are dropped, so that two that resume at once do it once.
    resuming: Mutex<()>,
    /// Read by the receive thread between any two frames, so that it looks at the state only when there is a reason.
    attention: AtomicU8,
}

impl Control {
    /// Threads that start now stand still until they are wanted to run.
    pub fn new() -> Self {
        let state = State { wanted: Wanted::Suspend, still: [false; 2], ended: [false; 2], panicked: None };
        Self {
            state: Mutex::new(state),
            commanded: Condvar::new(),
            reported: Condvar::new(),
            resuming: Mutex::new(()),
            attention: AtomicU8::new(HALT),
        }
    }

    /// Asks for `wanted`; `false` when it is so already, or everything has been stopped for good.
    pub fn want(&self, wanted: Wanted) -> bool {
        let mut state = self.lock();
        if state.wanted == wanted || state.wanted == Wanted::Stop {
            return false;
        }
        state.wanted = wanted;
        if wanted == Wanted::Run {
            // A thread that has not yet left its last pause does not count as paused for the next suspension.
            state.still = state.ended;
            self.attention.fetch_and(!HALT, Ordering::AcqRel);
        } else {
            self.attention.fetch_or(HALT, Ordering::AcqRel);
        }
        self.commanded.notify_all();
        self.reported.notify_all();
        true
    }

    /// Calls `drain`, which no two callers run at the same time, and then lets suspended threads run. `reason` draws the
    /// receive thread's attention before its first frame. `false` when they run already, or everything has been stopped for
    /// good.
    pub fn resume(&self, reason: u8, drain: impl FnOnce()) -> bool {
        let _resuming = self.resuming.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().wanted != Wanted::Suspend {
            return false;
        }
        drain();
        self.draw_attention(reason);
        self.want(Wanted::Run)
    }

    /// Called by a thread before each turn: stands still while suspended; `false` at the end.
    pub fn enter(&self, worker: Worker) -> bool {
        let mut state = self.lock();
        while state.wanted == Wanted::Suspend {
            if !replace(&mut state.still[worker as usize], true) {
                self.reported.notify_all();
            }
            state = self.commanded.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.wanted == Wanted::Run
    }

    /// Called once for each thread, at its end or when it could not be had; a panic stops the other thread, too. `true` for
    /// the last one.
    pub fn leave(&self, worker: Worker, panicked: bool) -> bool {
        let mut state = self.lock();
        state.still[worker as usize] = true;
        state.ended[worker as usize] = true;
        if panicked {
            state.panicked = state.panicked.or(Some(worker));
            state.wanted = Wanted::Stop;
            self.attention.fetch_or(HALT, Ordering::AcqRel);
            self.commanded.notify_all();
        }
        self.reported.notify_all();
        state.ended == [true; 2]
    }

    /// Waits, at most for `timeout`, until both threads stand still (or, for a stop, have ended).
    pub fn settled(&self, timeout: Duration) -> bool {
        let state = self.lock();
        if settled(&state) {
            return true;
        }
        let (state, _) = self.reported.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner);
        settled(&state)
    }

    pub fn panicked(&self) -> Option<Worker> {
        self.lock().panicked
    }

    /// Draws the receive thread's attention to `reason`.
    pub fn draw_attention(&self, reason: u8) {
        self.attention.fetch_or(reason, Ordering::AcqRel);
    }

    pub fn attention(&self) -> u8 {
        self.attention.load(Ordering::Acquire)
    }

    /// Returns the reasons and clears them, since each needs to be seen once only. A halt stays until it is revoked.
    pub fn take_attention(&self) -> u8 {
        self.attention.fetch_and(HALT, Ordering::AcqRel)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settled(state: &State) -> bool {
    let both = if state.wanted == Wanted::Stop { state.ended } else { state.still };
    both == [true, true] || state.wanted == Wanted::Run
}

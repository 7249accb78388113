//! The guest's virtual cable.

use std::sync::PoisonError;

use super::sync::{AtomicU8, Mutex, MutexGuard, Ordering};

/// The state of the guest's virtual cable. Unless it is `Up`, frames are dropped both ways and counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// The cable is plugged in.
    #[default]
    Up,
    /// The cable is unplugged.
    Down,
}

/// A [`LinkState`] that is read on the path of every frame.
#[derive(Debug)]
pub(super) struct LinkCell {
    state: AtomicU8,
    /// Held while the state changes and while queued frames are dropped. No two threads drop frames at once, and none
    /// goes on dropping them once the link is up.
    draining: Mutex<()>,
}

impl LinkCell {
    pub fn new() -> Self {
        Self { state: AtomicU8::new(LinkState::Up as u8), draining: Mutex::new(()) }
    }

    #[inline]
    pub fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == LinkState::Up as u8
    }

    /// Changes the state; `drain` runs before the link counts as up. Says whether the state was another one.
    pub fn set(&self, state: LinkState, drain: impl FnOnce()) -> bool {
        let _draining = self.lock();
        if self.state.load(Ordering::Acquire) == state as u8 {
            return false;
        }
        if state == LinkState::Up {
            drain();
        }
        self.state.store(state as u8, Ordering::Release);
        true
    }

    /// Runs `drain` if the link is not up; it does not come up meanwhile.
    pub fn drain_while_down(&self, drain: impl FnOnce()) {
        let _draining = self.lock();
        if !self.is_up() {
            drain();
        }
    }

    /// Runs `drain` in any state.
    pub fn drain<T>(&self, drain: impl FnOnce() -> T) -> T {
        let _draining = self.lock();
        drain()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.draining.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

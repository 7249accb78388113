//! The lock of the transmit session: a try-flag that never blocks and never loses a loser.
//!
//! Somebody who finds it held leaves a debt in the same word. There is no state "free with a debt", so whoever
//! releases the lock sees every debt that was left, and owes the frontend one wake-up for it.

use super::sync::{AtomicU8, Ordering};

const FREE: u8 = 0;
const HELD: u8 = 1;
/// Somebody was turned away while the lock was held.
const TURNED_AWAY: u8 = 2;
/// The device refused a frame during the session, and becomes writable later.
pub(crate) const BLOCKED: u8 = 4;
/// The host had no buffer for a frame during the session; no event tells when it has.
pub(crate) const STARVED: u8 = 8;

/// What the end of a session leaves to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Debt {
    /// Somebody was turned away.
    pub(crate) turned_away: bool,
    /// The device was full, or the interface down.
    pub(crate) blocked: bool,
    /// The host had no buffer.
    pub(crate) starved: bool,
}

#[derive(Debug)]
pub(crate) struct TransmitLock(AtomicU8);

impl TransmitLock {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(FREE))
    }

    /// Takes the lock, or leaves a debt with its holder.
    #[inline]
    pub(crate) fn try_begin(&self) -> bool {
        let mut seen = FREE;
        loop {
            let wanted = if seen == FREE { HELD } else { seen | TURNED_AWAY };
            match self.0.compare_exchange_weak(seen, wanted, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return seen == FREE,
                Err(now) => seen = now,
            }
        }
    }

    /// Notes a debt of the session's own: [`BLOCKED`] or [`STARVED`].
    pub(crate) fn note(&self, debt: u8) {
        self.0.fetch_or(debt, Ordering::Relaxed);
    }

    /// Releases the lock; what is owed is the caller's to answer, with no lock held.
    #[inline]
    pub(crate) fn end(&self) -> Debt {
        let left = self.0.swap(FREE, Ordering::AcqRel);
        Debt {
            turned_away: left & TURNED_AWAY != 0,
            blocked: left & BLOCKED != 0,
            starved: left & STARVED != 0,
        }
    }
}

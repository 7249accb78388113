//! The lock of the transmit session: a flag that never blocks a caller and never forgets one that it turned away.
//!
//! Somebody who finds it held leaves a debt in the same word. There is no state "free with a debt". Whoever releases
//! the lock sees every debt that was left, and owes the frontend one wake-up for it.

use super::sync::{AtomicU8, Ordering};

const FREE: u8 = 0;
const HELD: u8 = 1;

/// What the end of a session leaves to be done, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Debt(u8);

impl Debt {
    /// Somebody was turned away while the lock was held.
    pub const TURNED_AWAY: Self = Self(2);
    /// The device was full, or the interface down; the descriptor becomes writable later.
    pub const BLOCKED: Self = Self(4);
    /// The host had no buffer for a frame; no event tells when it has.
    pub const STARVED: Self = Self(8);
    const ALL: u8 = 2 | 4 | 8;

    /// The debts among `bits`.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL)
    }

    pub fn bits(self) -> u8 {
        self.0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn has(self, debt: Self) -> bool {
        self.0 & debt.0 != 0
    }
}

#[derive(Debug)]
pub(crate) struct TransmitLock(AtomicU8);

impl TransmitLock {
    pub fn new() -> Self {
        Self(AtomicU8::new(FREE))
    }

    /// Takes the lock, or leaves a debt with its holder.
    #[inline]
    pub fn try_begin(&self) -> bool {
        let mut seen = FREE;
        loop {
            let wanted = if seen == FREE { HELD } else { seen | Debt::TURNED_AWAY.0 };
            match self.0.compare_exchange_weak(seen, wanted, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return seen == FREE,
                Err(now) => seen = now,
            }
        }
    }

    /// Notes a debt of the session's own: the device was full, or the host had no buffer.
    pub fn note(&self, debt: Debt) {
        self.0.fetch_or(debt.0, Ordering::Relaxed);
    }

    /// Releases the lock; what is owed is the caller's to answer, with no lock held.
    #[inline]
    pub fn end(&self) -> Debt {
        Debt::from_bits(self.0.swap(FREE, Ordering::AcqRel))
    }
}

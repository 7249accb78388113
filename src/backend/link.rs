//! The guest's virtual cable.

use std::sync::atomic::{AtomicU8, Ordering};

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
#[derive(Debug, Default)]
pub(super) struct LinkCell(AtomicU8);

impl LinkCell {
    #[inline]
    pub(super) fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == LinkState::Up as u8
    }

    /// Stores `state`; returns whether the link was up before.
    pub(super) fn set(&self, state: LinkState) -> bool {
        self.0.swap(state as u8, Ordering::AcqRel) == LinkState::Up as u8
    }
}

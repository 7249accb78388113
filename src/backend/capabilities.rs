//! What the host does itself with frames behind a virtio-net header.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::segmentation::HostCapabilities;

/// What the host does by what the attach found, less what it turned out to refuse.
#[derive(Debug)]
pub(super) struct Capabilities {
    bits: AtomicU8,
    /// Off: everything is done in software even where the host could.
    used: AtomicBool,
}

impl Capabilities {
    pub(super) fn new(found: HostCapabilities) -> Self {
        Self { bits: AtomicU8::new(found.bits()), used: AtomicBool::new(true) }
    }

    /// What the host is to do now. Relaxed: it orders nothing else.
    #[inline]
    pub(super) fn now(&self) -> HostCapabilities {
        if self.used.load(Ordering::Relaxed) {
            HostCapabilities::from_bits(self.bits.load(Ordering::Relaxed))
        } else {
            HostCapabilities::NONE
        }
    }

    pub(super) fn use_them(&self, on: bool) {
        self.used.store(on, Ordering::Relaxed);
    }

    /// Notes that the host refuses `work`; `true` the first time.
    pub(super) fn remove(&self, work: HostCapabilities) -> bool {
        self.bits.fetch_and(!work.bits(), Ordering::Relaxed) & work.bits() != 0
    }

    /// Another interface does what its attach found, also what the last one refused.
    pub(super) fn renew(&self, found: HostCapabilities) {
        self.bits.store(found.bits(), Ordering::Relaxed);
    }
}

//! What the host does itself with frames behind a virtio-net header.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::segmentation::HostCapabilities;

/// What the host is known to do, less what it turned out to refuse.
#[derive(Debug)]
pub(super) struct Capabilities {
    bits: AtomicU8,
    /// Off: everything is done in software even where the host could.
    used: AtomicBool,
}

impl Capabilities {
    pub fn new() -> Self {
        Self { bits: AtomicU8::new(HostCapabilities::ALL.bits()), used: AtomicBool::new(true) }
    }

    /// What the host is to do now. Relaxed: it orders nothing else.
    #[inline]
    pub fn now(&self) -> HostCapabilities {
        if self.used.load(Ordering::Relaxed) {
            HostCapabilities::from_bits(self.bits.load(Ordering::Relaxed))
        } else {
            HostCapabilities::NONE
        }
    }

    pub fn use_them(&self, on: bool) {
        self.used.store(on, Ordering::Relaxed);
    }

    /// Notes that the host refuses `work`; `true` the first time.
    pub fn remove(&self, work: HostCapabilities) -> bool {
        self.bits.fetch_and(!work.bits(), Ordering::Relaxed) & work.bits() != 0
    }

    /// Another interface may do what the last one refused.
    pub fn forget_refusals(&self) {
        self.bits.store(HostCapabilities::ALL.bits(), Ordering::Relaxed);
    }
}

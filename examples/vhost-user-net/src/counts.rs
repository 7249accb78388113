//! What a pair of queues counts beside the crate's own statistics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter. Only the pair's own thread writes it.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one direction.
#[derive(Debug, Default)]
pub struct Way {
    /// Frames longer than 1514 bytes that crossed: Ethernet header and 1500.
    pub longer_than_1514: Count,
    /// Chains handed back unused, because they were malformed.
    pub bad_chains: Count,
    /// Times the ring itself was malformed.
    pub bad_rings: Count,
    /// Interrupts to the guest.
    pub interrupts: Count,
}

/// Counters of one pair of queues.
#[derive(Debug, Default)]
pub struct Counts {
    /// Guest to host.
    pub transmit: Way,
    /// Host to guest.
    pub receive: Way,
    /// Frames of the guest dropped because they ask for what it did not agree to. The crate never sees them.
    pub transmit_not_agreed: Count,
    /// Received frames dropped because they ask for what the guest did not agree to. The crate counts them as delivered.
    pub receive_not_agreed: Count,
    /// Frames put on the stream: the segments of an oversized frame, or 1.
    pub receive_segments_cut: Count,
    /// Times that the guest had too little room for the longest frame, so that what was queued had to wait.
    pub receive_waits: Count,
}

/// Ethernet header and the usual MTU.
const USUAL: usize = 1514;

impl Way {
    /// Notes the length of a frame that crossed.
    pub fn crossed(&self, frame_len: usize) {
        if frame_len > USUAL {
            self.longer_than_1514.one();
        }
    }

    /// Every counter with its name.
    #[must_use]
    pub fn entries(&self) -> [(&'static str, u64); 4] {
        [
            ("longer_than_1514", self.longer_than_1514.get()),
            ("bad_chains", self.bad_chains.get()),
            ("bad_rings", self.bad_rings.get()),
            ("interrupts", self.interrupts.get()),
        ]
    }
}

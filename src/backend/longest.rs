//! How long a frame can be that the interface delivers, as far as is known.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::wire::Offload;

/// Ethernet header and two VLAN tags.
const LINK_HEADERS: usize = 14 + 8;
/// The largest frame of any kind: an IPv6 packet of 65535 bytes behind its header, with its link headers.
pub(crate) const LARGEST_FRAME: usize = 40 + 65535 + LINK_HEADERS;
/// The largest usual frame. An administrator can raise what Linux joins (`gso_max_size`, 65536 with the link headers), and
/// a peer of a socket can make a longer one. Hypervisors lend room for one byte more, 65562 bytes with the header.
const LARGEST_USUAL: usize = 65549;

/// Read on the path of every frame; what changes it is rare.
#[derive(Debug)]
pub(super) struct Longest {
    largest: AtomicUsize,
    /// The same, without the frames that hardly ever come. Room for more than this is read into without a spare byte. A frame
    /// that fills such room may have been longer, and is dropped and counted as truncated. For the next frame a spare byte
    /// shows whether it is longer than the room.
    usual: AtomicUsize,
    /// The largest without regard to offloads, when the MTU was last read.
    by_mtu: AtomicUsize,
}

impl Longest {
    pub fn new() -> Self {
        Self {
            largest: AtomicUsize::new(LARGEST_FRAME),
            usual: AtomicUsize::new(LARGEST_USUAL),
            by_mtu: AtomicUsize::new(LARGEST_FRAME),
        }
    }

    pub fn largest(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    /// Bytes of the longest frame, without those that hardly ever come. Longer room is read into without a spare byte.
    #[inline(always)]
    pub fn usual(&self) -> usize {
        self.usual.load(Ordering::Relaxed)
    }

    /// Notes the MTU. Where it is not known there is room for every frame.
    pub fn fit_mtu(&self, mtu: Option<u32>, offload: Offload) {
        let by_mtu = mtu.map_or(LARGEST_FRAME, |mtu| mtu as usize + LINK_HEADERS);
        self.by_mtu.store(by_mtu.min(LARGEST_FRAME), Ordering::Relaxed);
        self.fit(offload);
    }

    /// Lets only frames that can really come decide how a buffer is checked for truncation.
    pub fn fit(&self, offload: Offload) {
        let super_frames = offload.tcp4 || offload.tcp6 || offload.udp;
        let largest = if super_frames { LARGEST_FRAME } else { self.by_mtu.load(Ordering::Relaxed) };
        self.largest.store(largest, Ordering::Relaxed);
        self.usual.store(largest.min(LARGEST_USUAL), Ordering::Relaxed);
    }

    /// Makes room for every frame: the MTU was raised, it seems. To ask costs system calls that a sandbox may not allow
    /// where frames are moved.
    pub fn doubt(&self) {
        for known in [&self.by_mtu, &self.largest, &self.usual] {
            known.store(LARGEST_FRAME, Ordering::Relaxed);
        }
    }
}

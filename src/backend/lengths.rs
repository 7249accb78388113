//! The lengths of frames that can come and go, and the station they are for: what changes with the interface.

use std::sync::atomic::Ordering;

use super::{Backend, LARGEST_FRAME, LINK_HEADERS, datalink};
use crate::wire::Offload;

impl Backend {
    /// Reads the MTU anew, so that [`receive_buffer_len`](Self::receive_buffer_len) fits it; of a data link its address, too. To be called when the MTU has
    /// changed, by a thread that may make the system calls of [`Tap::mtu`]. Where the MTU cannot be read, there is room for
    /// every frame.
    pub fn refresh_mtu(&self) {
        self.longest.store(self.tap.limits().longest, Ordering::Relaxed);
        self.station.store(datalink::station_number(self.tap.station()), Ordering::Relaxed);
        let by_mtu = self.tap.mtu().map_or(LARGEST_FRAME, |mtu| mtu as usize + LINK_HEADERS);
        self.by_mtu.store(by_mtu.min(LARGEST_FRAME), Ordering::Relaxed);
        self.fit_largest(self.tap.offload());
    }

    /// Lets only frames that can really come decide how a buffer is checked for truncation.
    pub(super) fn fit_largest(&self, offload: Offload) {
        let super_frames = offload.tcp4 || offload.tcp6 || offload.udp;
        let largest = if super_frames { LARGEST_FRAME } else { self.by_mtu.load(Ordering::Relaxed) };
        self.largest.store(largest, Ordering::Relaxed);
    }

    /// Makes room for every frame: the MTU was raised, it seems. To ask costs system calls that a sandbox may not allow
    /// where frames are moved.
    pub(super) fn doubt_mtu(&self) {
        self.by_mtu.store(LARGEST_FRAME, Ordering::Relaxed);
        self.largest.store(LARGEST_FRAME, Ordering::Relaxed);
    }
}

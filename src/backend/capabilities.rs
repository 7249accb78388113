//! What the host does itself with frames behind a virtio-net header.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::platform::HostCan;
use crate::segmentation::HostCapabilities;
use crate::wire::Offload;

/// What the host can do: the work that the attach found, without the work that the host has refused since.
#[derive(Debug)]
pub(super) struct Capabilities {
    bits: AtomicU8,
    /// Off: everything is done in software even where the host could.
    used: AtomicBool,
}

impl Capabilities {
    pub fn new(can: HostCan) -> Self {
        Self { bits: AtomicU8::new(found(can).bits()), used: AtomicBool::new(true) }
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

    /// Starts anew for another interface, with what its attach found. That may include work that the last interface refused.
    pub fn renew(&self, can: HostCan) {
        self.bits.store(found(can).bits(), Ordering::Relaxed);
    }
}

/// What the attach has found. A checksum is completed by each host that takes headers at all.
fn found(can: HostCan) -> HostCapabilities {
    let HostCan { tcp4, tcp6, udp } = can;
    HostCapabilities::of(Offload { checksum: true, tcp4, tcp6, udp, ..Offload::NONE })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row X1.
    #[test]
    fn the_host_does_what_the_attach_found_and_no_more() {
        let nothing = HostCan { tcp4: false, tcp6: false, udp: false };
        let checksum = Offload { checksum: true, ..Offload::NONE };
        let cases = [
            (nothing, checksum),
            (HostCan { tcp4: true, ..nothing }, Offload { tcp4: true, ..checksum }),
            (HostCan { tcp6: true, ..nothing }, Offload { tcp6: true, ..checksum }),
            (HostCan { udp: true, ..nothing }, Offload { udp: true, ..checksum }),
        ];
        for (can, offload) in cases {
            assert_eq!(Capabilities::new(can).now(), HostCapabilities::of(offload), "{can:?}");
        }
    }
}

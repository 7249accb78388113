//! Feature bits: what is offered to a guest, and what follows from those it took (virtio 1.2, 5.1.3 and 6).

use tap_plumb::Offload;
use virtio_bindings::bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::bindings::virtio_net::{
    VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4,
    VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_MQ,
    VIRTIO_NET_F_MRG_RXBUF,
};
use virtio_bindings::bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

/// `VHOST_USER_F_PROTOCOL_FEATURES`: agreed on with the hypervisor, not with the guest.
pub const PROTOCOL_FEATURES: u64 = 1 << 30;

/// What every guest is offered, whatever the TAP can do.
const ALWAYS: u64 = 1 << VIRTIO_F_VERSION_1
    | 1 << VIRTIO_NET_F_MRG_RXBUF
    | 1 << VIRTIO_RING_F_EVENT_IDX
    | 1 << VIRTIO_RING_F_INDIRECT_DESC
    | PROTOCOL_FEATURES;

/// The bits to offer in front of a TAP that granted `tap`; `None` offers no offload in either direction.
#[must_use]
pub fn offered(tap: Option<Offload>, pairs: usize) -> u64 {
    let several = if pairs > 1 { 1 << VIRTIO_NET_F_MQ } else { 0 };
    ALWAYS | several | tap.map_or(0, Offload::virtio_features)
}

/// What a guest agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The bits it acknowledged.
    pub acknowledged: u64,
    /// Bytes of the virtio-net header in front of its frames, 10 or 12.
    pub header_len: usize,
    /// A received frame may fill several chains.
    pub mergeable: bool,
    /// Both sides of a ring tell by an index when they want to be told.
    pub event_index: bool,
    /// Received frames may carry an unfinished checksum.
    pub checksum: bool,
    /// Received frames may be oversized.
    pub oversized: bool,
}

impl Negotiated {
    /// Reads the bits a guest acknowledged.
    #[must_use]
    pub fn new(acknowledged: u64) -> Self {
        let offload = Offload::from_virtio_features(acknowledged);
        Self {
            acknowledged,
            header_len: offload.header_len,
            mergeable: acknowledged & 1 << VIRTIO_NET_F_MRG_RXBUF != 0,
            event_index: acknowledged & 1 << VIRTIO_RING_F_EVENT_IDX != 0,
            checksum: acknowledged & 1 << VIRTIO_NET_F_GUEST_CSUM != 0,
            oversized: offload.tcp4 || offload.tcp6 || offload.udp,
        }
    }

    /// Whether the guest may ask for what the header of its frame asks for. A type that this function does not know either is
    /// rejected by the crate.
    #[must_use]
    #[inline]
    pub fn may_ask(&self, flags: u8, kind: u8) -> bool {
        /// The flag that a checksum is to be completed, and the bit of the kind for explicit congestion notification.
        const NEEDS_CHECKSUM: u8 = 1;
        const ECN: u8 = 0x80;
        let needed = match kind & !ECN {
            1 => 1 << VIRTIO_NET_F_HOST_TSO4,
            3 => 1 << VIRTIO_NET_F_HOST_UFO,
            4 => 1 << VIRTIO_NET_F_HOST_TSO6,
            5 => 1 << VIRTIO_NET_F_HOST_USO,
            _ => 0,
        };
        let checksum = u64::from(flags & NEEDS_CHECKSUM) << VIRTIO_NET_F_CSUM;
        let ecn = u64::from(kind & ECN != 0) << VIRTIO_NET_F_HOST_ECN;
        (needed | checksum | ecn) & !self.acknowledged == 0
    }

    /// The offloads of the TAP that this guest has agreed to. The length of the TAP's header stays, also for a guest with
    /// another length.
    #[must_use]
    pub fn offload(&self, tap: Offload) -> Offload {
        tap.with_virtio_features(self.acknowledged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSUM: u64 = 1;
    const GUEST_CSUM: u64 = 1 << 1;
    const GUEST_TSO4: u64 = 1 << 7;
    const HOST_TSO4: u64 = 1 << 11;
    const MRG: u64 = 1 << 15;
    const MQ: u64 = 1 << 22;
    const VERSION_1: u64 = 1 << 32;

    #[test]
    fn offers_what_the_tap_granted() {
        let bits = offered(Some(Offload::ALL), 1);
        assert_eq!(
            bits & (CSUM | GUEST_CSUM | GUEST_TSO4 | HOST_TSO4),
            CSUM | GUEST_CSUM | GUEST_TSO4 | HOST_TSO4
        );
        assert_eq!(bits & MQ, 0);
    }

    #[test]
    fn offers_software_offloads_in_front_of_a_bare_tap() {
        let bits = offered(Some(Offload::NONE), 1);
        assert_eq!(bits & (CSUM | HOST_TSO4), CSUM | HOST_TSO4);
        assert_eq!(bits & (GUEST_CSUM | GUEST_TSO4), 0);
    }

    #[test]
    fn offers_no_offload_when_told_so() {
        assert_eq!(offered(None, 2), ALWAYS | MQ);
    }

    #[test]
    fn a_legacy_guest_has_the_short_header() {
        assert_eq!(Negotiated::new(0).header_len, 10);
        assert_eq!(Negotiated::new(MRG).header_len, 12);
        assert_eq!(Negotiated::new(VERSION_1).header_len, 12);
        assert!(Negotiated::new(MRG).mergeable && !Negotiated::new(VERSION_1).mergeable);
    }

    #[test]
    fn a_guest_may_ask_for_what_it_agreed_to_only() {
        const HOST_ECN: u64 = 1 << 13;
        let cases = [
            (0, 0, 0, true),
            (0, 1, 0, false),
            (CSUM, 1, 0, true),
            (CSUM, 1, 1, false),
            (CSUM | HOST_TSO4, 1, 1, true),
            (CSUM | HOST_TSO4, 1, 0x81, false),
            (CSUM | HOST_TSO4 | HOST_ECN, 1, 0x81, true),
            (CSUM | HOST_TSO4, 1, 4, false),
            (CSUM | HOST_TSO4, 1, 3, false),
            (CSUM | HOST_TSO4, 1, 5, false),
            (CSUM | 1 << 56, 1, 5, true),
        ];
        for (features, flags, kind, may) in cases {
            assert_eq!(
                Negotiated::new(features).may_ask(flags, kind),
                may,
                "{features:#x} {flags} {kind:#x}"
            );
        }
    }

    #[test]
    fn the_tap_keeps_its_header_and_a_bare_one_gets_nothing() {
        let guest = Negotiated::new(GUEST_CSUM | GUEST_TSO4);
        assert!(guest.checksum && guest.oversized);
        let wanted = guest.offload(Offload::ALL);
        assert!(wanted.header_len == 12 && wanted.tcp4 && !wanted.tcp6);
        assert_eq!(guest.offload(Offload::NONE), Offload::NONE);
    }
}

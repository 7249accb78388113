//! Work the host does for the guest, asked for and granted.

/// A set of offloads: what is asked for in [`Config::offload`](crate::Config::offload), and what a
/// [`Tap`](crate::Tap) really has.
///
/// The flags say what the *host may hand to the guest*: unfinished checksums and oversized frames on receive. Where there is
/// a header, the host also takes unfinished checksums and oversized frames from the guest on transmit, whatever the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Offload {
    /// Bytes of virtio-net header before every frame, both ways: 0 (none), 10 or 12.
    pub header_len: usize,
    /// Received frames may carry a partial checksum.
    pub checksum: bool,
    /// Received frames may be oversized TCP over IPv4.
    pub tcp4: bool,
    /// Received frames may be oversized TCP over IPv6.
    pub tcp6: bool,
    /// Received oversized TCP frames may carry CWR (ECN).
    pub tcp_ecn: bool,
    /// Received frames may be oversized UDP, for both IP versions (USO).
    pub udp: bool,
}

impl Offload {
    /// Bare frames: no header, every received frame complete and within the MTU.
    pub const NONE: Self =
        Self { header_len: 0, checksum: false, tcp4: false, tcp6: false, tcp_ecn: false, udp: false };

    /// A 12-byte virtio-net header (`VIRTIO_F_VERSION_1`) and every offload the host has.
    pub const ALL: Self =
        Self { header_len: 12, checksum: true, tcp4: true, tcp6: true, tcp_ecn: true, udp: true };

    /// A 12-byte virtio-net header (`VIRTIO_F_VERSION_1`, `VIRTIO_NET_F_MRG_RXBUF`) and no offload on receive.
    pub const HEADER_12: Self = Self { header_len: 12, ..Self::NONE };

    /// A 10-byte virtio-net header and no offload on receive.
    pub const HEADER_10: Self = Self { header_len: 10, ..Self::NONE };

    /// A header of `header_len` bytes and no offload on receive.
    ///
    /// # Errors
    /// `None` for a length other than 10 and 12.
    #[must_use]
    pub fn with_header(header_len: usize) -> Option<Self> {
        matches!(header_len, 10 | 12).then_some(Self { header_len, ..Self::NONE })
    }

    /// The offloads a guest has agreed to receive, from the feature bits it acknowledged (virtio 1.2, 5.1.3).
    ///
    /// The header has 12 bytes for a guest with `VIRTIO_F_VERSION_1` or `VIRTIO_NET_F_MRG_RXBUF`, else 10. A bit without
    /// those it depends on counts for nothing, and neither does `VIRTIO_NET_F_GUEST_UFO`: no host here hands out IP
    /// fragments to be joined.
    ///
    /// ```
    /// use tap_plumb::Offload;
    /// let acknowledged = 1 << 32 | 1 << 1 | 1 << 7; // VERSION_1, GUEST_CSUM, GUEST_TSO4
    /// let offload = Offload::from_virtio_features(acknowledged);
    /// assert!(offload.header_len == 12 && offload.checksum && offload.tcp4 && !offload.tcp6);
    /// ```
    #[must_use]
    pub fn from_virtio_features(features: u64) -> Self {
        let has = |bit: u64| features & bit == bit;
        let checksum = has(GUEST_CSUM);
        let (tcp4, tcp6) = (checksum && has(GUEST_TSO4), checksum && has(GUEST_TSO6));
        Self {
            header_len: if has(VERSION_1) || has(MRG_RXBUF) { 12 } else { 10 },
            checksum,
            tcp4,
            tcp6,
            tcp_ecn: (tcp4 || tcp6) && has(GUEST_ECN),
            udp: checksum && has(GUEST_USO4 | GUEST_USO6),
        }
    }

    /// [`from_virtio_features`](Self::from_virtio_features) with the header of `self`: for a guest that changes its offloads while
    /// it runs (`VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET`), by bits that say nothing about the header. Without a header there is
    /// no offload.
    ///
    /// ```
    /// use tap_plumb::Offload;
    /// let running = Offload::HEADER_12.with_virtio_features(1 << 1 | 1 << 7); // GUEST_CSUM, GUEST_TSO4
    /// assert!(running.header_len == 12 && running.tcp4 && !running.tcp6);
    /// assert_eq!(running.with_virtio_features(0), Offload::HEADER_12);
    /// ```
    #[must_use]
    pub fn with_virtio_features(self, features: u64) -> Self {
        let granted = if self.header_len == 0 { Self::NONE } else { Self::from_virtio_features(features) };
        Self { header_len: self.header_len, ..granted }
    }

    /// The feature bits to offer a guest in front of a host with these offloads (virtio 1.2, 5.1.3).
    ///
    /// What a guest may *send* does not depend on the host: checksums, TCP and UDP segmentation are done in software where
    /// the host cannot. Bits that say nothing about offloads, such as `VIRTIO_F_VERSION_1`, are the caller's.
    #[must_use]
    pub fn virtio_features(self) -> u64 {
        let flags = [
            (self.checksum, GUEST_CSUM),
            (self.checksum && self.tcp4, GUEST_TSO4),
            (self.checksum && self.tcp6, GUEST_TSO6),
            (self.checksum && self.tcp_ecn && (self.tcp4 || self.tcp6), GUEST_ECN),
            (self.checksum && self.udp, GUEST_USO4 | GUEST_USO6),
        ];
        flags.iter().filter(|(on, _)| *on).fold(TRANSMIT, |bits, (_, bit)| bits | bit)
    }
}

// Feature bits of a virtio network device (virtio 1.2, 5.1.3 and 6).
const CSUM: u64 = 1;
const GUEST_CSUM: u64 = 1 << 1;
const GUEST_TSO4: u64 = 1 << 7;
const GUEST_TSO6: u64 = 1 << 8;
const GUEST_ECN: u64 = 1 << 9;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const HOST_ECN: u64 = 1 << 13;
const MRG_RXBUF: u64 = 1 << 15;
const VERSION_1: u64 = 1 << 32;
const GUEST_USO4: u64 = 1 << 54;
const GUEST_USO6: u64 = 1 << 55;
const HOST_USO: u64 = 1 << 56;
/// What a guest may leave to the host on transmit.
const TRANSMIT: u64 = CSUM | HOST_TSO4 | HOST_TSO6 | HOST_ECN | HOST_USO;

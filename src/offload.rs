//! Work the host does for the guest, asked for and granted.

/// A set of offloads: what is asked for in [`Config::offload`](crate::Config::offload), and what a
/// [`Tap`](crate::Tap) really has.
///
/// The flags say what the *host may hand to the guest*: unfinished checksums and oversized frames on receive. With
/// any header the host takes the same from the guest on transmit, whatever the flags.
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

    /// A header of `header_len` bytes and no offload on receive.
    ///
    /// # Errors
    /// `None` for a length other than 10 and 12.
    #[must_use]
    pub fn with_header(header_len: usize) -> Option<Self> {
        matches!(header_len, 10 | 12).then_some(Self { header_len, ..Self::NONE })
    }
}

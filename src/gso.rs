//! The segmentation context a guest hands over with an oversized frame.

use thiserror::Error;

/// What an oversized frame is to be cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GsoKind {
    /// TCP over IPv4 (TSO).
    Tcp4,
    /// TCP over IPv6 (TSO).
    Tcp6,
    /// One UDP datagram over IPv4, cut into IP fragments (UFO).
    Udp4Fragments,
    /// UDP over IPv4, cut into datagrams of their own (USO).
    Udp4Datagrams,
    /// UDP over IPv6, cut into datagrams of their own (USO).
    Udp6Datagrams,
    /// TCP over IPv6 inside IPv4.
    Tcp6In4,
    /// UDP datagrams over IPv6 inside IPv4.
    Udp6In4,
}

/// The segmentation context of one oversized frame. Offsets count from the first byte of the Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gso {
    /// What the frame is to be cut into.
    pub kind: GsoKind,
    /// Bytes of all headers, the Ethernet header included; the payload starts there.
    pub header_len: u16,
    /// Payload bytes a segment; for [`GsoKind::Udp4Fragments`] the IP payload bytes a fragment.
    pub segment_size: u16,
    /// Where the (outer) IP header starts.
    pub network_offset: u16,
    /// Where the TCP or UDP header starts.
    pub transport_offset: u16,
}

/// Why a frame with its segmentation or checksum context was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The virtio-net header names a type that does not exist.
    #[error("unknown segmentation type")]
    UnknownKind,
}

//! Why a frame is refused.

use thiserror::Error;

/// Why a frame with its segmentation or checksum context was refused.
///
/// A refusal says that the guest, or whoever made the frame, contradicts itself; sending the same again cannot succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The virtio-net header is shorter than its 10 fixed bytes.
    #[error("the virtio-net header is cut short")]
    ShortVirtioHeader,
    /// The virtio-net header names a type that does not exist, or sets the mark of ECN on one that cannot have it.
    #[error("unknown segmentation type")]
    UnknownKind,
    /// UDP is to be cut, but the virtio-net header leaves no checksum to be completed.
    #[error("UDP segmentation without an unfinished checksum")]
    UdpWithoutChecksum,
    /// The segment size is 0, or below 8 for IP fragments.
    #[error("the segment size is too small")]
    SegmentSize,
    /// No IP header can start, or none starts, at the network offset.
    #[error("the network offset is wrong")]
    NetworkOffset,
    /// No TCP or UDP header can start, or none starts, at the transport offset.
    #[error("the transport offset is wrong")]
    TransportOffset,
    /// The header length is not where the payload starts.
    #[error("the header length is wrong")]
    HeaderLength,
    /// The Ethernet type is not that of the kind's IP version, or there are too many VLAN tags.
    #[error("the Ethernet type does not fit the segmentation type")]
    EtherType,
    /// The version in the IP header is not that of the Ethernet type, or of the protocol number in a tunnel.
    #[error("the IP version is wrong")]
    IpVersion,
    /// The IPv4 header length is below 20 bytes.
    #[error("the IPv4 header length is wrong")]
    IpHeaderLength,
    /// The IPv4 protocol or the last IPv6 next header is not the kind's.
    #[error("the IP protocol does not fit the segmentation type")]
    Protocol,
    /// The packet goes by a route of its sender's (an IPv6 routing header with segments left, a home address, an IPv4 source
    /// route). Its transport checksum covers other addresses than the header's, and the frame has no unfinished checksum that
    /// holds their sum. With an unfinished one such a frame is cut all the same.
    #[error("the sender gave the packet a route (source route, routing header)")]
    SourceRouted,
    /// The packet is an IP fragment already.
    #[error("the packet is a fragment")]
    Fragment,
    /// The TCP data offset is below 20 bytes.
    #[error("the TCP data offset is wrong")]
    TcpDataOffset,
    /// The headers reach beyond the end of the frame.
    #[error("the frame is cut short")]
    Truncated,
    /// The headers are longer than any that this crate rewrites (8 KiB).
    #[error("the headers are too long")]
    HeadersTooLong,
    /// The IP packet is longer than its length field can say: 65535 bytes of IPv4, 65575 of IPv6, each with its header.
    #[error("the IP packet is too long")]
    PacketTooLong,
    /// The unfinished checksum lies outside the frame, or starts before any transport header could.
    #[error("the checksum lies outside the packet")]
    ChecksumRange,
    /// The unfinished checksum of an oversized frame is not that of its TCP or UDP header.
    #[error("the checksum field is not that of the TCP or UDP header")]
    ChecksumPlace,
    /// A data link drops the frame for its VLAN tag. Such a tag names neither a VLAN nor a priority, is cut short, or names
    /// a VLAN inside the link's own.
    #[error("the link drops frames with this VLAN tag")]
    VlanTag,
}

impl RejectReason {
    /// Every reason, in order; `reason as usize` is its place. Counters by reason are arrays of this length.
    pub(crate) const ALL: [Self; 20] = [
        Self::ShortVirtioHeader,
        Self::UnknownKind,
        Self::UdpWithoutChecksum,
        Self::SegmentSize,
        Self::NetworkOffset,
        Self::TransportOffset,
        Self::HeaderLength,
        Self::EtherType,
        Self::IpVersion,
        Self::IpHeaderLength,
        Self::Protocol,
        Self::SourceRouted,
        Self::Fragment,
        Self::TcpDataOffset,
        Self::Truncated,
        Self::HeadersTooLong,
        Self::PacketTooLong,
        Self::ChecksumRange,
        Self::ChecksumPlace,
        Self::VlanTag,
    ];
}

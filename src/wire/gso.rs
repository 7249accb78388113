//! The segmentation context a guest hands over with an oversized frame.

use super::headers::{ethernet, ipv4, ipv6, tcp, udp};
use super::reject::RejectReason;

/// The longest IPv4 packet, in bytes with its header: its length field has 16 bits and counts the header (RFC 791).
pub(crate) const LONGEST_IPV4: usize = 65_535;
/// The longest IPv6 packet, in bytes with its header, which its length field does not count (RFC 8200 3).
const LONGEST_IPV6: usize = ipv6::LEN + 65_535;

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
    /// One UDP datagram over IPv6, cut into IP fragments (UFO).
    Udp6Fragments,
    /// UDP over IPv6, cut into datagrams of their own (USO).
    Udp6Datagrams,
    /// TCP over IPv6 inside IPv4.
    Tcp6In4,
    /// UDP datagrams over IPv6 inside IPv4.
    Udp6In4,
}

impl GsoKind {
    pub(crate) fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp4 | Self::Tcp6 | Self::Tcp6In4)
    }

    pub(crate) fn is_tunnel(self) -> bool {
        matches!(self, Self::Tcp6In4 | Self::Udp6In4)
    }

    /// Whether the packet the link carries, the outer one of a tunnel, is IPv6.
    pub(crate) fn outer_is_ipv6(self) -> bool {
        matches!(self, Self::Tcp6 | Self::Udp6Fragments | Self::Udp6Datagrams)
    }

    /// Whether the packet whose addresses the transport checksum covers is IPv6.
    pub(crate) fn inner_is_ipv6(self) -> bool {
        self.outer_is_ipv6() || self.is_tunnel()
    }

    pub(crate) fn is_fragments(self) -> bool {
        matches!(self, Self::Udp4Fragments | Self::Udp6Fragments)
    }

    /// The longest packet that can carry it, in bytes with its IP header.
    #[inline]
    pub(crate) fn longest_packet(self) -> usize {
        if self.outer_is_ipv6() { LONGEST_IPV6 } else { LONGEST_IPV4 }
    }

    fn ip_header_fits(self, len: usize) -> bool {
        match (self.is_tunnel(), self.outer_is_ipv6()) {
            (true, _) => len >= ipv4::LEN + ipv6::LEN && len.is_multiple_of(4),
            (_, true) => len >= ipv6::LEN && len.is_multiple_of(ipv6::UNIT),
            _ => (ipv4::LEN..=ipv4::LONGEST).contains(&len) && len.is_multiple_of(4),
        }
    }

    fn transport_header_fits(self, len: usize) -> bool {
        if self.is_tcp() {
            (tcp::LEN..=tcp::LONGEST).contains(&len) && len.is_multiple_of(4)
        } else {
            len == udp::LEN
        }
    }
}

/// The segmentation context of one oversized frame. Offsets count from the first byte of the Ethernet header.
///
/// Every field must match the frame it goes with; [`Frame::validate`](crate::Frame::validate) and every send check that
/// against the frame's own bytes. The lengths and checksums *inside* the frame's headers are not read. They are written
/// anew from the frame's real length, so a guest may leave anything there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gso {
    /// What the frame is to be cut into.
    pub kind: GsoKind,
    /// Bytes of all headers, the Ethernet header included; the payload starts there.
    pub header_len: u16,
    /// Payload bytes in each segment. For [`GsoKind::Udp4Fragments`] and [`GsoKind::Udp6Fragments`] the bytes of the datagram
    /// in each fragment, the UDP header included, of which only whole multiples of 8 are used.
    pub segment_size: u16,
    /// Where the (outer) IP header starts.
    pub network_offset: u16,
    /// Where the TCP or UDP header starts.
    pub transport_offset: u16,
}

impl Gso {
    /// Checks all that can be told from the context and the length of its frame, in bytes with the Ethernet header and
    /// without FCS. A context that passes may still contradict the frame's content.
    ///
    /// # Errors
    /// The first contradiction found.
    ///
    /// ```
    /// use tap_plumb::{Gso, GsoKind};
    /// let gso =
    ///     Gso { kind: GsoKind::Tcp4, header_len: 54, segment_size: 1448, network_offset: 14, transport_offset: 34 };
    /// assert!(gso.check_layout(65_000).is_ok());
    /// assert!(gso.check_layout(54).is_ok(), "without payload it is one segment");
    /// assert!(gso.check_layout(53).is_err(), "its headers are cut short");
    /// ```
    pub fn check_layout(&self, frame_len: usize) -> Result<(), RejectReason> {
        self.segment_payload()?;
        self.check_offsets()?;
        let (network, header_len) = (usize::from(self.network_offset), usize::from(self.header_len));
        if frame_len < header_len {
            return Err(RejectReason::Truncated);
        }
        if frame_len - network > self.kind.longest_packet() {
            Err(RejectReason::PacketTooLong)
        } else {
            Ok(())
        }
    }

    fn check_offsets(&self) -> Result<(), RejectReason> {
        let (network, transport) = (usize::from(self.network_offset), usize::from(self.transport_offset));
        let tags = network.checked_sub(ethernet::LEN).ok_or(RejectReason::NetworkOffset)?;
        if !tags.is_multiple_of(ethernet::TAG_LEN) || tags / ethernet::TAG_LEN > ethernet::MOST_TAGS {
            return Err(RejectReason::NetworkOffset);
        }
        if !transport.checked_sub(network).is_some_and(|len| self.kind.ip_header_fits(len)) {
            return Err(RejectReason::TransportOffset);
        }
        let header = usize::from(self.header_len).checked_sub(transport);
        if header.is_some_and(|len| self.kind.transport_header_fits(len)) {
            Ok(())
        } else {
            Err(RejectReason::HeaderLength)
        }
    }

    /// Bytes that each segment but the last carries behind the headers it repeats.
    ///
    /// Fragments start on multiples of 8 bytes (RFC 791), so a fragment's size is rounded down; anything else would
    /// make them overlap.
    pub(crate) fn segment_payload(&self) -> Result<usize, RejectReason> {
        let size = usize::from(self.segment_size);
        let usable = if self.kind.is_fragments() { size - size % ipv4::FRAGMENT_UNIT } else { size };
        if usable == 0 { Err(RejectReason::SegmentSize) } else { Ok(usable) }
    }
}

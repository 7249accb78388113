//! The one validator: reads a frame's headers and holds the context against them.

use crate::segmentation::frame::Checksum;
use crate::wire::gso::{Gso, GsoKind, LONGEST_PACKET};
use crate::wire::headers::{Front, ethernet, ipv4, ipv6, protocol, tcp, udp};
use crate::wire::reject::RejectReason;

/// Where a frame's headers lie, read from the frame itself. Everything counts from the first byte of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) kind: GsoKind,
    /// The (outer) IP header.
    pub(crate) network: usize,
    /// The IP header whose addresses the transport checksum covers: the inner one of a tunnel, else `network`.
    pub(crate) inner: usize,
    pub(crate) transport: usize,
    pub(crate) header_len: usize,
    pub(crate) frame_len: usize,
}

impl Layout {
    pub(crate) fn transport_protocol(&self) -> u8 {
        if self.kind.is_tcp() { protocol::TCP } else { protocol::UDP }
    }

    /// Where the transport checksum lies, counted from the transport header.
    pub(crate) fn checksum_offset(&self) -> usize {
        if self.kind.is_tcp() { tcp::CHECKSUM } else { udp::CHECKSUM }
    }

    pub(crate) fn is_checksum(&self, start: u16, offset: u16) -> bool {
        usize::from(start) == self.transport && usize::from(offset) == self.checksum_offset()
    }
}

/// Holds `gso` and `checksum` against the frame.
///
/// The lengths inside the headers are not compared with the frame: senders leave them 0 or wrong where the device is to
/// write them, and all of them are written anew.
pub(crate) fn validate(gso: &Gso, checksum: Checksum, front: Front<'_>) -> Result<Layout, RejectReason> {
    gso.check_layout(front.frame_len)?;
    let layout = survey(gso.kind, front)?;
    if layout.network != usize::from(gso.network_offset) {
        return Err(RejectReason::NetworkOffset);
    }
    if layout.transport != usize::from(gso.transport_offset) {
        return Err(RejectReason::TransportOffset);
    }
    if layout.header_len != usize::from(gso.header_len) {
        return Err(RejectReason::HeaderLength);
    }
    match checksum {
        Checksum::Partial { start, offset } if !layout.is_checksum(start, offset) => {
            Err(RejectReason::ChecksumPlace)
        }
        _ => Ok(layout),
    }
}

/// Reads where the headers of a frame of `kind` lie.
pub(crate) fn survey(kind: GsoKind, front: Front<'_>) -> Result<Layout, RejectReason> {
    let (network, ether_type) = network_header(front)?;
    let expected = if kind.outer_is_ipv6() { ethernet::IPV6 } else { ethernet::IPV4 };
    if ether_type != expected {
        return Err(RejectReason::EtherType);
    }
    let last = if kind.is_tcp() { protocol::TCP } else { protocol::UDP };
    let (inner, transport) = match (kind.is_tunnel(), kind.outer_is_ipv6()) {
        (true, _) => {
            let inner = ipv4_end(front, network, protocol::IPV6)?;
            (inner, ipv6_end(front, inner, last)?)
        }
        (_, true) => (network, ipv6_end(front, network, last)?),
        _ => (network, ipv4_end(front, network, last)?),
    };
    let header_len = transport + transport_header(kind, front, transport)?;
    let layout = Layout { kind, network, inner, transport, header_len, frame_len: front.frame_len };
    check_lengths(&layout, front).map(|()| layout)
}

fn check_lengths(layout: &Layout, front: Front<'_>) -> Result<(), RejectReason> {
    // The last byte of the headers; all before it are there when it is.
    front.byte(layout.header_len - 1)?;
    if layout.frame_len == layout.header_len {
        return Err(RejectReason::NoPayload);
    }
    if layout.frame_len - layout.network > LONGEST_PACKET { Err(RejectReason::PacketTooLong) } else { Ok(()) }
}

/// Steps over the Ethernet header and its VLAN tags: where the packet starts, and its Ethernet type.
pub(crate) fn network_header(front: Front<'_>) -> Result<(usize, u16), RejectReason> {
    let mut at = ethernet::TYPE;
    for _ in 0..=ethernet::MOST_TAGS {
        match front.word(at)? {
            ethernet::VLAN | ethernet::SERVICE_VLAN => at += ethernet::TAG_LEN,
            ether_type => return Ok((at + 2, ether_type)),
        }
    }
    Err(RejectReason::EtherType)
}

fn ipv4_end(front: Front<'_>, at: usize, expected: u8) -> Result<usize, RejectReason> {
    let first = front.byte(at)?;
    let len = 4 * usize::from(first & 0x0f);
    if first >> 4 != 4 {
        return Err(RejectReason::IpVersion);
    }
    if len < ipv4::LEN {
        return Err(RejectReason::IpHeaderLength);
    }
    if front.word(at + ipv4::FRAGMENT)? & (ipv4::MORE_FRAGMENTS | ipv4::FRAGMENT_OFFSET) != 0 {
        return Err(RejectReason::Fragment);
    }
    if front.byte(at + ipv4::PROTOCOL)? != expected {
        return Err(RejectReason::Protocol);
    }
    Ok(at + len)
}

fn ipv6_end(front: Front<'_>, at: usize, expected: u8) -> Result<usize, RejectReason> {
    if front.byte(at)? >> 4 != 6 {
        return Err(RejectReason::IpVersion);
    }
    let mut next = front.byte(at + ipv6::NEXT_HEADER)?;
    let mut end = at + ipv6::LEN;
    while next != expected {
        let len = extension_header(front, next, end)?;
        next = front.byte(end)?;
        end += len;
    }
    Ok(end)
}

/// The length of the extension header `kind` at `at`. The kinds are those that Linux steps over when it cuts; behind
/// any other (a fragment, encryption) the transport header could not be rewritten.
fn extension_header(front: Front<'_>, kind: u8, at: usize) -> Result<usize, RejectReason> {
    let len = ipv6::UNIT * (1 + usize::from(front.byte(at + 1)?));
    match kind {
        protocol::HOP_BY_HOP => Ok(len),
        protocol::ROUTING if front.byte(at + ipv6::SEGMENTS_LEFT)? != 0 => Err(RejectReason::SourceRouted),
        protocol::ROUTING => Ok(len),
        protocol::DESTINATION_OPTIONS if has_home_address(front, at + 2, at + len)? => {
            Err(RejectReason::SourceRouted)
        }
        protocol::DESTINATION_OPTIONS => Ok(len),
        protocol::FRAGMENT => Err(RejectReason::Fragment),
        _ => Err(RejectReason::Protocol),
    }
}

/// Walks the options between `at` and `end` (RFC 8200 4.2).
fn has_home_address(front: Front<'_>, mut at: usize, end: usize) -> Result<bool, RejectReason> {
    while at < end {
        match front.byte(at)? {
            ipv6::HOME_ADDRESS_OPTION => return Ok(true),
            0 => at += 1,
            _ => at += 2 + usize::from(front.byte(at + 1)?),
        }
    }
    Ok(false)
}

fn transport_header(kind: GsoKind, front: Front<'_>, at: usize) -> Result<usize, RejectReason> {
    if !kind.is_tcp() {
        return Ok(udp::LEN);
    }
    let len = 4 * usize::from(front.byte(at + tcp::DATA_OFFSET)? >> 4);
    if len < tcp::LEN { Err(RejectReason::TcpDataOffset) } else { Ok(len) }
}

//! Where a frame's headers lie: the one reader of them.

use std::ops::Range;

use super::checksum::Sum;
use super::gso::{Gso, GsoKind, LONGEST_IPV4};
use super::headers::{ethernet, ipv4, ipv6, protocol, tcp, udp};
use super::reject::RejectReason;
use super::whole::length;

/// The first bytes of a frame, fetched into memory of our own once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderBytes<'h> {
    bytes: &'h [u8],
    /// Bytes of the whole frame.
    pub frame_len: usize,
}

impl<'h> HeaderBytes<'h> {
    #[inline]
    pub fn new(bytes: &'h [u8], frame_len: usize) -> Self {
        Self { bytes, frame_len }
    }

    /// Reads `N` bytes at `at`. A frame that ends before is cut short; bytes that were not fetched make headers too long.
    #[inline]
    fn read<const N: usize>(&self, at: usize) -> Result<[u8; N], RejectReason> {
        match self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => Ok(*bytes),
            None if at + N > self.frame_len => Err(RejectReason::Truncated),
            None => Err(RejectReason::HeadersTooLong),
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> Result<u8, RejectReason> {
        self.read::<1>(at).map(|[byte]| byte)
    }

    #[inline]
    fn word(&self, at: usize) -> Result<u16, RejectReason> {
        self.read(at).map(u16::from_be_bytes)
    }

    /// Steps over the Ethernet header and its VLAN tags: where the packet starts, and its Ethernet type.
    #[inline]
    pub fn network_header(&self) -> Result<(usize, u16), RejectReason> {
        let mut at = ethernet::TYPE;
        for _ in 0..=ethernet::MOST_TAGS {
            match self.word(at)? {
                ethernet::VLAN | ethernet::SERVICE_VLAN => at += ethernet::TAG_LEN,
                ether_type => return Ok((at + 2, ether_type)),
            }
        }
        Err(RejectReason::EtherType)
    }

    /// Where the IPv4 header lies, of a frame that has one.
    pub fn ipv4_header(&self) -> Result<Range<usize>, RejectReason> {
        let (at, ether_type) = self.network_header()?;
        if ether_type != ethernet::IPV4 {
            return Err(RejectReason::EtherType);
        }
        let end = at + ipv4_header_len(self, at)?;
        self.byte(end - 1)?;
        Ok(at..end)
    }
}

/// Where a frame's headers lie, read from the frame itself. Everything counts from the first byte of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub kind: GsoKind,
    /// The (outer) IP header.
    pub network: usize,
    /// The IP header whose addresses the transport checksum covers: the inner one of a tunnel, else `network`.
    pub inner: usize,
    pub transport: usize,
    /// The byte of an IPv6 header, or of an extension header, that names the transport protocol.
    pub protocol: usize,
    /// Where the payload starts.
    pub headers_end: usize,
    pub frame_len: usize,
    /// The transport checksum covers other addresses than the header's.
    pub routed: bool,
}

impl Layout {
    /// Where the transport checksum lies, counted from the transport header.
    pub fn checksum_offset(&self) -> usize {
        if self.kind.is_tcp() { tcp::CHECKSUM } else { udp::CHECKSUM }
    }

    pub fn is_checksum(&self, start: u16, offset: u16) -> bool {
        usize::from(start) == self.transport && usize::from(offset) == self.checksum_offset()
    }

    /// The sum of the pseudo header's addresses and protocol; its length is the caller's to add. To be asked before any
    /// header is changed.
    #[inline]
    pub fn pseudo_header(&self, headers: &[u8]) -> Sum {
        if self.routed {
            return self.stated_sum(headers);
        }
        let addresses = if self.kind.inner_is_ipv6() { ipv6::ADDRESSES } else { ipv4::ADDRESSES };
        let mut sum = Sum::default();
        sum.bytes(&headers[self.inner..][addresses]);
        sum.number(if self.kind.is_tcp() { protocol::TCP } else { protocol::UDP }.into());
        sum
    }

    /// The sum of the pseudo header as its sender left it, without the length. Linux goes on from this sum. It takes the
    /// length for TCP from the packet, and that for UDP from the UDP header.
    #[cold]
    fn stated_sum(&self, headers: &[u8]) -> Sum {
        let word = |at: usize| u16::from_be_bytes([headers[at], headers[at + 1]]);
        let len = if self.kind.is_tcp() {
            length(self.frame_len - self.transport)
        } else {
            word(self.transport + udp::LENGTH)
        };
        let mut sum = Sum::default();
        sum.number(word(self.transport + self.checksum_offset()));
        sum.number(!len);
        sum
    }

    /// The context that describes this frame, to be cut into segments of `segment_size` payload bytes.
    #[inline]
    pub fn gso(&self, segment_size: u16) -> Gso {
        Gso {
            kind: self.kind,
            header_len: offset(self.headers_end),
            segment_size,
            network_offset: offset(self.network),
            transport_offset: offset(self.transport),
        }
    }

    /// Reads where the headers of a frame of `kind` lie.
    #[inline]
    pub fn read(kind: GsoKind, headers: &HeaderBytes<'_>) -> Result<Self, RejectReason> {
        match Self::plain_tcp4(kind, headers) {
            Some(layout) => Ok(layout),
            None => Self::walk(kind, headers),
        }
    }

    /// TCP over IPv4 without tags, IP options and anything unusual, recognised by one branch: what guests send most.
    #[inline]
    fn plain_tcp4(kind: GsoKind, headers: &HeaderBytes<'_>) -> Option<Self> {
        let bytes: &[u8; PLAIN_TCP4] = headers.bytes.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (network, transport) = (ethernet::LEN, ethernet::LEN + ipv4::LEN);
        let headers_end = transport + 4 * usize::from(bytes[transport + tcp::DATA_OFFSET] >> 4);
        let plain = (kind == GsoKind::Tcp4)
            & (word(ethernet::TYPE) == ethernet::IPV4)
            & (bytes[network] == 0x45)
            & (word(network + ipv4::FRAGMENT) & (ipv4::MORE_FRAGMENTS | ipv4::FRAGMENT_OFFSET) == 0)
            & (bytes[network + ipv4::PROTOCOL] == protocol::TCP)
            & (headers_end >= PLAIN_TCP4)
            & (headers.bytes.len() >= headers_end)
            & (headers.frame_len - network <= LONGEST_IPV4);
        let (frame_len, protocol) = (headers.frame_len, network + ipv4::PROTOCOL);
        let layout = Self {
            kind,
            network,
            inner: network,
            transport,
            protocol,
            headers_end,
            frame_len,
            routed: false,
        };
        plain.then_some(layout)
    }

    /// Walks from header to header.
    #[inline(never)]
    fn walk(kind: GsoKind, headers: &HeaderBytes<'_>) -> Result<Self, RejectReason> {
        let (network, ether_type) = headers.network_header()?;
        let expected = if kind.outer_is_ipv6() { ethernet::IPV6 } else { ethernet::IPV4 };
        if ether_type != expected {
            return Err(RejectReason::EtherType);
        }
        let last = if kind.is_tcp() { protocol::TCP } else { protocol::UDP };
        let (inner, end) = match (kind.is_tunnel(), kind.outer_is_ipv6()) {
            (true, _) => {
                let outer = ipv4_end(headers, network, protocol::IPV6)?;
                (outer.at, ipv6_end(headers, outer.at, last)?)
            }
            (_, true) => (network, ipv6_end(headers, network, last)?),
            _ => (network, ipv4_end(headers, network, last)?),
        };
        let (frame_len, transport) = (headers.frame_len, end.at);
        let headers_end = transport + transport_header(kind, headers, transport)?;
        let layout = Self {
            kind,
            network,
            inner,
            transport,
            protocol: end.protocol,
            headers_end,
            frame_len,
            routed: end.routed,
        };
        check_lengths(&layout, headers).map(|()| layout)
    }
}

/// Ethernet, IPv4 and TCP headers without options.
const PLAIN_TCP4: usize = ethernet::LEN + ipv4::LEN + tcp::LEN;

/// An offset that the reader has bounded by the 8 KiB that are fetched.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the bytes that are fetched")]
#[inline]
fn offset(value: usize) -> u16 {
    debug_assert!(value <= usize::from(u16::MAX));
    value as u16
}

/// Where an IP header ends, with all that belongs to it.
struct End {
    at: usize,
    /// The byte that names what follows.
    protocol: usize,
    /// The packet goes by a route of its sender's.
    routed: bool,
}

fn check_lengths(layout: &Layout, headers: &HeaderBytes<'_>) -> Result<(), RejectReason> {
    // The last byte of the headers; all before it are there when it is.
    headers.byte(layout.headers_end - 1)?;
    if layout.frame_len - layout.network > layout.kind.longest_packet() {
        return Err(RejectReason::PacketTooLong);
    }
    Ok(())
}

fn ipv4_header_len(headers: &HeaderBytes<'_>, at: usize) -> Result<usize, RejectReason> {
    let first = headers.byte(at)?;
    let len = 4 * usize::from(first & 0x0f);
    if first >> 4 != 4 {
        return Err(RejectReason::IpVersion);
    }
    if len < ipv4::LEN { Err(RejectReason::IpHeaderLength) } else { Ok(len) }
}

fn ipv4_end(headers: &HeaderBytes<'_>, at: usize, expected: u8) -> Result<End, RejectReason> {
    let len = ipv4_header_len(headers, at)?;
    if headers.word(at + ipv4::FRAGMENT)? & (ipv4::MORE_FRAGMENTS | ipv4::FRAGMENT_OFFSET) != 0 {
        return Err(RejectReason::Fragment);
    }
    if headers.byte(at + ipv4::PROTOCOL)? != expected {
        return Err(RejectReason::Protocol);
    }
    let routed = len > ipv4::LEN && has_source_route(headers, at + ipv4::LEN, at + len)?;
    Ok(End { at: at + len, protocol: at + ipv4::PROTOCOL, routed })
}

/// Walks the options between `at` and `end` (RFC 791 3.1): a route whose pointer is behind its last address is at its end.
fn has_source_route(headers: &HeaderBytes<'_>, mut at: usize, end: usize) -> Result<bool, RejectReason> {
    while at + ipv4::ROUTE_POINTER < end {
        let len = headers.byte(at + ipv4::OPTION_LENGTH)?;
        match headers.byte(at)? {
            0 => break,
            ipv4::NO_OPERATION => at += 1,
            ipv4::LOOSE_ROUTE | ipv4::STRICT_ROUTE => {
                return Ok(headers.byte(at + ipv4::ROUTE_POINTER)? <= len);
            }
            // An option of less than its own two bytes ends the walk.
            _ if len < 2 => break,
            _ => at += usize::from(len),
        }
    }
    Ok(false)
}

fn ipv6_end(headers: &HeaderBytes<'_>, at: usize, expected: u8) -> Result<End, RejectReason> {
    if headers.byte(at)? >> 4 != 6 {
        return Err(RejectReason::IpVersion);
    }
    let mut end = End { at: at + ipv6::LEN, protocol: at + ipv6::NEXT_HEADER, routed: false };
    loop {
        let next = headers.byte(end.protocol)?;
        if next == expected {
            return Ok(end);
        }
        let (len, routed) = extension_header(headers, next, end.at)?;
        end = End { at: end.at + len, protocol: end.at, routed: end.routed | routed };
    }
}

/// The length of the extension header `kind` at `at`, and whether it puts another address in the place of the header's. The
/// kinds are those that Linux steps over when it cuts; behind any other (a fragment, encryption) the transport header could
/// not be rewritten.
fn extension_header(headers: &HeaderBytes<'_>, kind: u8, at: usize) -> Result<(usize, bool), RejectReason> {
    let len = ipv6::UNIT * (1 + usize::from(headers.byte(at + 1)?));
    match kind {
        protocol::HOP_BY_HOP => Ok((len, false)),
        protocol::ROUTING => Ok((len, headers.byte(at + ipv6::SEGMENTS_LEFT)? != 0)),
        protocol::DESTINATION_OPTIONS => Ok((len, has_home_address(headers, at + 2, at + len)?)),
        protocol::FRAGMENT => Err(RejectReason::Fragment),
        _ => Err(RejectReason::Protocol),
    }
}

/// Walks the options between `at` and `end` (RFC 8200 4.2).
fn has_home_address(headers: &HeaderBytes<'_>, mut at: usize, end: usize) -> Result<bool, RejectReason> {
    while at < end {
        match headers.byte(at)? {
            ipv6::HOME_ADDRESS_OPTION => return Ok(true),
            0 => at += 1,
            _ => at += 2 + usize::from(headers.byte(at + 1)?),
        }
    }
    Ok(false)
}

fn transport_header(kind: GsoKind, headers: &HeaderBytes<'_>, at: usize) -> Result<usize, RejectReason> {
    if !kind.is_tcp() {
        return Ok(udp::LEN);
    }
    let len = 4 * usize::from(headers.byte(at + tcp::DATA_OFFSET)? >> 4);
    if len < tcp::LEN { Err(RejectReason::TcpDataOffset) } else { Ok(len) }
}

//! How an oversized frame falls into segments, and what each one's headers say.

use std::ops::Range;

use crate::wire::checksum::Sum;
use crate::wire::headers::{ipv4, ipv6, put_word, tcp, udp};
use crate::wire::validate::Layout;
use crate::wire::vnet_header;

/// What goes into the transport checksum field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// The checksum over the whole datagram or segment.
    Full,
    /// The sum of the pseudo header only, for whoever completes it.
    Pseudo,
}

/// A frame's segments: how many there are, and which bytes go into each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Train {
    pub(crate) layout: Layout,
    /// Payload bytes a segment, counted from `split`.
    pub(crate) size: usize,
    /// Where the headers that each segment repeats end. IP fragments repeat the IP header only: what follows it, the
    /// UDP header included, is payload of the datagram being cut.
    split: usize,
    pub(crate) count: u32,
}

/// One segment: how much of the header it repeats, and which bytes of the frame follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) header_len: usize,
    pub(crate) payload: Range<usize>,
}

impl Span {
    #[inline]
    fn len(&self) -> usize {
        self.header_len + self.payload.len()
    }
}

impl Train {
    /// Cuts into segments of `size` payload bytes each, which must not be 0.
    pub(crate) fn new(layout: Layout, size: usize) -> Self {
        let split = if layout.kind.is_fragments() { layout.transport } else { layout.header_len };
        let count = (layout.frame_len - split).div_ceil(size);
        // At most one segment a byte of an IP packet, see LONGEST_PACKET.
        Self { layout, size, split, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    /// Leaves the frame in one piece.
    pub(crate) fn whole(layout: Layout) -> Self {
        Self::new(layout, layout.frame_len)
    }

    /// Whether the segments are IP fragments of one datagram. A datagram that fits in one is not a fragment.
    #[inline]
    fn fragments(&self) -> bool {
        self.layout.kind.is_fragments() && self.count > 1
    }

    #[inline]
    pub(crate) fn span(&self, index: u32) -> Span {
        let from = self.split + index as usize * self.size;
        let to = self.layout.frame_len.min(from + self.size);
        let header_len = if index == 0 { self.layout.header_len } else { self.split };
        Span { header_len, payload: from.max(header_len)..to }
    }

    /// The bytes behind the headers that segment `index`'s transport checksum covers; none where it has no such field.
    #[inline]
    pub(crate) fn checksummed(&self, index: u32) -> Option<Range<usize>> {
        match (self.fragments(), index) {
            (false, _) => Some(self.span(index).payload),
            (true, 0) => Some(self.layout.header_len..self.layout.frame_len),
            (true, _) => None,
        }
    }
}

/// The headers of a train, rewritten for one segment after the other.
#[derive(Debug)]
pub(crate) struct Prototype<'h> {
    /// Room for a virtio-net header, then the frame's headers.
    buffer: &'h mut [u8],
    pub(crate) train: Train,
    identification: u16,
    sequence: u32,
    flags: u8,
    /// What each segment's checksums have in common: the IPv4 header and the transport header without the fields that
    /// differ, and the pseudo header without the length.
    network_sum: Sum,
    transport_sum: Sum,
    addresses: Sum,
}

impl<'h> Prototype<'h> {
    /// Takes a copy of the frame's headers, as they came, behind `vnet_header::LONGEST` spare bytes.
    pub(crate) fn new(buffer: &'h mut [u8], train: Train) -> Self {
        let header = &buffer[vnet_header::LONGEST..];
        let Layout { kind, network, inner, transport, .. } = train.layout;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let tcp = kind.is_tcp();
        let sequence = transport + tcp::SEQUENCE;
        let mut addresses = Sum::default();
        addresses.bytes(if kind.outer_is_ipv6() || kind.is_tunnel() {
            &header[inner..][ipv6::ADDRESSES]
        } else {
            &header[inner..][ipv4::ADDRESSES]
        });
        addresses.number(train.layout.transport_protocol().into());
        let mut prototype = Self {
            identification: word(network + ipv4::IDENTIFICATION),
            sequence: if tcp { u32::from(word(sequence)) << 16 | u32::from(word(sequence + 2)) } else { 0 },
            flags: if tcp { header[transport + tcp::FLAGS] } else { 0 },
            network_sum: Sum::default(),
            transport_sum: Sum::default(),
            addresses,
            buffer,
            train,
        };
        prototype.sum_what_stays();
        prototype
    }

    /// Clears the fields that differ from segment to segment, and sums the rest once.
    fn sum_what_stays(&mut self) {
        let Layout { kind, network, transport, header_len, .. } = self.train.layout;
        let checksum = transport + self.train.layout.checksum_offset();
        put_word(self.header(), checksum, 0);
        if kind.is_tcp() {
            self.header()[transport + tcp::SEQUENCE..][..4].fill(0);
            self.header()[transport + tcp::FLAGS] = 0;
        } else {
            put_word(self.header(), transport + udp::LENGTH, 0);
        }
        let mut sum = Sum::default();
        sum.bytes(&self.header()[transport..header_len]);
        self.transport_sum = sum;
        if !kind.outer_is_ipv6() {
            let differs = if self.train.fragments() { ipv4::FRAGMENT } else { ipv4::IDENTIFICATION };
            for field in [ipv4::TOTAL_LENGTH, ipv4::CHECKSUM, differs] {
                put_word(self.header(), network + field, 0);
            }
            let end = network + 4 * usize::from(self.header()[network] & 0x0f);
            let mut sum = Sum::default();
            sum.bytes(&self.header()[network..end]);
            self.network_sum = sum;
        }
    }

    /// Leaves the frame in one piece after all. To be called before the first rewrite.
    pub(crate) fn make_whole(&mut self) {
        debug_assert!(!self.train.fragments(), "what differs between fragments is another field");
        self.train = Train::whole(self.train.layout);
    }

    /// Puts the first `len` bytes of a virtio-net header before the headers.
    pub(crate) fn precede(&mut self, header: &[u8; vnet_header::LONGEST], len: usize) {
        self.buffer[vnet_header::LONGEST - len..vnet_header::LONGEST].copy_from_slice(&header[..len]);
    }

    /// The first `header_len` bytes of the rewritten headers, and the `preceding` bytes before them.
    #[inline]
    pub(crate) fn bytes(&self, preceding: usize, header_len: usize) -> &[u8] {
        &self.buffer[vnet_header::LONGEST - preceding..vnet_header::LONGEST + header_len]
    }

    #[inline]
    fn header(&mut self) -> &mut [u8] {
        &mut self.buffer[vnet_header::LONGEST..]
    }

    /// The TCP flags as they came; 0 for UDP.
    pub(crate) fn flags(&self) -> u8 {
        self.flags
    }

    /// Writes the headers of segment `index`. `payload` adds the sum over `train.checksummed(index)`; it is asked for when
    /// a full checksum needs it.
    #[inline]
    pub(crate) fn rewrite(&mut self, index: u32, fill: Fill, payload: impl FnOnce(Range<usize>, &mut Sum)) {
        self.network_headers(index, self.train.span(index).len());
        let Some(covered) = self.train.checksummed(index) else { return };
        let Layout { kind, header_len, transport, .. } = self.train.layout;
        let len = length(header_len - transport + covered.len());
        let mut changed = Sum::default();
        if kind.is_tcp() {
            self.tcp_header(index, &mut changed);
        } else {
            put_word(self.header(), transport + udp::LENGTH, len);
            changed.number(len);
        }
        let mut sum = self.addresses;
        sum.number(len);
        if fill == Fill::Full {
            sum.add(changed);
            sum.add(self.transport_sum);
            payload(covered, &mut sum);
        }
        let value = self.checksum_value(fill, sum);
        let field = transport + self.train.layout.checksum_offset();
        put_word(self.header(), field, value);
    }

    /// A frame that stays whole is no segment to Linux, which then completes any checksum as if it were UDP's.
    #[inline]
    fn checksum_value(&self, fill: Fill, sum: Sum) -> u16 {
        match fill {
            Fill::Pseudo => sum.folded(),
            Fill::Full if self.train.layout.kind.is_tcp() && self.train.count > 1 => sum.checksum(),
            Fill::Full => sum.checksum_not_zero(),
        }
    }

    #[inline]
    fn network_headers(&mut self, index: u32, segment_len: usize) {
        let Layout { kind, inner, .. } = self.train.layout;
        if !kind.outer_is_ipv6() {
            self.ipv4_header(index, segment_len);
        }
        if kind.outer_is_ipv6() || kind.is_tunnel() {
            put_word(self.header(), inner + ipv6::PAYLOAD_LENGTH, length(segment_len - inner - ipv6::LEN));
        }
    }

    #[inline]
    fn ipv4_header(&mut self, index: u32, segment_len: usize) {
        let network = self.train.layout.network;
        let (field, value) = if self.train.fragments() {
            let more = if index + 1 < self.train.count { ipv4::MORE_FRAGMENTS } else { 0 };
            (ipv4::FRAGMENT, more | length(index as usize * self.train.size / ipv4::FRAGMENT_UNIT))
        } else {
            (ipv4::IDENTIFICATION, self.identification.wrapping_add(low_word(index)))
        };
        let total = length(segment_len - network);
        let mut sum = self.network_sum;
        sum.number(total);
        sum.number(value);
        put_word(self.header(), network + ipv4::TOTAL_LENGTH, total);
        put_word(self.header(), network + field, value);
        put_word(self.header(), network + ipv4::CHECKSUM, sum.checksum());
    }

    #[inline]
    fn tcp_header(&mut self, index: u32, changed: &mut Sum) {
        let transport = self.train.layout.transport;
        let size = u32::try_from(self.train.size).unwrap_or(u32::MAX);
        let sequence = self.sequence.wrapping_add(index.wrapping_mul(size));
        let bytes = sequence.to_be_bytes();
        self.header()[transport + tcp::SEQUENCE..][..4].copy_from_slice(&bytes);
        let mut flags = self.flags;
        if index > 0 {
            // The sender has reduced its window once, not once a segment (RFC 3168 6.1.2).
            flags &= !tcp::CWR;
        }
        if index + 1 < self.train.count {
            flags &= !(tcp::FIN | tcp::PSH);
        }
        self.header()[transport + tcp::FLAGS] = flags;
        changed.number(u16::from_be_bytes([bytes[0], bytes[1]]));
        changed.number(u16::from_be_bytes([bytes[2], bytes[3]]));
        // The flags are the second byte of their word.
        changed.number(flags.into());
    }
}

/// A length inside a packet. None is above `LONGEST_PACKET`, which the validator has made sure of.
#[expect(clippy::cast_possible_truncation, reason = "the validator bounds the packet to 65535 bytes")]
#[inline]
fn length(value: usize) -> u16 {
    debug_assert!(value <= crate::wire::gso::LONGEST_PACKET);
    value as u16
}

#[expect(clippy::cast_possible_truncation, reason = "the identification counts modulo 65536")]
#[inline]
fn low_word(index: u32) -> u16 {
    index as u16
}

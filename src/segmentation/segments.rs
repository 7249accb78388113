//! Which bytes of an oversized frame go into which segment, and what the headers of each segment say.

use std::ops::Range;

use crate::wire::headers::{ipv4, ipv6, put_word, tcp, udp};
use crate::wire::{Layout, Sum, length, virtio};

/// A frame's segments: how many there are, and which bytes go into each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segmentation {
    layout: Layout,
    /// Payload bytes a segment, counted from `split`.
    size: usize,
    /// Where the headers that each segment repeats end. IP fragments repeat the IP header only: what follows it, the
    /// UDP header included, is payload of the datagram being cut.
    split: usize,
    pub count: u32,
}

/// One segment: how much of the headers it repeats, and which bytes of the frame follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub headers_end: usize,
    pub payload: Range<usize>,
}

impl Segment {
    #[inline]
    fn len(&self) -> usize {
        self.headers_end + self.payload.len()
    }
}

impl Segmentation {
    /// Cuts into segments of `size` payload bytes each, which must not be 0.
    #[inline]
    pub fn new(layout: Layout, size: usize) -> Self {
        let split = if layout.kind.is_fragments() { layout.transport } else { layout.headers_end };
        let count = (layout.frame_len - split).div_ceil(size);
        // At most one segment a byte of an IP packet.
        Self { layout, size, split, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    /// Leaves the frame in one piece.
    pub fn whole(layout: Layout) -> Self {
        Self::new(layout, layout.frame_len)
    }

    /// Whether the segments are IP fragments of one datagram. A datagram that fits in one is not a fragment.
    #[inline]
    fn fragments(&self) -> bool {
        self.layout.kind.is_fragments() && self.count > 1
    }

    #[inline]
    pub fn segment(&self, index: u32) -> Segment {
        let from = self.split + index as usize * self.size;
        let to = self.layout.frame_len.min(from + self.size);
        let headers_end = if index == 0 { self.layout.headers_end } else { self.split };
        Segment { headers_end, payload: from.max(headers_end)..to }
    }

    /// The bytes behind the headers that segment `index`'s transport checksum covers; none where it has no such field.
    #[inline]
    fn checksummed(&self, index: u32) -> Option<Range<usize>> {
        match (self.fragments(), index) {
            (false, _) => Some(self.segment(index).payload),
            (true, 0) => Some(self.layout.headers_end..self.layout.frame_len),
            (true, _) => None,
        }
    }
}

/// The headers of an oversized frame, rewritten for one segment after the other.
#[derive(Debug)]
pub(super) struct HeaderTemplate<'h> {
    /// Room for a virtio-net header, then the frame's headers.
    buffer: &'h mut [u8],
    segmentation: Segmentation,
    identification: u16,
    sequence: u32,
    flags: u8,
    /// What each segment's checksums have in common. They are the IPv4 header and the transport header without the fields that
    /// differ, and the pseudo header without the length.
    network_sum: Sum,
    transport_sum: Sum,
    pseudo_header: Sum,
}

impl<'h> HeaderTemplate<'h> {
    /// Takes a copy of the frame's headers, as they came, behind `virtio::LONGEST` spare bytes.
    pub fn new(buffer: &'h mut [u8], segmentation: Segmentation) -> Self {
        let header = &buffer[virtio::LONGEST..];
        let Layout { kind, network, transport, .. } = segmentation.layout;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let tcp = kind.is_tcp();
        let sequence = transport + tcp::SEQUENCE;
        let mut template = Self {
            identification: word(network + ipv4::IDENTIFICATION),
            sequence: if tcp { u32::from(word(sequence)) << 16 | u32::from(word(sequence + 2)) } else { 0 },
            flags: if tcp { header[transport + tcp::FLAGS] } else { 0 },
            network_sum: Sum::default(),
            transport_sum: Sum::default(),
            pseudo_header: segmentation.layout.pseudo_header(header),
            buffer,
            segmentation,
        };
        template.sum_what_stays();
        template
    }

    /// Clears the fields that differ from segment to segment, and sums the rest once.
    fn sum_what_stays(&mut self) {
        let Layout { kind, network, transport, headers_end, .. } = self.segmentation.layout;
        let checksum = transport + self.segmentation.layout.checksum_offset();
        put_word(self.header(), checksum, 0);
        if kind.is_tcp() {
            self.header()[transport + tcp::SEQUENCE..][..4].fill(0);
            self.header()[transport + tcp::FLAGS] = 0;
        } else {
            put_word(self.header(), transport + udp::LENGTH, 0);
        }
        let mut sum = Sum::default();
        sum.bytes(&self.header()[transport..headers_end]);
        self.transport_sum = sum;
        if !kind.outer_is_ipv6() {
            let differs = if self.segmentation.fragments() { ipv4::FRAGMENT } else { ipv4::IDENTIFICATION };
            for field in [ipv4::TOTAL_LENGTH, ipv4::CHECKSUM, differs] {
                put_word(self.header(), network + field, 0);
            }
            let end = network + 4 * usize::from(self.header()[network] & 0x0f);
            let mut sum = Sum::default();
            sum.bytes(&self.header()[network..end]);
            self.network_sum = sum;
        }
    }

    /// The first `headers_end` bytes of the rewritten headers, and the `preceding` bytes before them.
    #[inline]
    pub fn bytes(&self, preceding: usize, headers_end: usize) -> &[u8] {
        &self.buffer[virtio::LONGEST - preceding..virtio::LONGEST + headers_end]
    }

    #[inline]
    fn header(&mut self) -> &mut [u8] {
        &mut self.buffer[virtio::LONGEST..]
    }

    /// Writes the headers of segment `index`. `payload` adds the sum over the bytes behind the headers that its checksum
    /// covers, where it has one.
    #[inline]
    pub fn rewrite(&mut self, index: u32, payload: impl FnOnce(Range<usize>, &mut Sum)) {
        self.network_headers(index, self.segmentation.segment(index).len());
        let Some(covered) = self.segmentation.checksummed(index) else { return };
        let Layout { kind, headers_end, transport, .. } = self.segmentation.layout;
        let len = length(headers_end - transport + covered.len());
        let mut changed = Sum::default();
        if kind.is_tcp() {
            self.tcp_header(index, &mut changed);
        } else {
            put_word(self.header(), transport + udp::LENGTH, len);
            changed.number(len);
        }
        let mut sum = self.pseudo_header;
        sum.number(len);
        sum.add(changed);
        sum.add(self.transport_sum);
        payload(covered, &mut sum);
        let value = self.checksum_value(sum);
        let field = transport + self.segmentation.layout.checksum_offset();
        put_word(self.header(), field, value);
    }

    /// A frame that stays whole is no segment to Linux, which then completes any checksum as if it were UDP's.
    #[inline]
    fn checksum_value(&self, sum: Sum) -> u16 {
        if self.segmentation.layout.kind.is_tcp() && self.segmentation.count > 1 {
            sum.checksum()
        } else {
            sum.checksum_not_zero()
        }
    }

    #[inline]
    fn network_headers(&mut self, index: u32, segment_len: usize) {
        let Layout { kind, inner, .. } = self.segmentation.layout;
        if !kind.outer_is_ipv6() {
            self.ipv4_header(index, segment_len);
        }
        if kind.inner_is_ipv6() {
            put_word(self.header(), inner + ipv6::PAYLOAD_LENGTH, length(segment_len - inner - ipv6::LEN));
        }
    }

    #[inline]
    fn ipv4_header(&mut self, index: u32, segment_len: usize) {
        let network = self.segmentation.layout.network;
        let (field, value) = if self.segmentation.fragments() {
            let more = if index + 1 < self.segmentation.count { ipv4::MORE_FRAGMENTS } else { 0 };
            (ipv4::FRAGMENT, more | length(index as usize * self.segmentation.size / ipv4::FRAGMENT_UNIT))
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
        let transport = self.segmentation.layout.transport;
        let size = u32::try_from(self.segmentation.size).unwrap_or(u32::MAX);
        let sequence = self.sequence.wrapping_add(index.wrapping_mul(size));
        let bytes = sequence.to_be_bytes();
        self.header()[transport + tcp::SEQUENCE..][..4].copy_from_slice(&bytes);
        let mut flags = self.flags;
        if index > 0 {
            // The sender has reduced its window once, not once a segment (RFC 3168 6.1.2).
            flags &= !tcp::CWR;
        }
        if index + 1 < self.segmentation.count {
            flags &= !(tcp::FIN | tcp::PSH);
        }
        self.header()[transport + tcp::FLAGS] = flags;
        changed.number(u16::from_be_bytes([bytes[0], bytes[1]]));
        changed.number(u16::from_be_bytes([bytes[2], bytes[3]]));
        // The flags are the second byte of their word.
        changed.number(flags.into());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the identification counts modulo 65536")]
#[inline]
fn low_word(index: u32) -> u16 {
    index as u16
}

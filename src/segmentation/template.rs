//! What the headers of each segment say.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::segments::Segmentation;
use crate::wire::headers::{ipv4, ipv6, protocol, put_word, tcp, udp};
use crate::wire::{Layout, Sum, length, virtio};

/// The headers of an oversized frame, rewritten for one segment after the other.
#[derive(Debug)]
pub(super) struct HeaderTemplate<'h> {
    /// Room for a virtio-net header, then the frame's headers.
    buffer: &'h mut [u8],
    segmentation: Segmentation,
    /// The UDP header, where a fragment header has taken its place.
    moved: [u8; udp::LEN],
    identification: u16,
    sequence: u32,
    flags: u8,
    /// What each segment's checksums have in common. These are the IPv4 header and the transport header without the fields that
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
            moved: [0; udp::LEN],
            buffer,
            segmentation,
        };
        let number = segmentation.inserts_header().then(|| template.fragment_number());
        template.sum_what_stays();
        if let Some(number) = number {
            template.insert_fragment_header(number);
        }
        template
    }

    /// The identification for the fragments of this datagram, not 0. It is computed from the datagram alone, so that a
    /// resumed send goes on with the number it began with. It is computed from the length and from the first bytes that were
    /// fetched, in which a sender counts its datagrams. If the fragments of two datagrams that are alike there get mixed up,
    /// the checksum is wrong.
    #[cold]
    fn fragment_number(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.segmentation.layout.frame_len.hash(&mut hasher);
        hasher.write(&self.buffer[virtio::LONGEST..]);
        let hash = hasher.finish();
        // Either half is as good as the other.
        u32::try_from(hash >> 32).unwrap_or_default().max(1)
    }

    /// Puts a fragment header in the place of the UDP header, which goes behind it in the first fragment. It follows the last
    /// of the extension headers, which are in every fragment, as Linux does it.
    #[cold]
    fn insert_fragment_header(&mut self, number: u32) {
        let Layout { transport, protocol: last, .. } = self.segmentation.layout;
        let header = &mut self.buffer[virtio::LONGEST..];
        let place = &mut header[transport..transport + ipv6::FRAGMENT_HEADER];
        self.moved.copy_from_slice(place);
        place.fill(0);
        place[ipv6::IDENTIFICATION..].copy_from_slice(&number.to_be_bytes());
        header[transport] = std::mem::replace(&mut header[last], protocol::FRAGMENT);
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

    /// The UDP header, where it goes out as a slice of its own.
    #[inline]
    pub fn moved_header(&self) -> &[u8] {
        &self.moved
    }

    #[inline]
    fn header(&mut self) -> &mut [u8] {
        &mut self.buffer[virtio::LONGEST..]
    }

    #[inline]
    fn transport_header(&mut self) -> &mut [u8] {
        if self.segmentation.inserts_header() {
            return &mut self.moved;
        }
        &mut self.buffer[virtio::LONGEST + self.segmentation.layout.transport..]
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
            put_word(self.transport_header(), udp::LENGTH, len);
            changed.number(len);
        }
        let mut sum = self.pseudo_header;
        sum.number(len);
        sum.add(changed);
        sum.add(self.transport_sum);
        payload(covered, &mut sum);
        let value = self.checksum_value(sum);
        let field = self.segmentation.layout.checksum_offset();
        put_word(self.transport_header(), field, value);
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
        if self.segmentation.inserts_header() {
            self.fragment_header(index);
        }
    }

    #[cold]
    fn fragment_header(&mut self, index: u32) {
        let more = if index + 1 < self.segmentation.count { ipv6::MORE_FRAGMENTS } else { 0 };
        let offset = length(index as usize * self.segmentation.size);
        let place = self.segmentation.layout.transport + ipv6::FRAGMENT_OFFSET;
        put_word(self.header(), place, offset | more);
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

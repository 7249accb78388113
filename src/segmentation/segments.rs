//! Which bytes of an oversized frame go into which segment.

use std::ops::Range;

use crate::wire::Layout;
use crate::wire::headers::{ipv4, ipv6, udp};

/// A frame's segments: how many there are, and which bytes go into each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segmentation {
    pub layout: Layout,
    /// Payload bytes a segment, counted from `split`.
    pub size: usize,
    /// Where the headers that each segment repeats end. IP fragments repeat the IP header only: what follows it, the
    /// UDP header included, is payload of the datagram being cut.
    split: usize,
    pub count: u32,
}

/// One segment: how much of the rewritten headers it has, and which bytes of the frame follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub headers_end: usize,
    /// The UDP header follows, since a fragment header stands in its place.
    pub moved_header: bool,
    pub payload: Range<usize>,
}

impl Segment {
    #[inline]
    pub fn len(&self) -> usize {
        self.headers_end + if self.moved_header { udp::LEN } else { 0 } + self.payload.len()
    }
}

impl Segmentation {
    /// Cuts into segments of `size` payload bytes each, which must not be 0.
    #[inline]
    pub fn new(layout: Layout, size: usize) -> Self {
        let split = if layout.kind.is_fragments() { layout.transport } else { layout.headers_end };
        let len = layout.frame_len - split;
        let inserts_header = layout.kind.is_fragments() && layout.kind.outer_is_ipv6() && size < len;
        let size = if inserts_header { size.min(largest_fragment(&layout)) } else { size };
        // A frame without payload is one segment, too: Linux sees no need to cut it.
        let count = len.div_ceil(size).max(1);
        // At most one segment a byte of an IP packet.
        Self { layout, size, split, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    /// Leaves the frame in one piece.
    pub fn whole(layout: Layout) -> Self {
        Self::new(layout, layout.frame_len)
    }

    /// Whether the segments are IP fragments of one datagram. A datagram that fits in one is not a fragment.
    #[inline]
    pub fn fragments(&self) -> bool {
        self.layout.kind.is_fragments() && self.count > 1
    }

    /// Whether each segment has a fragment header more than the frame: IPv6 has no room for it in its own.
    #[inline]
    pub fn inserts_header(&self) -> bool {
        self.layout.kind.outer_is_ipv6() && self.fragments()
    }

    #[inline]
    pub fn segment(&self, index: u32) -> Segment {
        let from = self.split + index as usize * self.size;
        let to = self.layout.frame_len.min(from + self.size);
        let repeated = if index == 0 { self.layout.headers_end } else { self.split };
        let inserts = self.inserts_header();
        // A fragment header is as long as the UDP header, whose place it takes.
        let headers_end = if inserts { self.layout.headers_end } else { repeated };
        Segment { headers_end, moved_header: inserts && index == 0, payload: from.max(repeated)..to }
    }

    /// The bytes behind the headers that segment `index`'s transport checksum covers; none where it has no such field.
    #[inline]
    pub fn checksummed(&self, index: u32) -> Option<Range<usize>> {
        match (self.fragments(), index) {
            (false, _) => Some(self.segment(index).payload),
            (true, 0) => Some(self.layout.headers_end..self.layout.frame_len),
            (true, _) => None,
        }
    }
}

/// Bytes that an IPv6 fragment can have behind the headers of its packet. These headers are one more than the frame's: the
/// fragment header.
#[cold]
fn largest_fragment(layout: &Layout) -> usize {
    let headers = layout.transport - layout.network + ipv6::FRAGMENT_HEADER;
    (layout.kind.longest_packet() - headers) / ipv4::FRAGMENT_UNIT * ipv4::FRAGMENT_UNIT
}

//! What a sender leaves to be done on a frame, whichever way it says so.

use super::checksum::checksum_field;
use super::gso::{Gso, GsoKind};
use super::headers::ethernet;
use super::layout::{HeaderBytes, Layout};
use super::reject::RejectReason;

/// The state of a frame's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// The checksum is complete; nothing is left to do.
    #[default]
    Complete,
    /// The sum from `start` to the end of the frame is still to be stored at `start + offset`.
    Partial {
        /// First byte the sum covers, counted from the start of the frame.
        start: u16,
        /// Where the sum goes, counted from `start`.
        offset: u16,
    },
}

/// What a sender leaves to be done on a frame: by a [`Gso`] and a [`Checksum`], or by a virtio-net header.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request {
    /// Set for an oversized frame.
    pub segments: Option<SegmentRequest>,
    pub checksum: Checksum,
    /// The checksum of the IPv4 header is to be computed. Where a frame is cut it is in any case.
    pub ipv4_checksum: bool,
}

/// The wish to have a frame cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SegmentRequest {
    /// The sender states where every header lies, and each statement must hold.
    Stated(Gso),
    /// The sender states the family and the size; where the headers lie is read from the frame.
    ByFamily { family: Family, segment_size: u16 },
}

/// What a virtio-net header can ask for. UDP is cut alike over both IP versions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    Tcp4,
    Tcp6,
    UdpFragments,
    UdpDatagrams,
}

impl Request {
    #[inline]
    pub fn new(gso: Option<Gso>, checksum: Checksum) -> Self {
        Self { segments: gso.map(SegmentRequest::Stated), checksum, ipv4_checksum: false }
    }

    /// Whether the frame can go out as it is.
    #[inline]
    pub fn is_nothing(&self) -> bool {
        self.segments.is_none() && self.checksum == Checksum::Complete && !self.ipv4_checksum
    }

    /// Checks the request for a frame that is not to be cut, by comparing it with the frame's headers.
    pub fn check_whole(&self, headers: &HeaderBytes<'_>) -> Result<(), RejectReason> {
        let end = if self.ipv4_checksum { headers.ipv4_header()?.end } else { 0 };
        match self.checksum {
            Checksum::Complete => Ok(()),
            // What the sum covers must not change with the IPv4 header.
            Checksum::Partial { start, .. } if usize::from(start) < end => Err(RejectReason::ChecksumRange),
            Checksum::Partial { start, offset } => checksum_field(headers.frame_len, start, offset).map(drop),
        }
    }
}

impl SegmentRequest {
    /// Checks the wish against the frame's own headers. Returns where they lie, and how many payload bytes a segment has.
    ///
    /// The lengths inside the headers are not compared with the frame. Senders leave them 0 or wrong where the device is to
    /// write them, and all of them are written anew.
    #[inline]
    pub fn check(
        &self,
        checksum: Checksum,
        headers: &HeaderBytes<'_>,
    ) -> Result<(Layout, usize), RejectReason> {
        match *self {
            Self::Stated(gso) => check_stated(&gso, checksum, headers),
            Self::ByFamily { family, segment_size } => check_family(family, segment_size, checksum, headers),
        }
    }
}

// Part of its caller: behind a system call that copies 64 KiB, one more call costs up to 40 ns.
#[inline(always)]
fn check_stated(
    gso: &Gso,
    checksum: Checksum,
    headers: &HeaderBytes<'_>,
) -> Result<(Layout, usize), RejectReason> {
    gso.check_layout(headers.frame_len)?;
    let layout = Layout::read(gso.kind, headers)?;
    if layout.network != usize::from(gso.network_offset) {
        return Err(RejectReason::NetworkOffset);
    }
    if layout.transport != usize::from(gso.transport_offset) {
        return Err(RejectReason::TransportOffset);
    }
    if layout.headers_end != usize::from(gso.header_len) {
        return Err(RejectReason::HeaderLength);
    }
    match checksum {
        Checksum::Partial { start, offset } if !layout.is_checksum(start, offset) => {
            Err(RejectReason::ChecksumPlace)
        }
        Checksum::Complete if layout.routed => Err(RejectReason::SourceRouted),
        _ => Ok((layout, gso.segment_payload()?)),
    }
}

#[inline]
fn check_family(
    family: Family,
    segment_size: u16,
    checksum: Checksum,
    headers: &HeaderBytes<'_>,
) -> Result<(Layout, usize), RejectReason> {
    let layout = Layout::read(family.kind(headers)?, headers)?;
    let size = layout.gso(segment_size).segment_payload()?;
    match checksum {
        Checksum::Partial { start, offset } if !layout.is_checksum(start, offset) => {
            Err(RejectReason::ChecksumPlace)
        }
        // With a complete checksum, Linux refuses a frame to be cut into datagrams, silently drops one for fragments, and
        // takes one of TCP.
        Checksum::Complete if !layout.kind.is_tcp() => Err(RejectReason::UdpWithoutChecksum),
        Checksum::Complete if layout.routed => Err(RejectReason::SourceRouted),
        _ => Ok((layout, size)),
    }
}

impl Family {
    #[inline]
    fn kind(self, headers: &HeaderBytes<'_>) -> Result<GsoKind, RejectReason> {
        match self {
            Self::Tcp4 => Ok(GsoKind::Tcp4),
            Self::Tcp6 => Ok(GsoKind::Tcp6),
            Self::UdpFragments => match headers.network_header()? {
                (_, ethernet::IPV6) => Ok(GsoKind::Udp6Fragments),
                _ => Ok(GsoKind::Udp4Fragments),
            },
            Self::UdpDatagrams => match headers.network_header()? {
                (_, ethernet::IPV6) => Ok(GsoKind::Udp6Datagrams),
                _ => Ok(GsoKind::Udp4Datagrams),
            },
        }
    }
}

//! The virtio-net header that precedes a frame (virtio 1.2, 5.1.6): read from a guest or the kernel, written for the
//! kernel. It is little endian; bytes 10 and 11, where there are any, count receive buffers and mean nothing here.

use crate::memory::body::Body;
use crate::segmentation::frame::Checksum;
use crate::segmentation::front::with_front;
use crate::segmentation::segments::{Prototype, Train};
use crate::wire::checksum::checksum_field;
use crate::wire::gso::{Gso, GsoKind};
use crate::wire::headers::{Front, ethernet, tcp};
use crate::wire::reject::RejectReason;
use crate::wire::validate::{Layout, network_header, survey};

/// The longer of the two forms, in bytes.
pub(crate) const LONGEST: usize = 12;
/// The fields that both forms have, in bytes.
pub(crate) const FIELDS: usize = 10;
/// `UDP_MAX_SEGMENTS` of Linux: it refuses to cut a frame into more datagrams.
const MOST_DATAGRAMS: u32 = 128;

const NEEDS_CHECKSUM: u8 = 1;

mod kind {
    pub(super) const NONE: u8 = 0;
    pub(super) const TCP4: u8 = 1;
    pub(super) const UDP_FRAGMENTS: u8 = 3;
    pub(super) const TCP6: u8 = 4;
    pub(super) const UDP_DATAGRAMS: u8 = 5;
    pub(super) const ECN: u8 = 0x80;
}

/// Tells whether `header` (or no header) leaves nothing to be done.
pub(crate) fn is_inert(header: &[u8]) -> bool {
    header.first().is_none_or(|flags| flags & NEEDS_CHECKSUM == 0)
        && header.get(1).is_none_or(|byte| *byte == kind::NONE)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct VirtioHeader {
    flags: u8,
    kind: u8,
    header_len: u16,
    segment_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
}

impl VirtioHeader {
    fn parse(bytes: &[u8]) -> Result<Self, RejectReason> {
        bytes.first_chunk().map(Self::of).ok_or(RejectReason::ShortVirtioHeader)
    }

    #[inline]
    fn of(fields: &[u8; FIELDS]) -> Self {
        let word = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
        Self {
            flags: fields[0],
            kind: fields[1],
            header_len: word(2),
            segment_size: word(4),
            checksum_start: word(6),
            checksum_offset: word(8),
        }
    }

    fn to_bytes(self) -> [u8; LONGEST] {
        let [hl, hh] = self.header_len.to_le_bytes();
        let [sl, sh] = self.segment_size.to_le_bytes();
        let [cl, ch] = self.checksum_start.to_le_bytes();
        let [ol, oh] = self.checksum_offset.to_le_bytes();
        [self.flags, self.kind, hl, hh, sl, sh, cl, ch, ol, oh, 0, 0]
    }

    #[inline]
    fn checksum(self) -> Checksum {
        if self.flags & NEEDS_CHECKSUM == 0 {
            return Checksum::Complete;
        }
        Checksum::Partial { start: self.checksum_start, offset: self.checksum_offset }
    }

    fn gso_kind(self, front: Front<'_>) -> Result<GsoKind, RejectReason> {
        let ecn = self.kind & kind::ECN != 0;
        match self.kind & !kind::ECN {
            kind::TCP4 => Ok(GsoKind::Tcp4),
            kind::TCP6 => Ok(GsoKind::Tcp6),
            kind::UDP_FRAGMENTS if !ecn => Ok(GsoKind::Udp4Fragments),
            kind::UDP_DATAGRAMS if !ecn => match network_header(front)? {
                (_, ethernet::IPV6) => Ok(GsoKind::Udp6Datagrams),
                _ => Ok(GsoKind::Udp4Datagrams),
            },
            _ => Err(RejectReason::UnknownKind),
        }
    }
}

/// [`interpret`] for a header that was taken off the frame in `body`.
pub(crate) fn interpret_behind(
    header: &[u8],
    body: impl Body,
) -> Result<(Option<Gso>, Checksum), RejectReason> {
    with_front(body, |scratch| interpret(header, scratch.front()))
}

/// Reads what `header` says about the frame that starts with `front`: type, ECN, segment size and checksum start count,
/// the rest comes from the frame. Its header length is a hint by the standard, and not looked at.
pub(crate) fn interpret(header: &[u8], front: Front<'_>) -> Result<(Option<Gso>, Checksum), RejectReason> {
    let header = VirtioHeader::parse(header)?;
    if header.kind == kind::NONE {
        if let Checksum::Partial { start, offset } = header.checksum() {
            checksum_field(front.frame_len, start, offset)?;
        }
        return Ok((None, header.checksum()));
    }
    let kind = header.gso_kind(front)?;
    let layout = survey(kind, front)?;
    let gso = context(&layout, header.segment_size);
    gso.segment_payload()?;
    match header.checksum() {
        Checksum::Partial { start, offset } if !layout.is_checksum(start, offset) => {
            Err(RejectReason::ChecksumPlace)
        }
        // Linux refuses it for datagrams, drops it without a word for fragments, and takes it for TCP.
        Checksum::Complete if !kind.is_tcp() => Err(RejectReason::UdpWithoutChecksum),
        checksum => Ok((Some(gso), checksum)),
    }
}

fn context(layout: &Layout, segment_size: u16) -> Gso {
    Gso {
        kind: layout.kind,
        header_len: offset(layout.header_len),
        segment_size,
        network_offset: offset(layout.network),
        transport_offset: offset(layout.transport),
    }
}

/// The header that asks the kernel to complete a checksum.
#[inline]
pub(crate) fn for_checksum(checksum: Checksum) -> [u8; LONGEST] {
    match checksum {
        Checksum::Complete => [0; LONGEST],
        Checksum::Partial { start, offset } => VirtioHeader {
            flags: NEEDS_CHECKSUM,
            checksum_start: start,
            checksum_offset: offset,
            ..VirtioHeader::default()
        }
        .to_bytes(),
    }
}

/// The header that has the kernel cut `train` as we would, or `None` where it has no such form or would refuse.
///
/// The pseudo-header sum must stand in the checksum field. A single segment is left out of segmentation: the kernel
/// drops some frames that are marked and need no cutting.
pub(crate) fn for_train(prototype: &Prototype<'_>) -> Option<[u8; LONGEST]> {
    let train = &prototype.train;
    let layout = &train.layout;
    let segmented = if train.count == 1 { kind::NONE } else { kernel_kind(train)? };
    // Without the mark a network card that cuts may repeat CWR on each segment.
    let ecn = segmented != kind::NONE && prototype.flags() & tcp::CWR != 0;
    Some(
        VirtioHeader {
            flags: NEEDS_CHECKSUM,
            kind: if ecn { segmented | kind::ECN } else { segmented },
            header_len: if segmented == kind::NONE { 0 } else { offset(layout.header_len) },
            segment_size: if segmented == kind::NONE { 0 } else { offset(train.size) },
            checksum_start: offset(layout.transport),
            checksum_offset: offset(layout.checksum_offset()),
        }
        .to_bytes(),
    )
}

/// What is left to be done on the checksum, where a driver's header asks for nothing else.
#[inline]
pub(crate) fn checksum_alone(fields: &[u8; FIELDS]) -> Option<Checksum> {
    let header = VirtioHeader::of(fields);
    (header.kind == kind::NONE).then(|| header.checksum())
}

/// The segment size a driver's header states, where it asks for TCP over IPv4 to be cut and for a checksum at these places.
#[inline]
pub(crate) fn tcp4_segment_size(fields: &[u8; FIELDS], checksum: (usize, usize)) -> Option<u16> {
    let header = VirtioHeader::of(fields);
    let asked = (header.flags & NEEDS_CHECKSUM != 0)
        & (header.kind & !kind::ECN == kind::TCP4)
        & (usize::from(header.checksum_start) == checksum.0)
        & (usize::from(header.checksum_offset) == checksum.1);
    asked.then_some(header.segment_size)
}

/// The header that has the kernel cut TCP over IPv4.
#[inline]
pub(crate) fn for_tcp4(
    header_len: usize,
    segment_size: u16,
    checksum: (usize, usize),
    ecn: bool,
) -> [u8; LONGEST] {
    VirtioHeader {
        flags: NEEDS_CHECKSUM,
        kind: if ecn { kind::TCP4 | kind::ECN } else { kind::TCP4 },
        header_len: offset(header_len),
        segment_size,
        checksum_start: offset(checksum.0),
        checksum_offset: offset(checksum.1),
    }
    .to_bytes()
}

fn kernel_kind(train: &Train) -> Option<u8> {
    match train.layout.kind {
        GsoKind::Tcp4 => Some(kind::TCP4),
        GsoKind::Tcp6 => Some(kind::TCP6),
        GsoKind::Udp4Datagrams | GsoKind::Udp6Datagrams if train.count <= MOST_DATAGRAMS => {
            Some(kind::UDP_DATAGRAMS)
        }
        // Linux cuts datagrams into IP fragments for senders of old only, and knows no mark for these tunnels.
        _ => None,
    }
}

/// An offset or size that the validator has bounded: headers by the 8 KiB that are fetched, sizes by their origin.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the validator")]
fn offset(value: usize) -> u16 {
    debug_assert!(value <= usize::from(u16::MAX));
    value as u16
}

#[cfg(test)]
mod tests {
    use super::is_inert;

    #[test]
    fn b16_a_header_is_inert_when_it_asks_for_nothing() {
        for header in [&[][..], &[0; 10], &[0; 12], &[2, 0, 9, 9, 9, 9, 9, 9, 9, 9], &[4, 0]] {
            assert!(is_inert(header), "{header:?}");
        }
        for header in [&[1, 0][..], &[3, 0], &[0, 1], &[1, 1], &[0, 0x80], &[2, 5]] {
            assert!(!is_inert(header), "{header:?}");
        }
    }
}

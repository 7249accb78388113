//! The virtio-net header that precedes a frame (virtio 1.2, 5.1.6): read from a guest or the kernel, written for the
//! kernel. It is little endian; bytes 10 and 11, where there are any, count receive buffers and mean nothing here.

use super::gso::{Gso, GsoKind};
use super::layout::{HeaderBytes, Layout};
use super::reject::RejectReason;
use super::request::{Checksum, Family, Request, SegmentRequest};

/// The longer of the two forms, in bytes.
pub(crate) const LONGEST: usize = 12;
/// The fields that both forms have, in bytes.
pub(crate) const FIELDS: usize = 10;
/// `UDP_MAX_SEGMENTS` of Linux: it refuses to cut a frame into more datagrams.
const MOST_DATAGRAMS: u32 = 128;

const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_VALID: u8 = 2;

// Values of the type field (virtio 1.2, 5.1.6).
const KIND_NONE: u8 = 0;
const KIND_TCP4: u8 = 1;
const KIND_UDP_FRAGMENTS: u8 = 3;
const KIND_TCP6: u8 = 4;
const KIND_UDP_DATAGRAMS: u8 = 5;
/// Added to the types of TCP.
const KIND_ECN: u8 = 0x80;

/// Tells whether `header` (or no header) leaves nothing to be done.
#[inline]
pub(crate) fn is_inert(header: &[u8]) -> bool {
    header.first().is_none_or(|flags| flags & NEEDS_CHECKSUM == 0)
        && header.get(1).is_none_or(|byte| *byte == KIND_NONE)
}

/// Tells whether `header` says that the checksum has been verified.
#[inline]
pub(crate) fn is_checksum_valid(header: &[u8]) -> bool {
    header.first().is_some_and(|flags| flags & CHECKSUM_VALID != 0)
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

    fn family(self) -> Result<Family, RejectReason> {
        let ecn = self.kind & KIND_ECN != 0;
        match self.kind & !KIND_ECN {
            KIND_TCP4 => Ok(Family::Tcp4),
            KIND_TCP6 => Ok(Family::Tcp6),
            KIND_UDP_FRAGMENTS if !ecn => Ok(Family::UdpFragments),
            KIND_UDP_DATAGRAMS if !ecn => Ok(Family::UdpDatagrams),
            _ => Err(RejectReason::UnknownKind),
        }
    }
}

/// Reads what a sender's header asks for: type, ECN, segment size and the place of the checksum count, the rest comes from
/// the frame. Its header length is a hint by the standard, and not looked at.
#[inline]
pub(crate) fn request(header: &[u8]) -> Result<Request, RejectReason> {
    let header = VirtioHeader::parse(header)?;
    let checksum = header.checksum();
    if header.kind == KIND_NONE {
        return Ok(Request { checksum, ..Request::default() });
    }
    let segments = SegmentRequest::ByFamily { family: header.family()?, segment_size: header.segment_size };
    Ok(Request { segments: Some(segments), checksum, ..Request::default() })
}

/// Reads what `header` says about the frame that starts with `headers`, and holds it against that frame.
pub(crate) fn interpret(
    header: &[u8],
    headers: &HeaderBytes<'_>,
) -> Result<(Option<Gso>, Checksum), RejectReason> {
    let request = request(header)?;
    let checksum = request.checksum;
    let Some(segments) = request.segments else {
        return request.check_whole(headers).map(|()| (None, checksum));
    };
    let (layout, _) = segments.check(checksum, headers)?;
    Ok((Some(layout.gso(VirtioHeader::parse(header)?.segment_size)), checksum))
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

/// The header that has the kernel cut a frame into `count` segments of `size` payload bytes as software would. `None` where
/// it has no such form or would refuse. `reduced` says that TCP's CWR flag is set.
///
/// The pseudo-header sum must stand in the checksum field. A single segment is left out of segmentation: the kernel
/// drops some frames that are marked and need no cutting.
#[inline]
pub(crate) fn for_segments(layout: &Layout, size: usize, count: u32, reduced: bool) -> Option<[u8; LONGEST]> {
    let mut header = VirtioHeader {
        flags: NEEDS_CHECKSUM,
        checksum_start: u16::try_from(layout.transport).ok()?,
        checksum_offset: u16::try_from(layout.checksum_offset()).ok()?,
        ..VirtioHeader::default()
    };
    if count > 1 {
        // Without the mark a network card that cuts may repeat CWR on each segment.
        header.kind = kernel_kind(layout.kind, count)? | if reduced { KIND_ECN } else { 0 };
        header.header_len = u16::try_from(layout.headers_end).ok()?;
        header.segment_size = u16::try_from(size).ok()?;
    }
    Some(header.to_bytes())
}

#[inline]
fn kernel_kind(kind: GsoKind, count: u32) -> Option<u8> {
    match kind {
        GsoKind::Tcp4 => Some(KIND_TCP4),
        GsoKind::Tcp6 => Some(KIND_TCP6),
        GsoKind::Udp4Datagrams | GsoKind::Udp6Datagrams if count <= MOST_DATAGRAMS => {
            Some(KIND_UDP_DATAGRAMS)
        }
        // Linux cuts datagrams into IP fragments for senders of old only, and knows no mark for these tunnels.
        _ => None,
    }
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

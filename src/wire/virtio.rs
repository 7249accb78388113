//! The virtio-net header that precedes a frame (virtio 1.2, 5.1.6): read from a guest or the kernel, written for the
//! kernel. It is little endian; bytes 10 and 11, where there are any, count receive buffers and mean nothing here.

use super::checksum::checksum_field;
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

/// Reads what is left to do on a frame of `frame_len` bytes that is not to be cut; without a header nothing is. `None` where
/// more than the header has to be looked at: the frame is to be cut, or the header contradicts it.
#[inline]
pub(crate) fn left_of_whole(header: &[u8], frame_len: usize) -> Option<Checksum> {
    let Some(header) = header.first_chunk().map(VirtioHeader::of) else { return Some(Checksum::Complete) };
    let checksum = header.checksum();
    let fits = match checksum {
        Checksum::Complete => true,
        Checksum::Partial { start, offset } => checksum_field(frame_len, start, offset).is_ok(),
    };
    (header.kind == KIND_NONE && fits).then_some(checksum)
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

    fn to_bytes(self) -> [u8; FIELDS] {
        let [hl, hh] = self.header_len.to_le_bytes();
        let [sl, sh] = self.segment_size.to_le_bytes();
        let [cl, ch] = self.checksum_start.to_le_bytes();
        let [ol, oh] = self.checksum_offset.to_le_bytes();
        [self.flags, self.kind, hl, hh, sl, sh, cl, ch, ol, oh]
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

/// Reads what a sender's header asks for. It uses the type, ECN, the segment size and the place of the checksum; the rest
/// comes from the frame. The header length in it is only a hint, by the standard, and is not read.
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

/// Reads what `header` says about the frame that starts with `headers`, and checks that against the frame.
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
pub(crate) fn for_checksum(checksum: Checksum) -> [u8; FIELDS] {
    match checksum {
        Checksum::Complete => [0; FIELDS],
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
pub(crate) fn for_segments(layout: &Layout, size: usize, count: u32, reduced: bool) -> Option<[u8; FIELDS]> {
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
    // Linux cuts datagrams into IP fragments only for old senders, and has no header type for these tunnels.
    if kind.is_tunnel() || kind.is_fragments() {
        return None;
    }
    match (kind.is_tcp(), kind.outer_is_ipv6()) {
        (true, false) => Some(KIND_TCP4),
        (true, true) => Some(KIND_TCP6),
        _ => (count <= MOST_DATAGRAMS).then_some(KIND_UDP_DATAGRAMS),
    }
}

#[cfg(test)]
mod tests {
    use super::left_of_whole;
    use crate::wire::Checksum;

    const FRAME_LEN: usize = 60;

    /// Row B16.
    #[test]
    fn a_header_that_asks_for_nothing_leaves_nothing() {
        let valid = [2, 0, 9, 9, 9, 9, 9, 9, 9, 9];
        for header in [&[][..], &[0; 10], &[0; 12], &valid, &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(left_of_whole(header, FRAME_LEN), Some(Checksum::Complete), "{header:?}");
        }
    }

    /// Row B16.
    #[test]
    fn a_checksum_is_left_where_it_lies_in_the_frame_and_frames_to_be_cut_are_looked_at() {
        let header = |kind, start: u8, offset: u8| [1, kind, 0, 0, 0, 0, start, 0, offset, 0];
        let left = |start, offset| Some(Checksum::Partial { start, offset });
        assert_eq!(left_of_whole(&header(0, 34, 6), FRAME_LEN), left(34, 6));
        assert_eq!(left_of_whole(&header(0, 34, 24), FRAME_LEN), left(34, 24));
        assert_eq!(left_of_whole(&header(0, 34, 25), FRAME_LEN), None);
        assert_eq!(left_of_whole(&header(0, 33, 6), FRAME_LEN), None);
        for kind in [1, 3, 4, 5, 0x80, 0x81] {
            assert_eq!(left_of_whole(&header(kind, 34, 6), FRAME_LEN), None);
            assert_eq!(left_of_whole(&[0, kind, 0, 0, 0, 0, 0, 0, 0, 0], FRAME_LEN), None);
        }
    }
}

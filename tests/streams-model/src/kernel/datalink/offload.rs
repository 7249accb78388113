//! Work a sender inside the kernel leaves to the hardware, and who does it in the end.
//!
//! A stream cannot leave any: this is for what IP on a neighbour sends.

use crate::kernel::packet::checksum;

const ETHER: usize = 14;
const IP_LENGTH: usize = 2;
const IP_PROTOCOL: usize = 9;
const IP_CHECKSUM: usize = 10;
const IP_SOURCE: usize = 12;
const IP_END_OF_ADDRESSES: usize = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_SEQUENCE: usize = 4;
const TCP_DATA_OFFSET: usize = 12;
const TCP_FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
/// FIN and PSH: only the last piece of a segment has them.
const LAST_PIECE_FLAGS: u8 = 0x09;

/// What a link offers to do for its senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Finishing a checksum whose pseudo header is summed.
    pub partial_checksum: bool,
    /// The whole checksum of TCP and UDP over IPv4.
    pub full_checksum: bool,
    /// The checksum of an IPv4 header.
    pub ip_checksum: bool,
    /// Cutting TCP segments.
    pub segmentation: bool,
}

/// What a frame leaves to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where in the packet the checksum begins, where it goes and where its data ends, with the pseudo header summed.
    pub partial: Option<(usize, usize, usize)>,
    /// The whole checksum of the transport header.
    pub full: bool,
    /// The IPv4 header's checksum.
    pub ip: bool,
    /// Segments of this many bytes of TCP payload.
    pub mss: Option<usize>,
}

/// A frame inside the kernel.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) frame: Vec<u8>,
    pub(super) left: Offload,
}

impl Packet {
    pub(super) fn plain(frame: Vec<u8>) -> Self {
        Self { frame, left: Offload::default() }
    }

    /// Does what the link does not offer to do.
    pub(super) fn without_unoffered(mut self, offers: Offloads) -> Vec<Self> {
        let cut = self.left.mss.is_some() && !offers.segmentation;
        if cut {
            return self.finished().into_iter().map(Self::plain).collect();
        }
        if self.left.mss.is_some() {
            return vec![self];
        }
        let transport = self.left.partial.is_some() && !offers.partial_checksum
            || self.left.full && !offers.full_checksum;
        // Seen: with one of the two to be done here, both are.
        if transport || self.left.ip && !offers.ip_checksum {
            self.finish_transport();
            self.finish_ip();
        }
        vec![self]
    }

    /// Does all that is left.
    pub(super) fn finished(mut self) -> Vec<Vec<u8>> {
        if let Some(mss) = self.left.mss {
            return segments(&self.frame, mss);
        }
        self.finish_transport();
        self.finish_ip();
        vec![self.frame]
    }

    fn finish_transport(&mut self) {
        if let Some((start, stuff, end)) = self.left.partial.take() {
            let packet = self.frame.get_mut(ETHER..).unwrap_or_default();
            if start < end && end <= packet.len() && stuff + 2 <= packet.len() {
                let sum = checksum(&[&packet[start..end]]);
                packet[stuff..stuff + 2].copy_from_slice(&sum.to_be_bytes());
            }
        }
        if std::mem::take(&mut self.left.full) {
            finish_checksums(&mut self.frame);
        }
    }

    fn finish_ip(&mut self) {
        if std::mem::take(&mut self.left.ip) {
            finish_ip_header(&mut self.frame);
        }
    }
}

/// Where the transport header begins; nothing when the frame is no whole IPv4 packet.
fn transport_at(frame: &[u8]) -> Option<usize> {
    let header = frame.get(ETHER..ETHER + IP_END_OF_ADDRESSES)?;
    let at = ETHER + usize::from(header[0] & 0xf) * 4;
    (header[0] >> 4 == 4 && frame.len() >= at).then_some(at)
}

fn finish_ip_header(frame: &mut [u8]) {
    let Some(end) = transport_at(frame) else { return };
    frame[ETHER + IP_CHECKSUM..ETHER + IP_CHECKSUM + 2].fill(0);
    let sum = checksum(&[&frame[ETHER..end]]);
    frame[ETHER + IP_CHECKSUM..ETHER + IP_CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

fn finish_checksums(frame: &mut [u8]) {
    let Some(at) = transport_at(frame) else { return };
    let protocol = frame[ETHER + IP_PROTOCOL];
    let field = at + if protocol == TCP { TCP_CHECKSUM } else { UDP_CHECKSUM };
    if !matches!(protocol, TCP | UDP) || frame.len() < field + 2 {
        return;
    }
    frame[field..field + 2].fill(0);
    let addresses = &frame[ETHER + IP_SOURCE..ETHER + IP_END_OF_ADDRESSES];
    let total = usize::from(u16::from_be_bytes([frame[ETHER + IP_LENGTH], frame[ETHER + IP_LENGTH + 1]]));
    let end = (ETHER + total).clamp(at, frame.len());
    let length = ((end - at) as u16).to_be_bytes();
    let sum = checksum(&[addresses, &[0, protocol], &length, &frame[at..end]]);
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Cuts a TCP segment into pieces that are whole segments of their own.
fn segments(frame: &[u8], mss: usize) -> Vec<Vec<u8>> {
    let Some(at) = transport_at(frame).filter(|at| frame.len() >= at + IP_END_OF_ADDRESSES) else {
        return vec![frame.to_vec()];
    };
    let payload_at = at + usize::from(frame[at + TCP_DATA_OFFSET] >> 4) * 4;
    let payload = frame.get(payload_at..).unwrap_or(&[]);
    let sequence =
        u32::from_be_bytes(frame[at + TCP_SEQUENCE..at + TCP_SEQUENCE + 4].try_into().unwrap_or([0; 4]));
    let count = payload.len().div_ceil(mss.max(1));
    let pieces = payload.chunks(mss.max(1)).enumerate().map(|(index, piece)| {
        let mut segment = [&frame[..payload_at], piece].concat();
        let total = (segment.len() - ETHER) as u16;
        segment[ETHER + IP_LENGTH..ETHER + IP_LENGTH + 2].copy_from_slice(&total.to_be_bytes());
        let at_byte = sequence.wrapping_add((index * mss) as u32);
        segment[at + TCP_SEQUENCE..at + TCP_SEQUENCE + 4].copy_from_slice(&at_byte.to_be_bytes());
        if index + 1 < count {
            segment[at + TCP_FLAGS] &= !LAST_PIECE_FLAGS;
        }
        finish_ip_header(&mut segment);
        finish_checksums(&mut segment);
        segment
    });
    pieces.collect()
}

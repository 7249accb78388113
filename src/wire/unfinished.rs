//! Transport checksums that a neighbour has left to its network card, and that the card has not finished.

use std::ops::Range;

use super::gso::GsoKind;
use super::headers::{ethernet, ipv4, ipv6};
use super::layout::{HeaderBytes, Layout};

/// A checksum that may be unfinished: its field holds the sum of the pseudo header and nothing more. To finish it, the
/// checksum is computed over all that it covers, its own field included. By chance such a sum can already be the right
/// checksum. The computation then gives the value that the field has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspect {
    /// What the checksum covers, counted from the first byte of the frame.
    pub start: usize,
    pub len: usize,
    /// Where its field lies.
    pub field: usize,
}

/// Looks for such a checksum in a frame of `frame_len` bytes, of which `bytes` are the first. Everything else, a damaged
/// frame included, is left alone.
pub(crate) fn suspect(bytes: &[u8], frame_len: usize) -> Option<Suspect> {
    let headers = HeaderBytes::new(bytes, frame_len);
    let (_, ether_type) = headers.network_header().ok()?;
    let kinds = match ether_type {
        ethernet::IPV4 => [GsoKind::Udp4Datagrams, GsoKind::Tcp4],
        ethernet::IPV6 => [GsoKind::Udp6Datagrams, GsoKind::Tcp6],
        _ => return None,
    };
    // In a source-routed frame the checksum covers another address than the header's. So nothing tells an unfinished checksum
    // from a finished one.
    let layout =
        kinds.into_iter().find_map(|kind| Layout::read(kind, &headers).ok()).filter(|it| !it.routed)?;
    let covered = covered(bytes, &layout, frame_len)?;
    let mut sum = layout.pseudo_header(bytes);
    sum.number(u16::try_from(covered.len()).ok()?);
    let (pseudo, field) = (sum.folded(), layout.transport + layout.checksum_offset());
    let held = bytes.get(field..field + 2)?;
    let found = Suspect { start: covered.start, len: covered.len(), field };
    (held == pseudo.to_be_bytes() && field + 2 <= covered.end).then_some(found)
}

/// The transport header and its payload: up to where IP says that the packet ends, since Ethernet may have filled it up.
fn covered(bytes: &[u8], layout: &Layout, frame_len: usize) -> Option<Range<usize>> {
    let word = |at: usize| Some(usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?)));
    let end = if layout.kind.outer_is_ipv6() {
        layout.network + ipv6::LEN + word(layout.network + ipv6::PAYLOAD_LENGTH)?
    } else {
        layout.network + word(layout.network + ipv4::TOTAL_LENGTH)?
    };
    (layout.transport < end && end <= frame_len).then_some(layout.transport..end)
}

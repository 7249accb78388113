//! Any frame with any context.

use tap_plumb::{Checksum, Frame, Gso, GsoKind};

use super::exercise::{exercise, scatter};

const KINDS: [GsoKind; 8] = [
    GsoKind::Tcp4,
    GsoKind::Tcp6,
    GsoKind::Udp4Fragments,
    GsoKind::Udp4Datagrams,
    GsoKind::Udp6Datagrams,
    GsoKind::Tcp6In4,
    GsoKind::Udp6In4,
    GsoKind::Udp6Fragments,
];

/// Bytes of context before the frame.
const CONTEXT: usize = 16;

/// Kind, how the frame is scattered, four numbers of context, how the checksum stands; then the frame.
pub(crate) fn carve(data: &[u8]) {
    let Some((context, bytes)) = data.split_first_chunk::<CONTEXT>() else { return };
    let word = |at: usize| u16::from_le_bytes([context[at], context[at + 1]]);
    let gso = Gso {
        kind: KINDS[usize::from(context[0]) % KINDS.len()],
        header_len: word(2),
        segment_size: word(4),
        network_offset: word(6),
        transport_offset: word(8),
    };
    let slices = scatter(bytes, context[1], context[14]);
    let frame = match context[15] % 2 {
        0 => Frame::new(&slices),
        _ => Frame::new(&slices).checksum(Checksum::Partial { start: word(10), offset: word(12) }),
    };
    exercise(&frame, None);
    exercise(&frame.ipv4_checksum(), None);
    exercise(&frame.gso(gso), Some(gso));
}

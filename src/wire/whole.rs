//! The headers of a frame that goes out in one piece, for a host that cuts it or completes its checksum.

use super::checksum::Sum;
use super::headers::{ipv4, ipv6, put_word, udp};
use super::layout::Layout;

/// Puts right all lengths and IPv4's checksum in `headers`, which a [`Layout`] was read from. Leaves the sum of the pseudo
/// header in the transport checksum's place. That is what Linux and virtio expect of a checksum that is still to be completed.
#[inline]
pub(crate) fn put_right(headers: &mut [u8], layout: &Layout) {
    let Layout { kind, network, inner, transport, frame_len, .. } = *layout;
    let mut pseudo = layout.pseudo_header(headers);
    if !kind.outer_is_ipv6() {
        put_word(headers, network + ipv4::TOTAL_LENGTH, length(frame_len - network));
        let len = 4 * usize::from(headers[network] & 0x0f);
        put_ipv4_checksum(&mut headers[network..network + len]);
    }
    if kind.inner_is_ipv6() {
        put_word(headers, inner + ipv6::PAYLOAD_LENGTH, length(frame_len - inner - ipv6::LEN));
    }
    let covered = length(frame_len - transport);
    if !kind.is_tcp() {
        put_word(headers, transport + udp::LENGTH, covered);
    }
    pseudo.number(covered);
    put_word(headers, transport + layout.checksum_offset(), pseudo.folded());
}

/// Computes the checksum of a whole IPv4 header.
#[inline]
pub(crate) fn put_ipv4_checksum(header: &mut [u8]) {
    put_word(header, ipv4::CHECKSUM, 0);
    let mut sum = Sum::default();
    sum.bytes(header);
    put_word(header, ipv4::CHECKSUM, sum.checksum());
}

/// A length inside a packet. None is above 65535, which the reader of the headers has made sure of.
#[expect(clippy::cast_possible_truncation, reason = "the reader bounds the packet by its family's limit")]
#[inline]
pub(crate) fn length(value: usize) -> u16 {
    debug_assert!(value <= usize::from(u16::MAX));
    value as u16
}

//! TCP over IPv4 without tags and IP options: the headers at their fixed places, judged by one branch and put right.

use super::{FRONT, NETWORK, OWN, TRANSPORT};
use crate::wire::checksum::Sum;
use crate::wire::gso::LONGEST_PACKET;
use crate::wire::headers::{ethernet, ipv4, protocol, put_word, tcp};
use crate::wire::vnet_header::{self, LONGEST};

/// Puts right what `deliver` would in the headers of a frame of `len` bytes, with the virtio-net header before them; nothing
/// where they are not what they should be. `stated` is where the sender says that they end, or 0.
pub(super) fn rewrite(own: &mut [u8; OWN], segment_size: u16, stated: u16, len: usize) -> Option<()> {
    let (room, header) = own.split_first_chunk_mut::<LONGEST>()?;
    let header = header.first_chunk_mut::<FRONT>()?;
    let header_len = TRANSPORT + 4 * usize::from(header[TRANSPORT + tcp::DATA_OFFSET] >> 4);
    // An honest guest never takes this branch.
    if !is_usual(header) | !fits(header_len, usize::from(segment_size), usize::from(stated), len) {
        return None;
    }
    let ecn = header[TRANSPORT + tcp::FLAGS] & tcp::CWR != 0;
    *room = vnet_header::for_tcp4(header_len, segment_size, (TRANSPORT, tcp::CHECKSUM), ecn);
    put_right(header, len);
    Some(())
}

#[inline]
fn is_usual(header: &[u8; FRONT]) -> bool {
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let fragment = ipv4::MORE_FRAGMENTS | ipv4::FRAGMENT_OFFSET;
    (word(ethernet::TYPE) == ethernet::IPV4)
        & (header[NETWORK] == 0x45)
        & (word(NETWORK + ipv4::FRAGMENT) & fragment == 0)
        & (header[NETWORK + ipv4::PROTOCOL] == protocol::TCP)
}

#[inline]
fn fits(header_len: usize, segment_size: usize, stated: usize, len: usize) -> bool {
    (header_len >= FRONT)
        & ((stated == 0) | (stated == header_len))
        & (segment_size > 0)
        & (len > header_len + segment_size)
        & (len <= NETWORK + LONGEST_PACKET)
}

/// Lengths and checksums; TCP's is left to be completed over the sum of its pseudo header.
///
/// Four bytes at a time, and before anything is written: what has just been stored in other portions than it is loaded in
/// makes the processor wait.
#[inline]
fn put_right(header: &mut [u8; FRONT], len: usize) {
    let two = |at: usize| [header[at], header[at + 1]];
    let four = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    let (total, covered) = (length(len - NETWORK), length(len - TRANSPORT));
    let mut pseudo = Sum::default();
    pseudo.pair(four(NETWORK + ipv4::ADDRESSES.start));
    pseudo.pair(four(NETWORK + ipv4::ADDRESSES.start + 4));
    let mut network = pseudo;
    network.number(u16::from_be_bytes(two(NETWORK)));
    network.number(total);
    network.pair(four(NETWORK + ipv4::IDENTIFICATION));
    network.number(u16::from_be_bytes(two(NETWORK + ipv4::TIME_TO_LIVE)));
    pseudo.number(protocol::TCP.into());
    pseudo.number(covered);
    put_word(header, NETWORK + ipv4::TOTAL_LENGTH, total);
    put_word(header, NETWORK + ipv4::CHECKSUM, network.checksum());
    put_word(header, TRANSPORT + tcp::CHECKSUM, pseudo.folded());
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by LONGEST_PACKET")]
#[inline]
fn length(value: usize) -> u16 {
    debug_assert!(value <= LONGEST_PACKET);
    value as u16
}

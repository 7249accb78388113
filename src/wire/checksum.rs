//! The Internet checksum (RFC 1071): a one's-complement sum of 16-bit words.
//!
//! Bytes are summed in the order the machine reads them and swapped once at the end, which RFC 1071 section 2(B) allows.
//! The lanes are wide enough that no carry is lost, which lets a compiler use the whole vector unit.

use super::headers::{ethernet, ipv4};
use super::reject::RejectReason;
use super::simd;

/// Shorter runs, headers as a rule, are summed faster without vectors.
const SHORT: usize = 64;

/// A one's-complement sum over bytes that come in pieces of any length, odd ones included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// Native-endian words. Each addition is below 2^17, so that no frame can overflow it.
    words: u64,
    odd: bool,
}

impl Sum {
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.piece(fold(sum(bytes)), bytes.len());
    }

    /// Adds the folded native-endian sum of a piece of `len` bytes.
    #[inline]
    pub fn piece(&mut self, folded: u16, len: usize) {
        // A piece that starts at an odd byte has all its words the wrong way round (RFC 1071 2(B)).
        self.words += u64::from(if self.odd { folded.swap_bytes() } else { folded });
        self.odd ^= len % 2 == 1;
    }

    /// Adds another sum. The bytes before it must be even in number, and so must its own be.
    #[inline]
    pub fn add(&mut self, other: Self) {
        self.words += other.words;
    }

    /// Adds a number of a pseudo header. The bytes before it must be even in number.
    #[inline]
    pub fn number(&mut self, value: u16) {
        self.words += u64::from(u16::from_ne_bytes(value.to_be_bytes()));
    }

    /// The sum itself, as a partial checksum wants it.
    #[inline]
    pub fn folded(self) -> u16 {
        u16::from_be_bytes(fold(self.words).to_ne_bytes())
    }

    /// What goes into a header's checksum field.
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// As [`checksum`](Self::checksum) where 0 would mean "no checksum" (RFC 768); both stand for the same number.
    #[inline]
    pub fn checksum_not_zero(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            value => value,
        }
    }
}

/// Computes the Internet checksum (RFC 1071) of `bytes`, as it goes into a header. The last of an odd number of bytes counts
/// as if a 0 followed. Bytes that hold their own right checksum give 0.
///
/// ```
/// let header = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
/// assert_eq!(tap_plumb::internet_checksum(&header), 0xf6d5);
/// ```
#[must_use]
#[inline]
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    !u16::from_be_bytes(fold(sum(bytes)).to_ne_bytes())
}

/// Completes the partial checksum of `frame` in place: the sum from `start` to the end goes to `start + offset`.
pub(crate) fn complete_in_place(frame: &mut [u8], start: u16, offset: u16) -> Result<(), RejectReason> {
    let field = checksum_field(frame.len(), start, offset)?;
    let mut sum = Sum::default();
    sum.bytes(&frame[usize::from(start)..]);
    frame[field..field + 2].copy_from_slice(&sum.checksum_not_zero().to_be_bytes());
    Ok(())
}

/// What precedes any transport header; Linux refuses checksums that start before.
const SHORTEST_HEADERS: usize = ethernet::LEN + ipv4::LEN;

/// Where a partial checksum goes, once it is known to lie inside the frame and behind an IP header.
#[inline]
pub(crate) fn checksum_field(frame_len: usize, start: u16, offset: u16) -> Result<usize, RejectReason> {
    let field = usize::from(start) + usize::from(offset);
    if usize::from(start) < SHORTEST_HEADERS || field + 2 > frame_len {
        return Err(RejectReason::ChecksumRange);
    }
    Ok(field)
}

#[inline]
fn sum(bytes: &[u8]) -> u64 {
    if bytes.len() < SHORT { short(bytes) } else { simd::sum(bytes) }
}

#[inline]
fn short(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut total = 0_u64;
    for word in words {
        let (sum, carry) = total.overflowing_add(u64::from_ne_bytes(*word));
        // A carry out of the top is worth 1 (RFC 1071 1); it cannot overflow again.
        total = sum + u64::from(carry);
    }
    halves(total) + tail(rest)
}

/// Kept out of the body: inlined, it makes the compiler shuffle lanes in the loop, which costs a third of the speed.
#[inline(never)]
fn remainder(bytes: &[u8]) -> u64 {
    short(bytes)
}

/// The body that is built for each vector unit; `LANES` is how many sums run side by side.
#[inline(always)]
pub(super) fn wide<const LANES: usize>(bytes: &[u8]) -> u64 {
    let mut lanes = [0_u64; LANES];
    let mut chunks = bytes.chunks_exact(4 * LANES);
    for chunk in &mut chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let total = lanes.iter().map(|lane| halves(*lane)).sum::<u64>();
    total + remainder(chunks.remainder())
}

/// Sums fewer than 8 bytes; a last odd byte is the first half of a word.
#[inline]
fn tail(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total = words.first().map_or(0, |word| u64::from(u32::from_ne_bytes(*word)));
    let (words, rest) = rest.as_chunks::<2>();
    total += words.first().map_or(0, |word| u64::from(u16::from_ne_bytes(*word)));
    total + rest.first().map_or(0, |last| u64::from(u16::from_ne_bytes([*last, 0])))
}

#[inline]
pub(crate) fn halves(word: u64) -> u64 {
    (word & 0xffff_ffff) + (word >> 32)
}

/// Adds the two halves of the sum, then the two halves of the result, each time by adding the rotation by half. Both halves
/// of that addition have the same carry. So the upper half comes out with the carry added.
#[inline]
pub(crate) fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::{Sum, complete_in_place};
    use crate::wire::reject::RejectReason;

    #[test]
    fn a_received_frame_is_completed_in_place() {
        let mut frame: Vec<u8> = (0..61).collect();
        let mut sum = Sum::default();
        sum.bytes(&frame[34..]);
        complete_in_place(&mut frame, 34, 6).unwrap();
        assert_eq!(frame[40..42], sum.checksum().to_be_bytes());
        assert!(frame[..40].iter().chain(&frame[42..]).eq((0..40).chain(42..61).collect::<Vec<u8>>().iter()));
    }

    #[test]
    fn a_sum_of_zero_is_stored_as_all_ones() {
        let mut frame = vec![0; 60];
        frame[40..42].copy_from_slice(&[0xff, 0xff]);
        complete_in_place(&mut frame, 34, 20).unwrap();
        assert_eq!(frame[54..56], [0xff, 0xff]);
    }

    #[test]
    fn a_field_outside_the_frame_is_refused() {
        let mut frame = vec![0; 60];
        for (start, offset) in [(34, 25), (33, 0), (60, 0), (u16::MAX, u16::MAX)] {
            assert_eq!(complete_in_place(&mut frame, start, offset), Err(RejectReason::ChecksumRange));
        }
        assert_eq!(complete_in_place(&mut frame, 34, 24), Ok(()));
    }

    #[test]
    fn pieces_of_odd_length_keep_their_place() {
        let bytes: Vec<u8> = (1..=200).collect();
        let mut whole = Sum::default();
        whole.bytes(&bytes);
        for cut in 0..bytes.len() {
            let mut sum = Sum::default();
            sum.bytes(&bytes[..cut]);
            sum.bytes(&bytes[cut..]);
            assert_eq!(sum.folded(), whole.folded(), "{cut}");
        }
    }
}

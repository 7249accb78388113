//! The Internet checksum, beside a loop over 16-bit words and beside those of other crates.

use std::hint::black_box;

use etherparse::checksum::Sum16BitWords;
use tap_plumb::internet_checksum;

use crate::gso::naive;
use crate::measure::{Cost, at_page, compare, timed};
use crate::report::{Bound, Report};
use crate::rig::Outcome;

/// Naive, etherparse, internet-checksum, smoltcp's method.
type Bounds = [Bound; 4];
const NONE: Bound = Bound::None;

const SIZES: [(usize, Bounds); 6] = [
    (20, [NONE; 4]),
    (60, [NONE, Bound::AtMost(1.0), NONE, NONE]),
    (576, [NONE; 4]),
    (1460, [Bound::AtMost(0.10), NONE, NONE, NONE]),
    (9000, [NONE; 4]),
    (65535, [Bound::AtMost(1.0 / 12.0), NONE, NONE, NONE]),
];

type Peer = (&'static str, fn(&[u8]) -> u16);

const PEERS: [Peer; 4] = [
    ("naive", naive),
    ("etherparse", |bytes| Sum16BitWords::new().add_slice(bytes).ones_complement()),
    ("internet-checksum", |bytes| u16::from_be_bytes(internet_checksum::checksum(bytes))),
    ("smoltcp's-method", in_chunks),
];

pub fn all(report: &mut Report) -> Outcome<()> {
    for (len, bounds) in SIZES {
        let (bytes, mut memory): (Vec<u8>, _) = ((0..len).map(|at| (at * 7) as u8).collect(), Vec::new());
        let bytes = &*at_page(&bytes, &mut memory);
        let count = 8_000_000 / (len + 60);
        let mut ours = || repeat(count, || internet_checksum(black_box(bytes)));
        for ((name, peer), bound) in PEERS.into_iter().zip(bounds) {
            let mut peer = || repeat(count, || peer(black_box(bytes)));
            report.line(&format!("checksum.{len}"), &compare(&mut ours, &mut peer), count, name, bound);
        }
    }
    Ok(())
}

fn repeat(count: usize, act: impl Fn() -> u16) -> Cost<1> {
    timed(|| {
        for _ in 0..count {
            black_box(act());
        }
    })
}

/// Big-endian words of 32 bytes at a time into one sum of 32 bits, then what is left word by word.
fn in_chunks(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    let (chunks, rest) = bytes.as_chunks::<32>();
    let mut sum: u32 = chunks.iter().map(|chunk| chunk.chunks_exact(2).map(word).sum::<u32>()).sum();
    let pairs = rest.chunks_exact(2);
    if let [last] = pairs.remainder() {
        sum += u32::from(*last) << 8;
    }
    sum += pairs.map(word).sum::<u32>();
    sum = (sum >> 16) + (sum & 0xffff);
    !((sum >> 16) + sum) as u16
}

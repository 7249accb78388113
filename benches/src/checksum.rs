//! The Internet checksum, beside a loop over 16-bit words and beside those of other crates.

use std::hint::black_box;

use etherparse::checksum::Sum16BitWords;
use tap_plumb::internet_checksum;

use crate::gso::naive;
use crate::measure::{Comparison, Cost, alternate, least, least_of, timed};
use crate::report::{Bound, Report};
use crate::rig::{Outcome, Places, copies};

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

const LINE: usize = 64;
const PAGE: usize = 4096;

/// Rounds, and passes over all places a turn. One crate's loop is faster by 8 % in one try of 60: each figure has to find it.
const ROUNDS: usize = 40;
const PASSES: usize = 12;
const BYTES_A_TRY: usize = 500_000;

/// The peers and ours.
const CONTENDERS: usize = PEERS.len() + 1;

/// All of them take turns in the same rounds, so that what disturbs the machine for a second weighs little on each.
pub fn all(report: &mut Report) -> Outcome<()> {
    let inputs = SIZES.map(|(len, _)| Input::new(len));
    let once: Vec<_> = (0..SIZES.len() * CONTENDERS).collect();
    let slots: Vec<_> = once.iter().chain(once.iter().rev()).copied().collect();
    let costs = alternate(ROUNDS, &slots, |slot| {
        let input = &inputs[slot / CONTENDERS];
        match PEERS.get(slot % CONTENDERS) {
            Some((_, peer)) => input.sum(peer),
            None => input.sum(internet_checksum),
        }
    });
    for (((len, bounds), input), costs) in SIZES.into_iter().zip(&inputs).zip(costs.chunks(CONTENDERS)) {
        let [ours] = &costs[PEERS.len()];
        for (((name, _), bound), [peer]) in PEERS.into_iter().zip(bounds).zip(costs) {
            let result = Comparison::of(ours, peer, peer);
            report.line(&format!("checksum.{len}"), &result, input.sums(), name, bound);
        }
    }
    Ok(())
}

/// Bytes to be summed, short ones at as many places as a page has lines: a call of few nanoseconds on the same bytes again
/// and again depends on where the stack lies.
struct Input {
    memory: Places,
    len: usize,
    stride: usize,
    turns: usize,
}

impl Input {
    fn new(len: usize) -> Self {
        let stride = len.next_multiple_of(LINE);
        let memory: Vec<u8> = (0..stride * (PAGE / stride).max(1)).map(|at| (at * 7) as u8).collect();
        let turns = BYTES_A_TRY / (memory.len() + 60 * memory.len() / stride);
        Self { memory: copies(&memory), len, stride, turns }
    }

    fn sums(&self) -> usize {
        self.turns * self.memory[0].len() / self.stride
    }

    #[inline(always)]
    fn sum(&self, checksum: impl Fn(&[u8]) -> u16) -> Cost<1> {
        least_of(PASSES, || {
            least(self.memory.each_ref().map(|memory| {
                timed(|| {
                    for _ in 0..self.turns {
                        for bytes in memory.chunks(self.stride) {
                            black_box(checksum(black_box(&bytes[..self.len])));
                        }
                    }
                })
            }))
        })
    }
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

//! Frames from a guest's ring to a TAP, beside bare write(2) and writev(2) of the same bytes on the same TAP. The crate puts a
//! header of its own before each frame, so that writev of two slices is what it can reach at most.
//!
//! `unshare -n cargo bench --bench transmit`: a network of its own, in which a TAP may be made. The ring and the bare calls
//! take turns, so that other work of the machine slows both. Only the ratio counts.
#![expect(unsafe_code, reason = "guest memory is reached by raw pointers")]

#[path = "../tests/support/driver.rs"]
#[allow(dead_code, clippy::allow_attributes, reason = "the tests use more of it")]
mod driver;

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use driver::{Driver, RING};
use tap_plumb::{Backend, Config, Offload};
use tap_plumb_vhost_user::features::Negotiated;
use tap_plumb_vhost_user::memory::Memory;
use tap_plumb_vhost_user::pair::Pair;

const SIZE: u16 = 256;
const DATA: u64 = 2 * RING;
const HEADER: usize = 12;
const ROUNDS: usize = 300;

struct Rig {
    pair: Pair,
    driver: Driver,
    memory: Arc<Memory>,
}

impl Rig {
    fn new() -> Self {
        let config = Config::new().offload(Offload::ALL).up();
        let tap = config.attach().expect("a TAP; is this run in a network namespace of its own?");
        let memory = Arc::new(Memory::anonymous(&[(0, 0x200000)]).expect("memory"));
        let mut driver = Driver::new(&memory, 0, SIZE);
        let pair = Pair::new(Backend::new(tap), false).expect("an event");
        pair.agree(Negotiated::new(1 << 32 | 1 << 15)).expect("offloads");
        pair.set_up(|work| {
            work.memory = Arc::clone(&memory);
            work.rings[1] = driver.vring(false);
        });
        Self { pair, driver, memory }
    }

    /// One ring full of frames; nanoseconds a frame.
    fn ring(&mut self, len: usize) -> f64 {
        for head in 0..SIZE {
            self.driver.chain(head, &[(DATA + 4096 * u64::from(head), (HEADER + len) as u32)], 0);
            self.driver.offer(head);
        }
        let end = self.driver.used_index().wrapping_add(SIZE);
        let start = Instant::now();
        while self.driver.used_index() != end {
            black_box(self.pair.turn());
        }
        start.elapsed().as_nanos() as f64 / f64::from(SIZE)
    }

    /// The same bytes by as many system calls, header and frame in one slice or in two.
    fn bare(&self, len: usize, slices: usize) -> f64 {
        let start = Instant::now();
        for head in 0..SIZE {
            let at = self.memory.find(DATA + 4096 * u64::from(head), HEADER + len).expect("it is there");
            // SAFETY: the bytes lie in the memory, which `self` keeps mapped, and nobody writes them now.
            let bytes = unsafe { std::slice::from_raw_parts(at, HEADER + len) };
            let (header, frame) = bytes.split_at(HEADER);
            let written = match slices {
                1 => rustix::io::write(&self.pair.backend, bytes),
                _ => rustix::io::writev(&self.pair.backend, &[IoSlice::new(header), IoSlice::new(frame)]),
            };
            written.expect("the TAP takes it");
        }
        start.elapsed().as_nanos() as f64 / f64::from(SIZE)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One contender's measure of frames of a length.
type Measure = fn(&mut Rig, usize) -> f64;

fn main() {
    let mut rig = Rig::new();
    let contenders: [Measure; 3] = [Rig::ring, |rig, len| rig.bare(len, 1), |rig, len| rig.bare(len, 2)];
    println!(
        "{:>6} {:>10} {:>10} {:>10} {:>12} {:>12}",
        "bytes", "ring ns", "write ns", "writev ns", "ring/write", "ring/writev"
    );
    for len in [64, 1514] {
        let mut times: [Vec<f64>; 3] = Default::default();
        for round in 0..ROUNDS {
            for turn in 0..3 {
                let which = (round + turn) % 3;
                times[which].push(contenders[which](&mut rig, len));
            }
        }
        let ratio = |other: usize| {
            median(times[0].iter().zip(&times[other]).map(|(ours, theirs)| ours / theirs).collect())
        };
        let (to_write, to_writev) = (ratio(1), ratio(2));
        let [ring, write, writev] = times.map(median);
        println!("{len:>6} {ring:>10.0} {write:>10.0} {writev:>10.0} {to_write:>12.2} {to_writev:>12.2}");
    }
}

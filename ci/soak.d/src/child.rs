//! A process that runs the rounds of one group, and looks after each at what it left.

use std::fs;
use std::io::Write;
use std::panic;
use std::process::{ExitCode, exit};
use std::time::{Duration, Instant};

use crate::frames::Random;
use crate::{callers, exhaustion, faults, inputs, kill, world};

/// The memory that a process may grow by after its first rounds.
const GROWTH: usize = 64 << 20;
/// Rounds after which the memory is what a round needs.
const WARM: u64 = 5;

/// A group of trials.
pub(crate) trait Trials {
    /// Makes some trials, and says how many. A loss is a panic.
    fn round(&mut self, random: &mut Random) -> u64;
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
}

pub(crate) fn run(words: &[String]) -> ExitCode {
    let [group, seed, seconds, rounds] = words else { return ExitCode::from(2) };
    let number = |word: &str| word.parse::<u64>().expect("the supervisor gives numbers");
    let (seed, rounds) = (number(seed), number(rounds));
    end_at_the_first_panic();
    world::enter();
    let mut trials: Box<dyn Trials> = match group.as_str() {
        "live-faults" => Box::new(faults::Faults),
        "hostile-inputs" => Box::new(inputs::Inputs::new()),
        "threads" => Box::new(callers::Callers),
        "kill" => Box::new(kill::Kill),
        _ => Box::new(exhaustion::Exhaustion),
    };
    repeat(&mut *trials, seed, Duration::from_secs(number(seconds)), rounds);
    ExitCode::SUCCESS
}

fn repeat(trials: &mut dyn Trials, seed: u64, time: Duration, rounds: u64) {
    let (start, mut tried, mut memory) = (Instant::now(), 0, usize::MAX);
    let before = Holdings::now();
    for round in 0..rounds {
        if start.elapsed() >= time {
            break;
        }
        say(seed + round, tried);
        tried += trials.round(&mut Random(seed + round));
        world::wait_until("the holdings of the beginning", || Holdings::now() == before);
        if round == WARM {
            memory = resident().saturating_add(GROWTH);
        }
        assert!(resident() <= memory, "the process grew to {} bytes", resident());
    }
    say(seed, tried);
}

/// The seed of the round that begins, and what was tried before it. The supervisor may be gone.
fn say(seed: u64, tried: u64) {
    let mut output = std::io::stdout().lock();
    if writeln!(output, "{seed} {tried}").and_then(|()| output.flush()).is_err() {
        exit(1);
    }
}

/// Of any thread.
fn end_at_the_first_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |about| {
        print(about);
        exit(101);
    }));
}

impl Holdings {
    fn now() -> Self {
        let count = |folder: &str| fs::read_dir(folder).expect("procfs").count();
        Self { descriptors: count("/proc/self/fd"), threads: count("/proc/self/task") }
    }
}

/// Bytes of memory in use (statm of proc(5) counts pages).
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: usize = text.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number of pages");
    pages * 4096
}

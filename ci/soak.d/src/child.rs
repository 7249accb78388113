//! A child process: where its trials run, and the rounds of one group.

use std::io::{self, Write};
use std::process::{Command, ExitCode, exit};
use std::time::{Duration, Instant};
use std::{fs, panic, thread};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use tap_plumb::Backend;

use crate::frames::Random;
use crate::{callers, exhaustion, faults, inputs, kill};

// A process that runs the rounds of one group, and looks after each at what it left.

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
    enter();
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
        wait_until("the holdings of the beginning", || Holdings::now() == before);
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

// Where trials run, and the laws that hold after each.

const PATIENCE: Duration = Duration::from_secs(30);

/// Enters a network namespace of its own, as root of a user namespace where that is needed. There is one thread yet.
pub(crate) fn enter() {
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        enter_user_namespace().expect("a user namespace; else run as root");
    }
    for scope in ["all", "default"] {
        // The host is to send nothing of its own accord. A kernel without IPv6 does not.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
}

fn enter_user_namespace() -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) -> String {
    try_ip(words).unwrap_or_else(|error| panic!("ip {words}: {error}"))
}

pub(crate) fn try_ip(words: &str) -> Result<String, String> {
    let output = Command::new("ip").args(words.split(' ')).output().expect("the command ip");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Waits until `condition` holds; a loss when it does not within half a minute.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Tells whether every frame that was offered or taken is accounted for.
pub(crate) fn adds_up(backend: &Backend) -> bool {
    let all = backend.statistics();
    all.transmit.frames_offered == all.transmit.frames_sent + all.transmit.dropped()
        && all.receive.frames_received == all.receive.frames_delivered + all.receive.dropped()
}

/// The law of the counters, once nothing is on its way.
pub(crate) fn assert_adds_up(backend: &Backend) {
    wait_until(&format!("the sums of {:?}", backend.statistics()), || adds_up(backend));
}

/// Context switches of these threads so far.
fn switches(threads: &[i32]) -> u64 {
    let of = |thread: &i32| {
        let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap_or_default();
        let lines = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
        lines.filter_map(|line| line.split_whitespace().next_back()?.parse::<u64>().ok()).sum::<u64>()
    };
    threads.iter().map(of).sum()
}

/// Waits until these threads sleep for a while; those that never do are lost.
pub(crate) fn assert_idle(threads: &[i32]) {
    wait_until("idle threads", || {
        let before = switches(threads);
        thread::sleep(Duration::from_millis(20));
        switches(threads) == before
    });
}

//! A soak of the daemon: hypervisors that mean ill, for as long as is asked for.
//!
//! `cargo run --release --bin soak -- --seconds 60 --seed 1`. Every case has its number; a seed and a number make the same
//! case again. The daemon is this program once more, over a socket pair that stands in for a TAP.

mod daemon;
mod messages;
mod peer;
mod reconnects;
mod rings;

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use daemon::Daemon;
use lexopt::prelude::*;

const HELP: &str = "\
soak [--seconds N] [--seed S] [--group NAME [--first CASE] [--cases N]]

  --seconds N    how long, for all groups together; default 60
  --seed S       where the random numbers begin; default: the clock
  --group NAME   messages, rings or reconnects only
  --first CASE   begin with this case
  --cases N      end after this many cases of each group
";

/// What went wrong, in words.
type Loss = String;

/// A kind of case: how many things it tried, or what was lost.
type Case = fn(&Daemon, &mut Random) -> Result<u64, Loss>;

const GROUPS: [(&str, Case); 3] =
    [("messages", messages::case), ("rings", rings::case), ("reconnects", reconnects::case)];

struct Settings {
    seconds: u64,
    seed: u64,
    group: Option<String>,
    first: u64,
    cases: u64,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == daemon::AS_DAEMON).is_some() {
        return tap_plumb_vhost_user::daemon::main(arguments);
    }
    match read(arguments) {
        Ok(Some(settings)) => soak(&settings),
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("soak: {error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn read(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Option<Settings>, lexopt::Error> {
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let mut settings = Settings { seconds: 60, seed: clock, group: None, first: 0, cases: u64::MAX };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => settings.seconds = parser.value()?.parse()?,
            Long("seed") => settings.seed = parser.value()?.parse()?,
            Long("group") => settings.group = Some(parser.value()?.string()?),
            Long("first") => settings.first = parser.value()?.parse()?,
            Long("cases") => settings.cases = parser.value()?.parse()?,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    match &settings.group {
        Some(name) if GROUPS.iter().all(|(known, _)| known != name) => {
            Err(format!("there is no group '{name}'").into())
        }
        _ => Ok(Some(settings)),
    }
}

/// Runs the groups, a share of the time each, and prints a row for each.
fn soak(settings: &Settings) -> ExitCode {
    let chosen = |name: &&str| settings.group.as_deref().is_none_or(|only| only == *name);
    let groups: Vec<_> = GROUPS.iter().filter(|(name, _)| chosen(name)).collect();
    let share = Duration::from_secs(settings.seconds) / groups.len() as u32;
    println!("soak of the vhost-user daemon, seed {}", settings.seed);
    println!("{:12} {:>12} {:>12}", "group", "tried", "survived");
    for (index, (name, case)) in groups.iter().enumerate() {
        let left = share * (groups.len() - index - 1) as u32;
        if let Err((number, loss)) = group(settings, name, *case, share, left) {
            println!("{name}: LOST: {loss}");
            println!("seed {}, case {number}; to repeat it:", settings.seed);
            println!(
                "cargo run --release --manifest-path examples/vhost-user-net/Cargo.toml --bin soak -- --seconds {} --seed {} \
                 --group {name} --first {number}",
                settings.seconds, settings.seed
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// One group, with a daemon of its own; on a loss the number of the case comes with it.
fn group(
    settings: &Settings,
    name: &str,
    case: Case,
    share: Duration,
    left: Duration,
) -> Result<(), (u64, Loss)> {
    let mut number = settings.first;
    let mut tried = 0;
    let mut run = || {
        let mut daemon = Daemon::start()?;
        let mut progress = Progress::new(name, share, left);
        // What is allocated once is allocated now.
        reconnects::case(&daemon, &mut Random::new(0, "first", 0))?;
        let before = daemon.holdings()?;
        let end = Instant::now() + share;
        while Instant::now() < end && number - settings.first < settings.cases {
            let mut random = Random::new(settings.seed, name, number);
            tried += case(&daemon, &mut random)?;
            daemon.must_answer()?;
            number += 1;
            progress.show(tried);
        }
        progress.clear();
        daemon.must_hold_no_more_than(&before)?;
        reconnects::case(&daemon, &mut Random::new(0, "last", 0))?;
        daemon.stop()
    };
    let result = run();
    let lost = u64::from(result.is_err());
    println!("{name:12} {:>12} {:>12}", tried + lost, tried);
    result.map_err(|loss| (number, loss))
}

// Random numbers that come again.

/// A generator: the same for the same seed, group and case.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, group: &str, case: u64) -> Self {
        let start = group.bytes().fold(seed, |all, byte| all.wrapping_mul(31).wrapping_add(byte.into()));
        let mut random = Self(start ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    /// Any number (the SplitMix64 generator).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Once in `often` times.
    pub(crate) fn once_in(&mut self, often: u64) -> bool {
        self.below(often) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

// On a terminal one line shows what runs.

/// Between two lines.
const PERIOD: Duration = Duration::from_millis(500);

pub(crate) struct Progress<'g> {
    group: &'g str,
    start: Instant,
    share: Duration,
    left: Duration,
    shown: Option<Instant>,
    terminal: bool,
}

impl<'g> Progress<'g> {
    /// `share` is the group's time, `left` that of the groups to come.
    pub(crate) fn new(group: &'g str, share: Duration, left: Duration) -> Self {
        let terminal = stderr().is_terminal();
        Self { group, start: Instant::now(), share, left, shown: None, terminal }
    }

    pub(crate) fn show(&mut self, tried: u64) {
        if !self.terminal || self.shown.is_some_and(|shown| shown.elapsed() < PERIOD) {
            return;
        }
        self.shown = Some(Instant::now());
        let elapsed = self.start.elapsed();
        let rate = tried as f64 / elapsed.as_secs_f64().max(0.001);
        let left = (self.share.saturating_sub(elapsed) + self.left).as_secs();
        eprint!("\r\x1b[K{}: {tried} tried, {rate:.0} a second, {left} s left", self.group);
        let _ = stderr().flush();
    }

    pub(crate) fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

//! What is to be run, and its supervisor.

use std::io::{BufRead, BufReader, IsTerminal, stderr};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

// What is to be run, and for how long.

/// One group of trials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// Its part of the time, in hundredths.
    share: u32,
    /// Processes that run it at the same time.
    pub(crate) workers: u64,
    /// Trials to reach in an hour on two processors.
    pub(crate) aim: u64,
}

impl Group {
    /// Its part of an hour in which all of them run.
    pub(crate) fn seconds_of_an_hour(self) -> f64 {
        f64::from(self.share) * 36.0
    }
}

/// In the order in which they run.
pub(crate) const GROUPS: [Group; 5] = [
    Group { name: "live-faults", share: 30, workers: 3, aim: 10_000 },
    Group { name: "hostile-inputs", share: 30, workers: 2, aim: 100_000_000 },
    Group { name: "threads", share: 25, workers: 1, aim: 1_000_000_000 },
    Group { name: "kill", share: 10, workers: 2, aim: 1_000 },
    Group { name: "exhaustion", share: 5, workers: 1, aim: 1_000 },
];

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) total: Duration,
    pub(crate) group: Option<Group>,
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
}

impl Plan {
    pub(crate) fn of(words: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            total: Duration::from_secs(60),
            group: None,
            seed: seed_of_this_moment(),
            rounds: u64::MAX,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--group" => plan.group = Some(group(value()?)?),
                "--seed" => plan.seed = number(value()?)?,
                "--seconds" => plan.total = Duration::from_secs(number(value()?)?),
                "--rounds" => plan.rounds = number(value()?)?,
                minutes => plan.total = Duration::from_secs(60 * number(minutes)?),
            }
        }
        Ok(plan)
    }

    /// The groups that are to run.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.group.map_or_else(|| GROUPS.to_vec(), |group| vec![group])
    }

    /// The time for one of them.
    pub(crate) fn time(&self, group: Group) -> Duration {
        if self.group.is_some() { self.total } else { self.total * group.share / 100 }
    }
}

fn group(name: &str) -> Result<Group, String> {
    let known = GROUPS.map(|group| group.name).join(", ");
    GROUPS
        .into_iter()
        .find(|group| group.name == name)
        .ok_or(format!("there is no group {name}; groups: {known}"))
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

/// Small enough to be read and typed.
fn seed_of_this_moment() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64 % 1_000_000_000 * 1_000
}

// Starts the groups, shows what runs, and prints the table.

/// A child that says nothing for this long hangs.
const SILENCE: Duration = Duration::from_secs(90);
const TICK: Duration = Duration::from_millis(500);

/// A process that runs a group, and what it last said.
struct Worker {
    child: Child,
    lines: Receiver<String>,
    heard: Instant,
    seed: u64,
    tried: u64,
    ended: bool,
}

/// What became of a group.
struct Outcome {
    tried: u64,
    /// Why it was lost, and the seed of the round.
    loss: Option<(String, u64)>,
    time: Duration,
}

pub(crate) fn run(plan: &Plan) -> ExitCode {
    println!("seed {}", plan.seed);
    let mut table = vec![row(&["group", "tried", "survived", "in an hour", "to reach"])];
    let mut lost = None;
    for group in plan.groups() {
        let outcome = run_group(plan, group);
        let hourly =
            outcome.tried as f64 / outcome.time.as_secs_f64().max(0.001) * group.seconds_of_an_hour();
        let survived = outcome.tried - u64::from(outcome.loss.is_some()).min(outcome.tried);
        let numbers = [outcome.tried, survived, hourly as u64, group.aim].map(|number| number.to_string());
        table.push(row(&[group.name, &numbers[0], &numbers[1], &numbers[2], &numbers[3]]));
        lost = outcome.loss.map(|loss| (group, loss));
        if lost.is_some() {
            break;
        }
    }
    println!("{}", table.join("\n"));
    let Some((group, (reason, seed))) = lost else { return ExitCode::SUCCESS };
    println!("lost in {}: {reason}", group.name);
    println!("seed {seed}; again: ci/soak --group {} --seed {seed} --rounds 1", group.name);
    ExitCode::FAILURE
}

fn row(cells: &[&str; 5]) -> String {
    let [group, rest @ ..] = cells;
    format!("{group:<16}{}", rest.map(|cell| format!("{cell:>14}")).concat())
}

fn run_group(plan: &Plan, group: Group) -> Outcome {
    let (start, time) = (Instant::now(), plan.time(group));
    let workers = if plan.rounds == u64::MAX { group.workers } else { 1 };
    // Far enough apart that no two of them come to the same round.
    let mut workers: Vec<_> =
        (0..workers).map(|at| Worker::start(plan, group, plan.seed + at * 1_000_000_000_000)).collect();
    let mut loss = None;
    while loss.is_none() && workers.iter().any(|worker| !worker.ended) {
        loss = workers.iter_mut().find_map(|worker| worker.look().err().map(|reason| (reason, worker.seed)));
        let tried = workers.iter().map(|worker| worker.tried).sum();
        show(group, tried, start, time);
    }
    for worker in &mut workers {
        // Ended ones are beyond that.
        let _ = worker.child.kill();
        let _ = worker.child.wait();
    }
    clear();
    Outcome { tried: workers.iter().map(|worker| worker.tried).sum(), loss, time: start.elapsed() }
}

impl Worker {
    fn start(plan: &Plan, group: Group, seed: u64) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let seconds = plan.time(group).as_secs();
        let words =
            ["--child", group.name, &seed.to_string(), &seconds.to_string(), &plan.rounds.to_string()];
        let mut child =
            Command::new(program).args(words).stdout(Stdio::piped()).spawn().expect("a process for a group");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, heard: Instant::now(), seed, tried: 0, ended: false }
    }

    /// Reads what it said meanwhile; an error says why it is lost.
    fn look(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + TICK;
        while !self.ended {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.note(&line),
                Err(RecvTimeoutError::Timeout) if self.heard.elapsed() > SILENCE => {
                    return Err(format!("no word for {SILENCE:?}: it hangs"));
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    let status = self.child.wait().map_err(|error| error.to_string())?;
                    return if status.success() { Ok(()) } else { Err(status.to_string()) };
                }
            }
        }
        Ok(())
    }

    /// A line is the seed of the round that begins, and what was tried before it.
    fn note(&mut self, line: &str) {
        self.heard = Instant::now();
        let mut numbers = line.split(' ').map(str::parse);
        if let (Some(Ok(seed)), Some(Ok(tried))) = (numbers.next(), numbers.next()) {
            (self.seed, self.tried) = (seed, tried);
        }
    }
}

/// One line that is written over, on a terminal only.
fn show(group: Group, tried: u64, start: Instant, time: Duration) {
    if stderr().is_terminal() {
        let (past, left) = (start.elapsed(), time.saturating_sub(start.elapsed()));
        let rate = tried as f64 / past.as_secs_f64().max(0.001);
        eprint!("\r\x1b[K{}: {tried} tried, {rate:.0}/s, {} s left", group.name, left.as_secs());
    }
}

fn clear() {
    if stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

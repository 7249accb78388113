//! What is to be run, and for how long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

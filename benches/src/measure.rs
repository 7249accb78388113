//! Ratios of things that are measured alternately: these machines are noisy, and an absolute time proves nothing.

use std::time::{Duration, Instant};

/// Rounds whose figures count, after the warm-up.
pub const ROUNDS: usize = 61;
const WARM_UP: usize = 5;

/// One contender: does its work once and says how long the part that counts took.
pub type Arm<'a> = &'a mut dyn FnMut() -> Duration;

/// Times `act`.
pub fn timed(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

/// The ratios of one figure, round by round.
pub struct Ratios(Vec<f64>);

impl Ratios {
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    pub fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn most(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }
}

/// What came of one comparison.
pub struct Comparison {
    /// Median time of the subject's round.
    pub time: Duration,
    /// Subject to peer.
    pub ratio: Ratios,
    /// Peer to itself, measured in the same rounds.
    pub control: Ratios,
}

/// Runs `peer`, `subject` and `peer` again in each round, in changing order.
pub fn compare(subject: Arm<'_>, peer: Arm<'_>) -> Comparison {
    let mut times = Vec::new();
    let (mut ratio, mut control) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let [first, middle, last] = match round % 3 {
            0 => [peer(), subject(), peer()],
            1 => {
                let (middle, first) = (subject(), peer());
                [first, middle, peer()]
            }
            _ => {
                let (first, last) = (peer(), peer());
                [first, subject(), last]
            }
        };
        if round < WARM_UP {
            continue;
        }
        times.push(middle);
        // Against the mean of both, so that a drift within the round cancels.
        ratio.push(middle.as_secs_f64() * 2.0 / (first + last).as_secs_f64());
        control.push(if round % 2 == 0 {
            first.as_secs_f64() / last.as_secs_f64()
        } else {
            last.as_secs_f64() / first.as_secs_f64()
        });
    }
    times.sort();
    Comparison { time: times[times.len() / 2], ratio: Ratios(ratio), control: Ratios(control) }
}

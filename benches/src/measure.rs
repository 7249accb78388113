//! Ratios of things that are measured alternately: these machines are noisy, and an absolute time proves nothing.

use std::time::Instant;

/// Rounds whose figures count, after the warm-up.
pub const ROUNDS: usize = 121;
/// The same where a turn is the least of several tries.
pub const FEWER_ROUNDS: usize = 25;
const WARM_UP: usize = 5;

/// What one run of a contender cost, in one respect or several.
pub type Cost<const N: usize> = [f64; N];

/// One contender: does its work once and says what the parts that count cost.
pub type Arm<'a, const N: usize = 1> = &'a mut dyn FnMut() -> Cost<N>;

/// Seconds that `act` takes.
pub fn timed(act: impl FnOnce()) -> Cost<1> {
    let start = Instant::now();
    act();
    [start.elapsed().as_secs_f64()]
}

/// Values of one thing, round by round.
#[derive(Clone)]
pub struct Series(Vec<f64>);

impl Series {
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

    fn map(&self, other: &Self, act: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| act(*own, *other)).collect())
    }
}

/// What one contender cost: each round once or twice.
#[derive(Clone)]
pub struct Costs(Vec<Series>);

impl Costs {
    /// Of both runs of a round, so that a drift within the round cancels.
    fn mean(&self) -> Series {
        match &self.0[..] {
            [one] => one.clone(),
            [one, other, ..] => one.map(other, |one, other| (one + other) / 2.0),
            [] => unreachable!("a contender has a turn"),
        }
    }
}

/// What came of one comparison.
pub struct Comparison {
    /// Median cost of the subject's run.
    pub cost: f64,
    /// Subject to peer.
    pub ratio: Series,
    /// Peer to itself, measured in the same rounds.
    pub control: Series,
    /// The ratio is of what is done for the same cost.
    pub inverted: bool,
    /// The machine did not give what the figure is about, whatever the control says.
    pub unsteady: bool,
}

impl Comparison {
    /// The control is the peer's, which has to have two turns a round, or else `control`'s.
    pub fn of(subject: &Costs, peer: &Costs, control: &Costs) -> Self {
        let cost = subject.mean();
        let twice = if peer.0.len() == 2 { peer } else { control };
        Self {
            cost: cost.median(),
            ratio: cost.map(&peer.mean(), |subject, peer| subject / peer),
            control: twice.0[0].map(&twice.0[1], |one, other| one / other),
            inverted: false,
            unsteady: false,
        }
    }

    /// As how many times as much is done for the same cost.
    pub fn inverted(mut self) -> Self {
        self.ratio.0.iter_mut().for_each(|ratio| *ratio = 1.0 / *ratio);
        self.inverted = true;
        self
    }
}

/// Runs the contenders, which have numbers, as `slots` lists them, every other round backwards, and every two rounds
/// beginning one place later: what a contender finds depends on who was there before. Gives what each of them cost, in
/// each respect.
pub fn alternate<const N: usize>(
    rounds: usize,
    slots: &[usize],
    mut run: impl FnMut(usize) -> Cost<N>,
) -> Vec<[Costs; N]> {
    let mut costs = vec![Vec::with_capacity(rounds); slots.len()];
    for round in 0..WARM_UP + rounds {
        for step in 0..slots.len() {
            let step = if round % 2 == 0 { step } else { slots.len() - 1 - step };
            let slot = (round / 2 + step) % slots.len();
            let cost = run(slots[slot]);
            if round >= WARM_UP {
                costs[slot].push(cost);
            }
        }
    }
    let of = |contender, part: usize| {
        let own = slots.iter().zip(&costs).filter(|(slot, _)| **slot == contender);
        Costs(own.map(|(_, costs)| Series(costs.iter().map(|cost| cost[part]).collect())).collect())
    };
    let contenders = slots.iter().max().map_or(0, |last| last + 1);
    (0..contenders).map(|contender| std::array::from_fn(|part| of(contender, part))).collect()
}

/// Compares two, each with two turns a round.
pub fn compare_parts<const N: usize>(
    rounds: usize,
    subject: Arm<'_, N>,
    peer: Arm<'_, N>,
) -> [Comparison; N] {
    let costs = alternate(rounds, &[1, 0, 0, 1], |contender| if contender == 0 { subject() } else { peer() });
    std::array::from_fn(|part| Comparison::of(&costs[0][part], &costs[1][part], &costs[1][part]))
}

/// Compares the time of two.
pub fn compare(rounds: usize, subject: Arm<'_>, peer: Arm<'_>) -> Comparison {
    let [comparison] = compare_parts(rounds, subject, peer);
    comparison
}

/// What came of one subject beside the bare call, made in line and by way of the C library, in one run.
pub struct BesideCalls {
    pub in_line: Comparison,
    pub library: Comparison,
    /// The call in line to the one by way of the C library.
    pub gain: f64,
}

/// The places of [`fastest`](crate::fastest).
const PLACES: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// What the loop costs at the place where it is fastest just then: each turn tries all of them twice.
pub fn at_the_fastest(mut run: impl FnMut(usize) -> Cost<1>) -> impl FnMut() -> Cost<1> {
    move || least(PLACES.into_iter().chain(PLACES).map(&mut run))
}

/// The least of several tries: what disturbs the machine for a moment only adds.
pub fn least<const N: usize>(tries: impl IntoIterator<Item = Cost<N>>) -> Cost<N> {
    let nothing = [f64::INFINITY; N];
    tries.into_iter().fold(nothing, |least, cost| std::array::from_fn(|part| least[part].min(cost[part])))
}

/// Compares one with both ways of making the same call, each with two turns a round.
pub fn beside_calls(subject: Arm<'_>, in_line: Arm<'_>, library: Arm<'_>) -> BesideCalls {
    let costs = alternate(FEWER_ROUNDS, &[0, 1, 2, 2, 1, 0], |contender| match contender {
        0 => subject(),
        1 => in_line(),
        _ => library(),
    });
    let [[ours], [in_line], [library]] = [&costs[0], &costs[1], &costs[2]];
    BesideCalls {
        in_line: Comparison::of(ours, in_line, in_line),
        library: Comparison::of(ours, library, library),
        gain: Comparison::of(in_line, library, library).ratio.median(),
    }
}

/// Fills the queue of a rig with frames of a length, then takes frames until there are none, on the clock. The loop and
/// what takes a frame stand in one function: a return between two frames would hide what the call itself costs.
#[macro_export]
macro_rules! drain {
    ($rig:expr, $len:expr, $take:expr) => {{
        $rig.fill($len).expect("fill");
        let mut frames = 0;
        let start = std::time::Instant::now();
        while $take {
            frames += 1;
        }
        let time = start.elapsed().as_secs_f64();
        assert_eq!(frames, $crate::rig::QUEUE);
        [time]
    }};
}

/// Does something a number of times, on the clock, in one function.
#[macro_export]
macro_rules! repeat {
    ($count:expr, $act:expr) => {{
        let start = std::time::Instant::now();
        for _ in 0..$count {
            $act;
        }
        [start.elapsed().as_secs_f64()]
    }};
}

/// A contender whose loop stands at eight places in the code, of which each turn takes the fastest. What predicts branches goes by
/// addresses, and the kernel's defences make some of them slow: the same instructions take 560 or 850 ns.
#[macro_export]
macro_rules! fastest {
    ($loop:expr) => {
        $crate::fastest!($loop; 0 1 2 3 4 5 6 7)
    };
    ($loop:expr; $($place:literal)*) => {
        $crate::measure::at_the_fastest(|place| match place {
            $($place => {
                $crate::in_line::skip::<{ 16 * $place }>();
                $loop
            })*
            _ => unreachable!("there is no place {place}"),
        })
    };
}

//! Ratios of things that are measured alternately: these machines are noisy, and an absolute time proves nothing.

use std::time::Instant;

/// Rounds whose figures count, after the warm-up, where a turn is the least of several tries.
pub const ROUNDS: usize = 25;
/// The same of each of several processes.
pub const ROUNDS_APART: usize = 10;
const WARM_UP: usize = 2;
/// The share of the turns that a figure is of: the fastest ones.
const FASTEST: usize = 10;

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

/// What one contender cost, a series of rounds for each turn of a round.
pub struct Costs(Vec<Vec<f64>>);

impl Costs {
    /// The mean of the fastest tenth of all turns. A neighbour of the machine only adds time, to half of the turns or for half a
    /// minute: then the median is the neighbour's.
    fn fastest(&self) -> f64 {
        fastest(self.0.iter().flatten())
    }

    /// Of a round's turns, so that a drift within the round cancels.
    fn by_round(&self) -> Vec<f64> {
        let rounds = self.0.first().map_or(0, Vec::len);
        let mean = |round| self.0.iter().map(|turn| turn[round]).sum::<f64>() / self.0.len() as f64;
        (0..rounds).map(mean).collect()
    }

    /// The first turns of the rounds to the last ones.
    fn control(&self) -> f64 {
        let of = |turn: Option<&Vec<f64>>| fastest(turn.into_iter().flatten());
        of(self.0.first()) / of(self.0.last())
    }
}

fn fastest<'a>(turns: impl Iterator<Item = &'a f64>) -> f64 {
    let mut sorted: Vec<_> = turns.copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.truncate(sorted.len().div_ceil(FASTEST));
    sorted.iter().sum::<f64>() / sorted.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What came of one comparison.
pub struct Comparison {
    /// Cost of the subject's run.
    pub cost: f64,
    /// Subject to peer.
    pub ratio: f64,
    /// The same round by round: the least and the most.
    pub spread: [f64; 2],
    /// Peer to itself, measured in the same rounds.
    pub control: f64,
    /// The ratio is of what is done for the same cost.
    pub inverted: bool,
    /// The machine did not give what the figure is about, whatever the control says.
    pub unsteady: bool,
}

impl Comparison {
    /// The control is the peer's, which has to have two turns a round, or else `control`'s.
    pub fn of(subject: &Costs, peer: &Costs, control: &Costs) -> Self {
        let twice = if peer.0.len() == 2 { peer } else { control };
        Self {
            cost: subject.fastest(),
            ratio: subject.fastest() / peer.fastest(),
            spread: spread(&by_round(subject, peer)),
            control: twice.control(),
            inverted: false,
            unsteady: false,
        }
    }

    /// The same of the median round, where the machine may take something off as well as add to it.
    pub fn of_medians(subject: &Costs, peer: &Costs, control: &Costs) -> Self {
        let ratios = by_round(subject, peer);
        let twice = if peer.0.len() == 2 { peer } else { control };
        Self {
            cost: median(subject.by_round()),
            spread: spread(&ratios),
            ratio: median(ratios),
            control: median(twice.0[0].iter().zip(&twice.0[1]).map(|(one, other)| one / other).collect()),
            inverted: false,
            unsteady: false,
        }
    }

    /// As how many times as much is done for the same cost.
    pub fn inverted(self) -> Self {
        let [least, most] = self.spread;
        Self { ratio: 1.0 / self.ratio, spread: [1.0 / most, 1.0 / least], inverted: true, ..self }
    }
}

fn by_round(subject: &Costs, peer: &Costs) -> Vec<f64> {
    subject.by_round().iter().zip(peer.by_round()).map(|(subject, peer)| subject / peer).collect()
}

fn spread(ratios: &[f64]) -> [f64; 2] {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    [least, ratios.iter().copied().fold(0.0, f64::max)]
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
        Costs(own.map(|(_, costs)| costs.iter().map(|cost| cost[part]).collect()).collect())
    };
    let contenders = slots.iter().max().map_or(0, |last| last + 1);
    (0..contenders).map(|contender| std::array::from_fn(|part| of(contender, part))).collect()
}

/// Compares two, each with two turns a round.
pub fn compare(rounds: usize, subject: Arm<'_>, peer: Arm<'_>) -> Comparison {
    let [[subject], [peer]] = in_turns(rounds, subject, peer);
    Comparison::of(&subject, &peer, &peer)
}

/// Compares what two have to wait for, in several respects.
pub fn compare_waits<const N: usize>(
    rounds: usize,
    subject: Arm<'_, N>,
    peer: Arm<'_, N>,
) -> [Comparison; N] {
    let [subject, peer] = in_turns(rounds, subject, peer);
    std::array::from_fn(|part| Comparison::of_medians(&subject[part], &peer[part], &peer[part]))
}

fn in_turns<const N: usize>(rounds: usize, subject: Arm<'_, N>, peer: Arm<'_, N>) -> [[Costs; N]; 2] {
    let costs = alternate(rounds, &[1, 0, 0, 1], |contender| if contender == 0 { subject() } else { peer() });
    costs.try_into().unwrap_or_else(|_| unreachable!("two were given"))
}

/// What came of one subject beside the bare call, made in line and by way of the C library, in one run.
pub struct BesideCalls {
    pub in_line: Comparison,
    pub library: Comparison,
    /// The call in line to the one by way of the C library.
    pub gain: f64,
}

/// In the code and in memory, for [`fastest`](crate::fastest).
pub const PLACES: usize = 8;

/// What the loop costs at the place where it is fastest just then: each turn tries all of them twice, with memory at other places
/// each time.
pub fn at_the_fastest(mut run: impl FnMut(usize, usize) -> Cost<1>) -> impl FnMut() -> Cost<1> {
    let mut shift = 0;
    move || {
        let passes = [shift, shift + 1];
        shift += passes.len();
        least(passes.map(|shift| least((0..PLACES).map(|place| run(place, (place + shift) % PLACES)))))
    }
}

/// The least of several tries: what disturbs the machine for a moment only adds.
pub fn least<const N: usize>(tries: impl IntoIterator<Item = Cost<N>>) -> Cost<N> {
    let nothing = [f64::INFINITY; N];
    tries.into_iter().fold(nothing, |least, cost| std::array::from_fn(|part| least[part].min(cost[part])))
}

/// The least of as many tries of the same.
pub fn least_of<const N: usize>(tries: usize, mut run: impl FnMut() -> Cost<N>) -> Cost<N> {
    least((0..tries).map(|_| run()))
}

/// Compares one with both ways of making the same call, each with two turns a round.
pub fn beside_calls(rounds: usize, subject: Arm<'_>, in_line: Arm<'_>, library: Arm<'_>) -> BesideCalls {
    let costs = alternate(rounds, &[0, 1, 2, 2, 1, 0], |contender| match contender {
        0 => subject(),
        1 => in_line(),
        _ => library(),
    });
    let [[ours], [in_line], [library]] = [&costs[0], &costs[1], &costs[2]];
    BesideCalls {
        in_line: Comparison::of(ours, in_line, in_line),
        library: Comparison::of(ours, library, library),
        gain: Comparison::of(in_line, library, library).ratio,
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
/// addresses, and the kernel's defences make some of them slow: the same instructions take 560 or 850 ns. The name before the arrow
/// is the number of the memory to be used: a page of one's own costs some 130 ns more or less by where it lies in the machine.
#[macro_export]
macro_rules! fastest {
    ($memory:ident => $loop:expr) => {
        $crate::fastest!($memory => $loop; 0 1 2 3 4 5 6 7)
    };
    ($memory:ident => $loop:expr; $($place:literal)*) => {
        $crate::measure::at_the_fastest(|place, $memory| match place {
            $($place => {
                $crate::in_line::skip::<{ 16 * $place }>();
                $loop
            })*
            _ => unreachable!("there is no place {place}"),
        })
    };
}

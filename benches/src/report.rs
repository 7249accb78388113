//! One line a figure: `name value unit ratio peer`, then the spread and the verdict on its bound.

use serde::{Deserialize, Serialize};

use crate::measure::{BesideCalls, Comparison};

/// What a ratio has to be.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Shown only.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Missed,
    /// The peer differs from itself by more than one per cent, or the machine did not give what it takes: the ratio proves
    /// nothing.
    Unsteady,
    Unbounded,
}

/// A value in its unit, made of a cost.
#[derive(Clone, Copy)]
pub struct Unit {
    pub name: &'static str,
    pub of_cost: fn(f64) -> f64,
}

pub const NANOSECONDS: Unit = Unit { name: "ns", of_cost: |seconds| seconds * 1e9 };
pub const MICROSECONDS: Unit = Unit { name: "us", of_cost: |seconds| seconds * 1e6 };

#[derive(Clone, Deserialize, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: String,
    pub ratio: f64,
    /// Of the rounds: least and most.
    pub spread: [f64; 2],
    pub peer: String,
    /// Peer to itself; a count has none.
    pub control: Option<f64>,
    /// The machine did not give what the figure is about.
    pub unsteady: bool,
    pub bound: Bound,
    /// The greater ratio is the better one.
    pub throughput: bool,
}

impl Figure {
    /// Of one figure that several processes have measured: the median one, with the spread of them all.
    pub fn median(mut measured: Vec<Self>) -> Option<Self> {
        measured.sort_by(|one, other| one.ratio.total_cmp(&other.ratio));
        let least = measured.iter().map(|figure| figure.spread[0]).fold(f64::INFINITY, f64::min);
        let most = measured.iter().map(|figure| figure.spread[1]).fold(0.0, f64::max);
        let median = measured.get(measured.len() / 2)?.clone();
        Some(Self { spread: [least, most], ..median })
    }

    fn print(&self) {
        let Self { name, unit, spread: [least, most], peer, .. } = self;
        let control = self.control.map_or(String::new(), |control| format!(" A/A {control:.3},"));
        let (bound, verdict) = (self.bound.text(), self.verdict().text());
        println!(
            "{name} {} {unit} {} {peer}  # {least:.3}..{most:.3},{control} bound {bound} {verdict}",
            self.value_text(),
            self.ratio_text()
        );
    }

    pub fn value_text(&self) -> String {
        if self.value < 10.0 { format!("{:.3}", self.value) } else { format!("{:.1}", self.value) }
    }

    /// As exact as two runs are compared by.
    pub fn ratio_text(&self) -> String {
        if self.ratio < 0.2 { format!("{:.4}", self.ratio) } else { format!("{:.3}", self.ratio) }
    }

    pub fn verdict(&self) -> Verdict {
        if self.unsteady || self.control.is_some_and(|control| (control - 1.0).abs() > 0.01) {
            return Verdict::Unsteady;
        }
        let met = match self.bound {
            Bound::None => return Verdict::Unbounded,
            Bound::AtMost(limit) => self.ratio <= limit,
            Bound::AtLeast(limit) => self.ratio >= limit,
        };
        if met { Verdict::Met } else { Verdict::Missed }
    }
}

impl Bound {
    pub fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit:.3}"),
            Self::AtLeast(limit) => format!(">= {limit:.3}"),
            Self::None => "none".into(),
        }
    }
}

impl Verdict {
    pub fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Unsteady => "unsteady",
            Self::Unbounded => "",
        }
    }
}

/// Prints the figures as they come, and keeps them.
#[derive(Default)]
pub struct Report {
    pub figures: Vec<Figure>,
    /// Another process prints them.
    pub silent: bool,
}

impl Report {
    /// Nanoseconds of one of `count` things that a run does.
    pub fn line(&mut self, name: &str, result: &Comparison, count: usize, peer: &'static str, bound: Bound) {
        self.line_in(NANOSECONDS, name, result, count, peer, bound);
    }

    pub fn line_in(
        &mut self,
        unit: Unit,
        name: &str,
        result: &Comparison,
        count: usize,
        peer: &'static str,
        bound: Bound,
    ) {
        self.add(Figure {
            name: name.into(),
            value: (unit.of_cost)(result.cost / count as f64),
            unit: unit.name.into(),
            ratio: result.ratio,
            spread: result.spread,
            peer: peer.into(),
            control: Some(result.control),
            unsteady: result.unsteady,
            bound,
            throughput: result.inverted,
        });
    }

    /// Nanoseconds of one of `count` frames, beside the bare call in line, and by way of the C library.
    pub fn beside_calls(
        &mut self,
        name: &str,
        result: &BesideCalls,
        count: usize,
        call: &'static str,
        bound: f64,
    ) {
        self.line(name, &result.in_line, count, "in-line", Bound::AtMost(bound));
        self.beside_library(name, result, count, call);
    }

    /// The same beside the C library alone. Where a return behind a system call costs much, the call in line shows it, and
    /// then so must we.
    pub fn beside_library(&mut self, name: &str, result: &BesideCalls, count: usize, call: &'static str) {
        let bound = if result.gain < 0.75 { 0.80 } else { 1.00 };
        self.line(name, &result.library, count, call, Bound::AtMost(bound));
    }

    /// Something that is counted: it has no spread, and its peer is a number.
    pub fn count(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        peer: (&'static str, f64),
        bound: Bound,
    ) {
        let (peer, one) = peer;
        let ratio = value / one;
        self.add(Figure {
            name: name.into(),
            value,
            unit: unit.into(),
            ratio,
            spread: [ratio; 2],
            peer: peer.into(),
            control: None,
            unsteady: false,
            bound,
            throughput: false,
        });
    }

    pub fn add(&mut self, figure: Figure) {
        if !self.silent {
            figure.print();
        }
        self.figures.push(figure);
    }

    pub fn missed(&self) -> Vec<String> {
        let missed = self.figures.iter().filter(|figure| figure.verdict() == Verdict::Missed);
        missed.map(|figure| format!("{}/{}", figure.name, figure.peer)).collect()
    }
}

//! One line a figure: `name value unit ratio peer`, then the spread and the verdict on its bound.

use crate::measure::Comparison;

/// What a ratio has to be.
#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    /// Shown only.
    None,
}

/// Collects the verdicts.
#[derive(Default)]
pub struct Report {
    pub missed: Vec<String>,
}

impl Report {
    /// A bound counts only where the peer measured against itself differs by less than one per cent.
    pub fn line(&mut self, name: &str, result: &Comparison, count: usize, peer: &str, bound: Bound) {
        let nanos = result.time.as_nanos() as f64 / count as f64;
        let (ratio, control) = (result.ratio.median(), result.control.median());
        let steady = (control - 1.0).abs() <= 0.01;
        let (limit, verdict) = match bound {
            Bound::None => (String::from("none"), ""),
            Bound::AtMost(limit) if ratio <= limit => (format!("{limit:.3}"), ": met"),
            Bound::AtMost(limit) if steady => (format!("{limit:.3}"), ": MISSED"),
            Bound::AtMost(limit) => (format!("{limit:.3}"), ": unsteady"),
        };
        println!(
            "{name} {nanos:.1} ns {ratio:.3} {peer}  # {:.3}..{:.3}, A/A {control:.3}, bound {limit}{verdict}",
            result.ratio.least(),
            result.ratio.most(),
        );
        if verdict == ": MISSED" {
            self.missed.push(format!("{name}/{peer}"));
        }
    }
}

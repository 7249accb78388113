//! One line a figure: `name value unit ratio peer`, then the spread and the verdict on its bound.

use crate::measure::Comparison;

/// What a ratio has to be.
#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
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
        let Bound::AtMost(limit) = bound;
        let steady = (control - 1.0).abs() <= 0.01;
        let verdict = match (ratio <= limit, steady) {
            (true, _) => "met",
            (false, true) => "MISSED",
            (false, false) => "unsteady",
        };
        println!(
            "{name} {nanos:.0} ns {ratio:.3} {peer}  # {:.3}..{:.3}, A/A {control:.3}, bound {limit}: {verdict}",
            result.ratio.least(),
            result.ratio.most(),
        );
        if verdict == "MISSED" {
            self.missed.push(format!("{name}/{peer}"));
        }
    }
}

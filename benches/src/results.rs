//! benches/RESULTS.md: what was measured, on what, and the verdicts.

use std::fmt::Write;

use crate::machine;
use crate::report::{Bound, Figure, Report};

pub fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `ci/bench all`; what is to be said about them is in NOTES.md.\n\n",
    );
    let facts = [
        ("command", "`ci/bench all`".to_owned()),
        ("date", machine::date()),
        ("kernel", machine::kernel()),
        ("processors", machine::processor()),
        ("peers", machine::peers().join(", ")),
    ];
    text += "| | |\n|---|---|\n";
    for (name, fact) in facts {
        let _ = writeln!(text, "| {name} | {fact} |");
    }
    text += "\nEach ratio is of two things measured alternately in one run: median, and least to most over the rounds. A/A is\n\
             the peer measured against itself in the same rounds; where it is off by more than one per cent, the bound does not\n\
             count (\"unsteady\"); the one on two queues counts where two threads of bare calls gain as much (`.bare`). Ratios of\n\
             time, calls and memory are the better the smaller, those of `Gbit/s` and of queues the greater.\n\n\
             ![ratios](results.svg)\n\n\
             | figure | value | ratio | least..most | peer | A/A | bound | verdict |\n|---|---|---|---|---|---|---|---|\n";
    for figure in &report.figures {
        text += &row(figure);
    }
    text
}

fn row(figure: &Figure) -> String {
    let Figure { name, unit, ratio: [_, least, most], peer, control, bound, .. } = figure;
    let control = control.map_or("".into(), |control| format!("{control:.3}"));
    let bound_text = if matches!(bound, Bound::None) { String::new() } else { bound.text() };
    let value = figure.value_text();
    let (ratio, verdict) = (figure.ratio_text(), figure.verdict().text());
    format!(
        "| {name} | {value} {unit} | **{ratio}** | {least:.3}..{most:.3} | {peer} | {control} | {bound_text} | {verdict} |\n"
    )
}

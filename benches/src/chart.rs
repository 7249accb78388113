//! One bar a figure: the time, or whatever it costs, relative to the peer, on a scale of doublings.

use std::fmt::Write;

use crate::report::{Bound, Figure, Report, Verdict};

const ROW: f64 = 18.0;
const TOP: f64 = 58.0;
const LABELS: f64 = 330.0;
const WIDTH: f64 = 900.0;
/// The scale: from 1/16 to 2 of the peer's cost.
const LEAST: f64 = -4.0;
const MOST: f64 = 1.0;

const STYLE: &str = "
    .back { fill: #ffffff }
    text { font: 12px sans-serif; fill: #1f2328 }
    .title { font-size: 15px; font-weight: bold }
    .small, .value { font-size: 11px }
    .grid { stroke: #d0d7de } .one { stroke: #57606a }
    .better { fill: #0072b2 } .worse { fill: #d55e00 } .bound { stroke: #1f2328; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      .back { fill: #0d1117 }
      text { fill: #e6edf3 }
      .grid { stroke: #30363d } .one { stroke: #9198a1 }
      .better { fill: #56b4e9 } .worse { fill: #e69f00 } .bound { stroke: #e6edf3 }
    }
  ";

pub fn svg(report: &Report) -> String {
    let figures: Vec<_> = report.figures.iter().filter(|figure| figure.control.is_some()).collect();
    let bottom = TOP + ROW * figures.len() as f64;
    let height = bottom + 16.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\n  <style>{STYLE}</style>\n\
         \x20 <rect class=\"back\" width=\"100%\" height=\"100%\"/>\n\
         \x20 <text class=\"title\" x=\"12\" y=\"22\">What a thing costs, relative to the peer</text>\n\
         \x20 <text class=\"small\" x=\"12\" y=\"40\">left of 1 is better; the tick is the bound</text>\n"
    );
    for power in LEAST as i32..=MOST as i32 {
        let (x, name) = (
            at(2.0_f64.powi(power)),
            if power < 0 { format!("1/{}", 1 << -power) } else { (1 << power).to_string() },
        );
        let class = if power == 0 { "one" } else { "grid" };
        let _ = writeln!(
            text,
            "  <line class=\"{class}\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>"
        );
        let _ = writeln!(
            text,
            "  <text class=\"small\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            TOP - 6.0
        );
    }
    for (row, figure) in figures.iter().enumerate() {
        text += &bar(figure, TOP + ROW * row as f64);
    }
    text + "</svg>\n"
}

fn bar(figure: &Figure, top: f64) -> String {
    let cost = cost(figure, figure.ratio);
    let (x, one) = (at(cost), at(1.0));
    let class = if figure.verdict() == Verdict::Missed || (cost > 1.0 && figure.verdict() != Verdict::Met) {
        "worse"
    } else {
        "better"
    };
    let (left, width) = (x.min(one), (x - one).abs().max(1.0));
    let middle = top + 12.0;
    let mut text = format!(
        "  <text x=\"12\" y=\"{middle}\">{} / {}</text>\n  <rect class=\"{class}\" x=\"{left:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"10\"/>\n\
         \x20 <text class=\"value\" x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{cost:.3}</text>\n",
        figure.name,
        figure.peer,
        top + 3.0,
        WIDTH - 12.0
    );
    if let Bound::AtMost(limit) | Bound::AtLeast(limit) = figure.bound {
        let x = at(self::cost(figure, limit));
        let _ = writeln!(
            text,
            "  <line class=\"bound\" x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{}\"/>",
            top + 1.0,
            top + 15.0
        );
    }
    text
}

/// Of a ratio of throughputs the inverse, so that all bars read alike.
fn cost(figure: &Figure, ratio: f64) -> f64 {
    if figure.throughput { 1.0 / ratio } else { ratio }
}

fn at(ratio: f64) -> f64 {
    let place = (ratio.log2().clamp(LEAST, MOST) - LEAST) / (MOST - LEAST);
    LABELS + place * (WIDTH - LABELS - 70.0)
}

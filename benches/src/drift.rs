//! How far the ratios of two runs lie apart, from what they printed.

use std::collections::BTreeMap;
use std::fs;

use crate::rig::Outcome;

/// What the medians of two runs may differ by.
const LIMIT: f64 = 0.03;

/// Prints the figures of which the two differ by more; `false` when there are any.
pub fn compare(one: &str, other: &str) -> Outcome<bool> {
    let (one, other) = (ratios(one)?, ratios(other)?);
    let mut apart = 0;
    for (name, ratio) in &one {
        let other_ratio = other.get(name).ok_or_else(|| format!("the second run lacks {name}"))?;
        // What the machine gave the bare calls more or less of the second time is no drift of ours.
        let machine = bare_of(name).and_then(|bare| Some(other.get(&bare)? / one.get(&bare)?)).unwrap_or(1.0);
        let drift = if ratio == other_ratio { 0.0 } else { other_ratio / ratio / machine - 1.0 };
        if drift.abs() > LIMIT {
            println!("{name}: {ratio:.4} and {other_ratio:.4}, {:+.1} %", drift * 100.0);
            apart += 1;
        }
    }
    println!("{} of {} figures within {} %", one.len() - apart, one.len(), LIMIT * 100.0);
    Ok(apart == 0)
}

/// The figure that says what the bare calls gain where this one says what we gain; of those, itself.
fn bare_of(name: &str) -> Option<String> {
    let (figure, peer) = name.split_once('/')?;
    let figure = figure.strip_suffix(".bare").unwrap_or(figure);
    (peer == "one-queue").then(|| format!("{figure}.bare/{peer}"))
}

/// By name and peer, from lines `name value unit ratio peer  # ...`.
fn ratios(path: &str) -> Outcome<BTreeMap<String, f64>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let [name, _, _, ratio, peer, "#", ..] = line.split_whitespace().collect::<Vec<_>>()[..] {
            found.insert(format!("{name}/{peer}"), ratio.parse()?);
        }
    }
    Ok(found)
}

//! System calls of one attach and one detach on illumos, over the model of its kernel.

use std::process::Command;

use crate::report::{Bound, Report};
use crate::rig::Outcome;

const EXACT: Bound = Bound::AtMost(1.0);
const TEST: &str = "an_attach_and_a_detach_make_the_calls_of_the_sequence_and_no_other";

pub fn all(report: &mut Report) -> Outcome<()> {
    let output = Command::new("cargo")
        .args(["test", "--quiet", "--manifest-path", "../Cargo.toml", "--test", "streams", "--"])
        .args(["--exact", "--nocapture", &format!("lifecycle::{TEST}")])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("streams.plumb "));
    let numbers: Vec<f64> =
        line.unwrap_or_default().split(' ').filter_map(|number| number.parse().ok()).collect();
    let [attach, attach_least, detach, detach_least] = numbers[..] else {
        return Err(format!("{TEST}: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    report.count("streams.plumb", attach, "calls", ("corrected-sequence", attach_least), EXACT);
    report.count("streams.unplumb", detach, "calls", ("corrected-sequence", detach_least), EXACT);
    Ok(())
}

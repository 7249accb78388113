//! System calls of one attach and one detach on illumos, over the model of its kernel.

use std::process::Command;

use crate::report::{Bound, Report};
use crate::rig::Outcome;

const EXACT: Bound = Bound::AtMost(1.0);
/// A figure, and the test that prints its line: calls of the attach and of the detach, each beside the fewest.
const TESTS: [(&str, &str, &str); 2] = [
    (
        "streams.plumb",
        "streams.unplumb",
        "lifecycle::an_attach_and_a_detach_make_the_calls_of_the_sequence_and_no_other",
    ),
    (
        "streams.datalink",
        "streams.datalink.detach",
        "datalink_attach::the_calls_of_an_attach_are_those_checked_in",
    ),
];

pub fn all(report: &mut Report) -> Outcome<()> {
    let output = Command::new("cargo")
        .args(["test", "--quiet", "--manifest-path", "../Cargo.toml", "--test", "streams", "--"])
        .args(["--exact", "--nocapture"])
        .args(TESTS.map(|(_, _, test)| test))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    for (attached, detached, test) in TESTS {
        let line = text.lines().find_map(|line| line.strip_prefix(attached)?.strip_prefix(' '));
        let numbers: Vec<f64> =
            line.unwrap_or_default().split(' ').filter_map(|number| number.parse().ok()).collect();
        let [attach, attach_least, detach, detach_least] = numbers[..] else {
            return Err(format!("{test}: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
        };
        report.count(attached, attach, "calls", ("corrected-sequence", attach_least), EXACT);
        report.count(detached, detach, "calls", ("corrected-sequence", detach_least), EXACT);
    }
    Ok(())
}

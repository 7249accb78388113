//! Every line of the record of the real code gives the same answer on the model.

#[path = "support/caller.rs"]
mod caller;
#[path = "support/guest.rs"]
mod guest;
#[path = "replay/mod.rs"]
mod replay;

use replay::Replay;
use replay::line::{Line, Verdict};

const RECORD: &str = include_str!("../data/plumb-transcript.jsonl");

/// The share of lines that must be covered and right, in hundredths of a percent.
const REQUIRED: usize = 9500;

#[test]
fn the_record_is_replayed_line_by_line() {
    let lines: Vec<_> =
        RECORD.lines().enumerate().map(|(index, text)| Line::parse(index + 1, text)).collect();
    let (mut right, mut wrong, mut missing) = (0, Vec::new(), Vec::new());
    for case in lines.chunk_by(|one, next| one.case == next.case) {
        let mut replay = Replay::new(&case[0].case);
        for line in case {
            match replay.line(line) {
                Verdict::Right => right += 1,
                Verdict::Wrong(difference) => wrong.push(describe(line, &difference)),
                Verdict::NotCovered(reason) => missing.push(describe(line, &reason)),
            }
        }
    }
    println!("{} lines, {right} right, {} not covered, {} wrong", lines.len(), missing.len(), wrong.len());
    println!("not covered:\n{}", missing.join("\n"));
    println!("wrong:\n{}", wrong.join("\n"));
    assert!(right * 10_000 >= lines.len() * REQUIRED, "only {right} of {} lines come out right", lines.len());
    assert!(wrong.is_empty(), "{} lines come out wrong", wrong.len());
}

fn describe(line: &Line, what: &str) -> String {
    format!("  {} {} [{}] {}({}): {what}", line.number, line.case, line.step, line.call, line.args)
}

//! A whole record of either kind: every case from a freshly booted machine on, every line's verdict.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use super::Replay;
use super::datalink::Datalinks;
use super::line::{Line, Verdict};

/// What came of a record.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) lines: usize,
    pub(crate) right: usize,
    pub(crate) missing: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.missing {
            writeln!(f, "not covered: {line}")?;
        }
        for line in &self.wrong {
            writeln!(f, "wrong: {line}")?;
        }
        let (missing, wrong) = (self.missing.len(), self.wrong.len());
        write!(f, "{} lines, {} right, {missing} not covered, {wrong} wrong", self.lines, self.right)
    }
}

/// Replays a record.
///
/// # Errors
/// In words, when the text is no record.
pub(crate) fn run(text: &str) -> Result<Report, String> {
    let lines = text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
    let lines: Result<Vec<_>, _> = lines.map(|(index, text)| Line::parse(index + 1, text)).collect();
    let lines = lines?;
    if lines.is_empty() {
        return Err("it has no line".to_owned());
    }
    let mut report = Report { lines: lines.len(), ..Report::default() };
    for case in lines.chunk_by(|one, next| one.case == next.case) {
        if is_about_datalinks(case) {
            let mut datalinks = Datalinks::new();
            report.run_case(case, |line| datalinks.line(line));
        } else {
            let mut plumbing = Replay::new(&case[0].case);
            report.run_case(case, |line| plumbing.line(line));
        }
    }
    Ok(report)
}

/// The two kinds share their form; the cases of one begin with what the administrator does, or open a link.
fn is_about_datalinks(case: &[Line]) -> bool {
    let tells = |line: &Line| {
        matches!(line.call.as_str(), "(administrator)" | "(station)") || line.args.starts_with("/dev/net/")
    };
    case.iter().any(tells)
}

impl Report {
    /// A line whose step was not carried out makes what follows in its case uncertain: a difference is then not counted
    /// as wrong.
    fn run_case(&mut self, case: &[Line], mut check: impl FnMut(&Line) -> Verdict) {
        let mut uncertain_since = None;
        for line in case {
            let verdict = guarded(|| check(line));
            match (verdict, uncertain_since) {
                (Verdict::Right, _) => self.right += 1,
                (Verdict::NotCovered(reason), _) => {
                    uncertain_since.get_or_insert(line.number);
                    self.missing.push(describe(line, &reason));
                }
                (Verdict::Wrong(difference), None) => self.wrong.push(describe(line, &difference)),
                (Verdict::Wrong(difference), Some(since)) => {
                    let reason = format!("{difference} (line {since}, before it, is not covered)");
                    self.missing.push(describe(line, &reason));
                }
            }
        }
    }
}

/// A panic of the model, or of the replay at a line it cannot read, is the verdict of that line.
fn guarded(check: impl FnOnce() -> Verdict) -> Verdict {
    panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| "it panicked".to_owned());
        // So begin the complaints about a line that lacks a part.
        if text.starts_with("line ") { Verdict::NotCovered(text) } else { Verdict::Wrong(text) }
    })
}

fn describe(line: &Line, what: &str) -> String {
    format!("{} {} [{}] {}({}): {what}", line.number, line.case, line.step, line.call, line.args)
}

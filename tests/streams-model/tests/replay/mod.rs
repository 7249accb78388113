//! Replays the record of what the real code was seen to do, line by line.
//!
//! A whole record is of plumbing or of data links. Every case goes from a freshly booted machine on, and every line gets
//! its verdict.

mod calls;
mod datalink;
mod interfaces;
pub(crate) mod line;
mod observer;
mod rounds;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use std::{fmt, panic};

use streams_model::{Call, Lifreq, Outcome, Privileges, Service, Ticket};

use crate::caller::Caller;
use datalink::Datalinks;
use line::{Line, Verdict};

/// How the reason begins where the replay has no rule for a line.
const UNKNOWN: &str = "the replay does not know";

/// What a line gives: right, or why not.
type Checked = Result<(), String>;

/// One case of the record, from a freshly booted machine on.
pub(crate) struct Replay {
    caller: Caller,
    /// The structure of the last naming or flags call: some lines pass it on as it is.
    lifreq: Lifreq,
    ticket: Option<Ticket>,
    threads: BTreeMap<String, Outcome>,
    up_at: Duration,
    controls: BTreeMap<u32, i32>,
    last_control: i32,
    last_opened: i32,
    address_given: bool,
}

impl Replay {
    pub(crate) fn new(case: &str) -> Self {
        let mut caller = Caller::default();
        caller.kernel.allow_muxid_all();
        caller.kernel.allow_transparent_arp_name();
        let late = case.starts_with("C.late-service");
        caller.kernel.set_service(if late { Service::Late } else { Service::Prompt });
        caller.kernel.set_privileges(Privileges {
            net_rawaccess: case != "B.no-net_rawaccess",
            sys_ip_config: case != "B.no-sys_ip_config",
            open_tap: true,
        });
        Self {
            caller,
            lifreq: Lifreq::default(),
            ticket: None,
            threads: BTreeMap::new(),
            up_at: Duration::ZERO,
            controls: BTreeMap::new(),
            last_control: -1,
            last_opened: -1,
            address_given: false,
        }
    }

    /// Makes the call of a line and compares everything the line tells.
    pub(crate) fn line(&mut self, line: &Line) -> Verdict {
        self.hidden_steps(line);
        self.caller.kernel.take_console();
        if !line.call.starts_with("(messages") {
            self.caller.kernel.take_downward();
        }
        let console = |replay: &mut Self| -> Checked {
            let seen: Vec<_> =
                replay.caller.kernel.take_console().iter().map(|line| line.trim().to_owned()).collect();
            let observed = line.console();
            if seen == observed { Ok(()) } else { Err(format!("console {observed:?}, the model's {seen:?}")) }
        };
        let checked = if line.call.starts_with('(') { self.macro_line(line) } else { self.call_line(line) };
        match checked.and_then(|()| console(self)) {
            Ok(()) => Verdict::Right,
            Err(difference) if difference.starts_with(UNKNOWN) => Verdict::NotCovered(difference),
            Err(difference) => Verdict::Wrong(difference),
        }
    }

    fn close(&mut self, fd: i32) -> Outcome {
        self.caller.call(Call::Close { fd })
    }
}

fn equal<T: PartialEq + fmt::Debug>(what: &str, observed: T, model: T) -> Checked {
    if observed == model {
        Ok(())
    } else {
        Err(format!("{what}: observed {observed:?}, the model gives {model:?}"))
    }
}

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

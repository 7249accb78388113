//! Replays the record of data links: what streams on them were answered, and which frames went where.

mod administrator;
mod answers;
mod compound;
mod frames;
mod requests;

use std::collections::BTreeMap;

use streams_model::{Outcome, Service};

use super::line::{Line, Verdict};
use super::{Checked, UNKNOWN};
use crate::caller::Caller;

/// One case of the record, from a freshly booted machine on.
pub(crate) struct Datalinks {
    caller: Caller,
    /// The link each descriptor was opened on.
    links: BTreeMap<i32, String>,
    /// The last descriptor opened on something else than the wire's far end.
    reader: Option<i32>,
    /// The link a client in the kernel was last asked to take.
    kernel_client: String,
    /// The lower link that was last asked about.
    lower: String,
    /// The number of the frame that was last written, and where to.
    last_number: u8,
    last_destination: [u8; 6],
    last_length: Option<usize>,
    /// How many frames were sent by the two calls that tell no bytes.
    put: u8,
    gathered: u8,
    /// Frames that left by the wire so far.
    on_the_wire: usize,
}

impl Datalinks {
    pub(super) fn new() -> Self {
        let mut caller = Caller::default();
        caller.kernel.allow_datalink_hazards();
        caller.kernel.set_service(Service::Prompt);
        Self {
            caller,
            links: BTreeMap::new(),
            reader: None,
            kernel_client: String::new(),
            lower: String::new(),
            last_number: 0,
            last_destination: [0; 6],
            last_length: None,
            put: 0,
            gathered: 0,
            on_the_wire: 0,
        }
    }

    /// Makes the call of a line and compares everything the line tells.
    pub(super) fn line(&mut self, line: &Line) -> Verdict {
        match self.check(line) {
            Ok(()) => Verdict::Right,
            Err(difference) if difference.starts_with(UNKNOWN) => Verdict::NotCovered(difference),
            Err(difference) => Verdict::Wrong(difference),
        }
    }

    fn check(&mut self, line: &Line) -> Checked {
        match line.call.as_str() {
            "(administrator)" => self.administrator_line(line),
            "(kernel client lets the link go)" => {
                let link = self.kernel_client.clone();
                let outcome = outcome_of(self.caller.kernel.release_link(&link));
                line.compare(&outcome)
            }
            "(station)" => self.station_line(line),
            "(bufmod)" => self.bufmod_line(line),
            "(everything readable)" => self.everything_line(line),
            "(kernel sender on the link of)" => self.sender_line(line),
            "(burst)" => self.burst_line(line),
            "(state)" => self.state_line(line),
            "(wire)" => self.wire_line(line),
            "(time passes)" => {
                self.caller.kernel.advance(std::time::Duration::from_millis(line.numbers()[0]));
                Ok(())
            }
            "(thread: read)" | "(thread: write)" => self.thread_line(line),
            call if call.starts_with("(another client of ") => self.client_line(line),
            call if call.starts_with('(') && call.ends_with(" cycles)") => self.cycles_line(line),
            "open" => self.open_line(line),
            "close" => self.close_line(line),
            "read" | "readv" | "getmsg" | "poll" | "I_PEEK" | "I_NREAD" => self.answer_line(line),
            "write" | "writev" => self.write_line(line),
            "putmsg" => self.putmsg_line(line),
            call if call.starts_with("DL_") || call.starts_with("prim_") => self.primitive_line(line),
            call if call.starts_with("I_") || call.starts_with("ioctl ") => self.ioctl_line(line),
            call => Err(format!("{UNKNOWN} {call}")),
        }
    }

    fn open_line(&mut self, line: &Line) -> Checked {
        let (path, flags) = line.args.split_once(' ').unwrap_or((&line.args, ""));
        let told = [&line.args, &line.step, &line.note].into_iter().find_map(|text| zone_in(text));
        if let Some(zone) = told {
            self.caller.kernel.set_zone(zone);
        }
        let flags = if flags.contains("O_NONBLOCK") { streams_model::abi::O_NONBLOCK } else { 0 };
        let outcome = self.caller.open(path, streams_model::abi::O_RDWR | flags);
        self.caller.kernel.set_zone(0);
        self.note_opened(path, &outcome);
        line.compare(&outcome)
    }

    fn note_opened(&mut self, path: &str, outcome: &Outcome) {
        let Ok(fd) = outcome.result() else { return };
        let link = path.rsplit('/').next().unwrap_or_default().to_owned();
        if !link.starts_with("sim") {
            self.reader = Some(fd as i32);
        }
        self.links.insert(fd as i32, link);
    }

    fn close_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        let outcome = self.caller.close(fd);
        self.links.remove(&fd);
        if self.reader == Some(fd) {
            let on_wire = |link: &String| link.starts_with("sim");
            self.reader = self.links.iter().rev().find(|(_, link)| !on_wire(link)).map(|(fd, _)| *fd);
        }
        line.compare(&outcome)
    }

    /// How many frames left by the wire since the machine was booted.
    fn wire_count(&mut self) -> usize {
        let states = self.caller.kernel.datalink_states();
        for state in states {
            let frames = self.caller.kernel.take_wire_frames(&state.name).unwrap_or_default();
            let far_end = state.name == "sim1";
            self.on_the_wire += if far_end { 0 } else { frames.len() };
        }
        self.on_the_wire
    }
}

/// The zone a line speaks of: "zone 1", "a non-global zone", "the global zone".
fn zone_in(text: &str) -> Option<u32> {
    let words: Vec<&str> =
        text.split([' ', ',', ';', ':', '(', ')', '=']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| *word == "zone")?;
    let before = at.checked_sub(1).map_or("", |at| words[at]);
    match (before, words.get(at + 1).and_then(|word| word.parse().ok())) {
        ("global", _) => Some(0),
        ("non-global", None) => Some(1),
        (_, Some(number)) => Some(number),
        _ => words[at..].iter().find_map(|word| word.parse().ok()),
    }
}

fn outcome_of(result: Result<(), streams_model::Errno>) -> Outcome {
    result.map_or_else(Outcome::Failed, |()| Outcome::Done(0))
}

impl Line {
    /// Every number of the arguments, hexadecimal ones left out.
    fn numbers(&self) -> Vec<u64> {
        let words = self.args.split(|c: char| !c.is_ascii_alphanumeric());
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        assert!(!numbers.is_empty(), "line {}: no number in {:?}", self.number, self.args);
        let largest = numbers.iter().max().copied().unwrap_or(0);
        self.bounded(usize::try_from(largest).unwrap_or(usize::MAX));
        numbers
    }

    /// Lengths as in "14+186+0".
    fn lengths(&self) -> Vec<usize> {
        let lengths = self.argument_at(1).split('+').map_while(|length| length.parse().ok());
        lengths.map(|length| self.bounded(length)).collect()
    }

    /// The arguments between commas; the first is the descriptor.
    fn argument_at(&self, index: usize) -> &str {
        self.args.split(", ").nth(index).unwrap_or_default()
    }

    /// The word behind this one.
    fn word_after(&self, word: &str) -> Option<&str> {
        let mut words = self.args.split([' ', ',']).skip_while(|seen| *seen != word);
        words.nth(1).filter(|word| !word.is_empty())
    }

    /// The number behind "key=" that ends where its digits do.
    fn keyed_number(&self, key: &str) -> Option<i64> {
        let rest = self.args.split(&format!("{key}=")).nth(1)?;
        let end = rest.char_indices().find(|(at, c)| !(c.is_ascii_digit() || *at == 0 && *c == '-'));
        let number: i64 = rest[..end.map_or(rest.len(), |(at, _)| at)].parse().ok()?;
        self.bounded(usize::try_from(number).unwrap_or(0));
        Some(number)
    }
}

//! One line of the record, and what of it can be compared.

use serde_json::Value;
use streams_model::{Errno, Outcome};

/// The largest length or count a line may tell.
const LARGEST: usize = 1 << 26;

/// One observed call.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) case: String,
    pub(crate) step: String,
    pub(crate) call: String,
    pub(crate) args: String,
    pub(crate) ret: Option<i64>,
    pub(crate) errno: Option<String>,
    pub(crate) note: String,
}

/// How a line compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong(String),
    NotCovered(String),
}

impl Line {
    /// Takes a line apart.
    ///
    /// # Errors
    /// In words, when it is no line of a record.
    pub(crate) fn parse(number: usize, text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("line {number} is no JSON: {error}"))?;
        let field = |name: &str| match &value[name] {
            Value::String(text) => Ok(text.clone()),
            _ => Err(format!("line {number} has no text \"{name}\"")),
        };
        Ok(Self {
            number,
            case: field("case")?,
            step: field("step")?,
            call: field("call")?,
            args: field("args")?,
            ret: value["ret"].as_i64(),
            errno: value["errno"].as_str().map(ToOwned::to_owned),
            note: field("note")?,
        })
    }

    /// The nth descriptor in the arguments.
    pub(crate) fn fd(&self, nth: usize) -> i32 {
        let numbers = self.args.split("fd").skip(1).map(|rest| {
            let end = rest.char_indices().find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && *c == '-')));
            rest[..end.map_or(rest.len(), |(at, _)| at)].parse().ok()
        });
        numbers
            .flatten()
            .nth(nth)
            .unwrap_or_else(|| panic!("line {}: no descriptor {nth} in {:?}", self.number, self.args))
    }

    /// A length or count that the replay can make.
    pub(crate) fn bounded(&self, number: usize) -> usize {
        assert!(number <= LARGEST, "line {}: {number} is more than any record has", self.number);
        number
    }

    /// The value behind "key=" in the arguments, up to the next key.
    pub(crate) fn argument(&self, key: &str) -> Option<&str> {
        value_of(&self.args, key)
    }

    pub(crate) fn argument_number(&self, key: &str) -> Option<i64> {
        number(self.argument(key)?)
    }

    /// The value behind "key=" in the note.
    pub(crate) fn noted(&self, key: &str) -> Option<&str> {
        value_of(self.note.split("; console:").next().unwrap_or_default(), key)
    }

    /// The number behind "key=" in the note.
    pub(crate) fn noted_number(&self, key: &str) -> Option<i64> {
        number(self.noted(key)?)
    }

    /// The last number in the arguments that stands alone.
    pub(crate) fn last_number(&self) -> i64 {
        let mut words = self.args.split([' ', ',', ':']).filter_map(|word| word.parse().ok());
        words.next_back().unwrap_or_else(|| panic!("line {}: no number in {:?}", self.number, self.args))
    }

    /// What the console showed meanwhile.
    pub(crate) fn console(&self) -> Vec<String> {
        let Some((_, text)) = self.note.split_once("console: ") else { return Vec::new() };
        let text = text.split("; never returns").next().unwrap_or_default();
        text.split(" | ").map(|line| line.trim().to_owned()).collect()
    }

    /// The bytes noted behind the last ": ", or the whole note; what was cut off is told by the flag.
    pub(crate) fn noted_bytes(&self) -> (Vec<u8>, bool) {
        let text = self.note.rsplit(": ").next().unwrap_or_default();
        let cut = text.ends_with("...");
        let digits = text.trim_end_matches('.').as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
        (bytes.unwrap_or_default(), cut)
    }

    /// Whether a call ended as the line says.
    pub(crate) fn compare(&self, outcome: &Outcome) -> Result<(), String> {
        let right = match (self.ret, self.errno.as_deref(), outcome) {
            (None, Some("HANG"), Outcome::Hang(hang)) => {
                hang.interruptible != self.note.contains("uninterruptible")
            }
            (Some(-1), Some(errno), Outcome::Failed(got)) => Errno::by_name(errno) == Some(*got),
            (Some(ret), None, Outcome::Done(got)) => ret == *got,
            _ => false,
        };
        if right {
            Ok(())
        } else {
            Err(format!("observed {:?} {:?}, the model gives {outcome:?}", self.ret, self.errno))
        }
    }
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = text.find(&format!("{key}="))?;
    let rest = &text[at + key.len() + 1..];
    let ends =
        [" ppa=", " flags=", " mtu=", " ip_muxid=", " arp_muxid=", " ic_len=", " int=", " name=", ",", ";"];
    let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
    Some(&rest[..end])
}

fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
        None => text.parse().ok(),
    }
}

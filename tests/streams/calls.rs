//! The calls of a test with the descriptor numbers a quiet process would have. The harness runs tests that open
//! descriptors of their own at the same time, which moves the real numbers.

use std::collections::BTreeMap;

use streams_model::{Machine, Outcome, Record};

/// Descriptors 0, 1 and 2 are taken in every process.
const FIRST: i64 = 3;

/// The lines of the trace.
pub(crate) fn quiet_lines(machine: &Machine) -> Vec<String> {
    let mut numbers = Numbers::default();
    machine.trace().iter().map(|record| numbers.line(record)).collect()
}

/// From the real numbers to those of a quiet process.
#[derive(Default)]
struct Numbers(BTreeMap<i64, i64>);

impl Numbers {
    fn line(&mut self, record: &Record) -> String {
        let arguments = match (record.operation.as_str(), record.fd) {
            ("poll", _) => self.polled(&record.arguments),
            ("I_LINK" | "I_PLINK", _) => self.each(&record.arguments),
            (_, Some(fd)) => {
                let rest = record.arguments.strip_prefix(&fd.to_string()).unwrap();
                format!("{}{rest}", self.of(fd.into()))
            }
            (_, None) => record.arguments.clone(),
        };
        let outcome = self.outcome(record);
        format!("{}({arguments}) = {outcome}", record.operation)
    }

    fn outcome(&mut self, record: &Record) -> String {
        match (record.operation.as_str(), &record.outcome) {
            ("open", Outcome::Done(fd)) => self.take(*fd).to_string(),
            ("close", outcome) => {
                self.0.remove(&record.fd.unwrap().into());
                outcome.to_string()
            }
            (_, outcome) => outcome.to_string(),
        }
    }

    /// The lowest number that is free.
    fn take(&mut self, fd: i64) -> i64 {
        let lowest = (FIRST..).find(|number| !self.0.values().any(|taken| taken == number)).unwrap();
        self.0.insert(fd, lowest);
        lowest
    }

    fn of(&self, fd: i64) -> i64 {
        self.0[&fd]
    }

    fn each(&self, numbers: &str) -> String {
        let numbers: Vec<_> =
            numbers.split(", ").map(|number| self.of(number.parse().unwrap()).to_string()).collect();
        numbers.join(", ")
    }

    /// `[5:0x2]`
    fn polled(&self, entries: &str) -> String {
        let entries = entries.trim_matches(['[', ']']).split(", ").map(|entry| {
            let (fd, events) = entry.split_once(':').unwrap();
            format!("{}:{events}", self.of(fd.parse().unwrap()))
        });
        format!("[{}]", entries.collect::<Vec<_>>().join(", "))
    }
}

//! What is found out, as lines of JSON; and the time in which things happen.

use std::fmt::Debug;
use std::io::Write;
use std::time::Duration;

use nix::errno::Errno;
use serde_json::{Value, json};

use super::datalink::Links;

/// The clock of the machine that is looked at.
pub(crate) trait Clock {
    /// Time since some moment.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn pass(&self, time: Duration);
}

/// What one group of questions found.
pub(crate) struct Facts<'a> {
    group: &'static str,
    clock: &'a dyn Clock,
    links: Option<&'a Links>,
    out: &'a mut dyn Write,
}

/// Why a group ends early: a step without which the rest has no meaning.
#[derive(Debug)]
pub(crate) struct Stopped(&'static str, Errno);

/// Names the step that failed.
pub(crate) trait Step<T> {
    fn step(self, name: &'static str) -> Result<T, Stopped>;
}

impl<T> Step<T> for Result<T, Errno> {
    fn step(self, name: &'static str) -> Result<T, Stopped> {
        self.map_err(|errno| Stopped(name, errno))
    }
}

/// An answer as a value: what was returned, or the name of the error.
pub(crate) fn value<T: Into<Value>>(answer: Result<T, Errno>) -> Value {
    answer.map_or_else(|errno| json!(format!("{errno:?}")), Into::into)
}

impl<'a> Facts<'a> {
    /// Asks a group's questions.
    pub(crate) fn ask(
        group: &'static str,
        clock: &'a dyn Clock,
        links: Option<&'a Links>,
        out: &'a mut dyn Write,
        questions: Questions,
    ) {
        let mut facts = Self { group, clock, links, out };
        if let Err(Stopped(step, errno)) = questions(&mut facts) {
            facts.is("stopped", format!("{step}: {errno:?}"));
        }
    }

    /// What must be the same on every machine.
    pub(crate) fn is(&mut self, name: &str, value: impl Into<Value>) {
        self.line("fact", name, &value.into());
    }

    /// What differs from machine to machine, or from run to run.
    pub(crate) fn measured(&mut self, name: &str, value: impl Into<Value>) {
        self.line("measured", name, &value.into());
    }

    fn line(&mut self, kind: &str, name: &str, value: &Value) {
        // Nobody is left to tell when nobody reads.
        let _ = writeln!(self.out, "{}", json!({ kind: format!("{}.{name}", self.group), "value": value }));
        let _ = self.out.flush();
    }

    /// The links that may be asked.
    pub(crate) fn links(&self) -> Option<Links> {
        self.links.cloned()
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}

pub(crate) type Questions = fn(&mut Facts<'_>) -> Result<(), Stopped>;

/// All groups; each begins and ends with a machine as it was.
pub(crate) const GROUPS: [(&str, Questions); 9] = [
    ("device", super::driver::questions),
    ("head", super::head::questions),
    ("reading", super::reading::questions),
    ("delivery", super::delivery::questions),
    ("plumbing", super::plumbing::questions),
    ("up", super::up::questions),
    ("closing", super::closing::questions),
    ("contention", super::contention::questions),
    ("datalink", super::datalink::questions),
];

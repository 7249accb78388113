//! What the tests share: configurations, and what must hold whatever happened.
//!
//! The calls of a test are shown with the descriptor numbers a quiet process would have. The harness runs tests that open
//! descriptors of their own at the same time, which moves the real numbers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use streams_model::interpose::numbers::errno_to_host;
use streams_model::{Errno, Machine, Outcome, Record, Snapshot, Tuntap};

use crate::{AttachError, Config, Tap};

/// A machine whose driver tells a stream's device, whatever the environment asks for.
pub(crate) fn newer_driver() -> Machine {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.set_tuntap(Tuntap::Newer));
    machine
}

/// A machine with the driver that illumos distributions package.
pub(crate) fn older_driver() -> Machine {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.set_tuntap(Tuntap::V1_3_3));
    machine
}

/// A configuration that asks a taken device once only.
pub(crate) fn impatient() -> Config {
    Config::new().busy_timeout(Duration::ZERO)
}

pub(crate) fn named(name: &str) -> Config {
    impatient().name(name)
}

/// One with every setting that makes calls of its own.
pub(crate) fn everything(name: &str) -> Config {
    named(name).hardware_address([2, 0, 0, 0, 0, 3]).mtu(1400).address(address("10.77.0.1"), 24).up()
}

/// One with an IPv6 side, of global scope.
pub(crate) fn everything_v6(name: &str) -> Config {
    named(name).mtu(1400).address(address("fd00:77::1"), 64).up()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn attach(config: Config) -> Tap {
    config.attach().unwrap()
}

/// The error of an attach that must fail, after which the machine must be as it was.
pub(crate) fn refused(machine: &Machine, config: Config) -> AttachError {
    let before = machine.snapshot();
    let error = config.attach().expect_err("the attach must fail");
    assert_unchanged(machine, &before);
    error
}

/// Invariant 1: descriptors, links, interfaces, PPAs and modules are as they were, and nothing looked wrong on the way.
#[track_caller]
pub(crate) fn assert_unchanged(machine: &Machine, before: &Snapshot) {
    assert_eq!(machine.snapshot(), *before, "something was left behind:\n{}", trace_text(machine));
    assert_nothing_wrong(machine);
}

#[track_caller]
pub(crate) fn assert_nothing_wrong(machine: &Machine) {
    assert_eq!(machine.failure(), None, "{}", trace_text(machine));
    assert_eq!(machine.suspicions(), [], "{}", trace_text(machine));
}

pub(crate) fn trace_text(machine: &Machine) -> String {
    machine.trace_lines().join("\n")
}

/// The calls that are this operation.
pub(crate) fn calls(machine: &Machine, operation: &str) -> Vec<Record> {
    machine.trace().into_iter().filter(|record| record.is(operation)).collect()
}

/// The calls that are this operation about this subject.
pub(crate) fn calls_about(machine: &Machine, operation: &str, subject: &str) -> Vec<Record> {
    machine.trace().into_iter().filter(|record| record.is_about(operation, subject)).collect()
}

/// The host's number under an error.
pub(crate) fn errno_of(error: AttachError) -> Option<i32> {
    error.raw_os_error()
}

pub(crate) fn host(errno: Errno) -> Option<i32> {
    Some(errno_to_host(errno))
}

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

//! What the tests share: configurations, and what must hold whatever happened.

use std::net::IpAddr;
use std::time::Duration;

use streams_model::interpose::numbers::errno_to_host;
use streams_model::{Errno, Machine, Record, Snapshot, Tuntap};

use crate::AttachError;
use crate::Config;
use crate::Tap;

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

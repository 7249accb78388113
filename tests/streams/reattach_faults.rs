//! A re-attach that fails: the backend says so, nothing blocks, and a kill at any later time is as harmless as ever.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};

use streams_model::{Errno, Kernel, Machine, Moment, Snapshot, Trouble, When};

use crate::Backend;
use crate::Config;
use crate::Frame;
use crate::bench::{
    assert_nothing_wrong, assert_unchanged, attach, everything, everything_v6, impatient, named,
};
use crate::{ReceiveError, TransmitError};

/// What a call of a re-attach may be refused with, of all that it may say.
const ERRNOS: [Errno; 12] = [
    Errno::ENOMEM,
    Errno::EINTR,
    Errno::EPERM,
    Errno::EINVAL,
    Errno::ENXIO,
    Errno::EAGAIN,
    Errno::EBADF,
    Errno::EEXIST,
    Errno::ETIME,
    Errno::EMFILE,
    Errno::EIO,
    Errno::ENOSR,
];

fn bare(_: &str) -> Config {
    impatient().external_plumbing().hardware_address([2, 0, 0, 0, 0, 3])
}

const CONFIGS: [fn(&str) -> Config; 3] = [everything, everything_v6, bare];

/// The numbers of the calls that a re-attach makes, on a machine where nothing fails.
fn calls_of(config: fn(&str) -> Config) -> std::ops::RangeInclusive<usize> {
    let machine = Machine::boot();
    let backend = backend(config);
    let start = machine.calls();
    backend.reattach(&config("tap3")).unwrap();
    start + 1..=machine.calls()
}

fn backend(config: fn(&str) -> Config) -> Arc<Backend> {
    Arc::new(Backend::new(attach(config("tap3"))))
}

fn send(backend: &Backend) -> Result<(), TransmitError> {
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&[9; 60])]))
}

fn receive(backend: &Backend) -> Result<(), ReceiveError> {
    backend.receive(&mut [IoSliceMut::new(&mut [0; 4096])]).map(drop)
}

/// It says that the interface is gone, both ways, and its descriptor could not block if it did not.
#[track_caller]
fn assert_gone(machine: &Machine, backend: &Backend, what: &str) {
    let described = machine.snapshot().descriptors.remove(&backend.as_fd().as_raw_fd()).unwrap();
    assert!(described.contains("non-blocking"), "{what}: {described}");
    assert!(matches!(send(backend), Err(TransmitError::Gone)), "{what}");
    assert!(matches!(receive(backend), Err(ReceiveError::Gone)), "{what}");
}

/// Row I1.
#[test]
fn every_call_refused_in_every_way_leaves_a_backend_that_says_gone() {
    let mut refused = 0;
    for config in CONFIGS {
        for number in calls_of(config) {
            for (errno, moment) in
                ERRNOS.iter().flat_map(|errno| [(*errno, Moment::Before), (*errno, Moment::After)])
            {
                let machine = Machine::boot();
                let before = machine.snapshot();
                let backend = backend(config);
                machine.fail_call(number, Trouble::Errno(errno), moment);
                let what = format!("call {number}, {errno:?} {moment:?}");
                if backend.reattach(&config("tap3")).is_err() {
                    refused += 1;
                    assert_gone(&machine, &backend, &what);
                    machine.kernel(Kernel::clear_faults);
                    backend.reattach(&config("tap3")).unwrap_or_else(|error| panic!("{what}: {error}"));
                }
                assert!(send(&backend).is_ok() && receive(&backend).is_ok(), "{what}");
                assert_eq!(machine.snapshot().ppas.len(), 1, "{what}");
                Arc::into_inner(backend).unwrap().into_tap().detach().unwrap();
                assert_unchanged(&machine, &before);
            }
        }
    }
    assert!(refused > 500, "{refused} refusals");
    println!("{refused} refusals");
}

/// What is refused before anything was undone leaves all as it was.
#[test]
fn a_configuration_that_cannot_be_leaves_the_interface_alone() {
    let machine = Machine::boot();
    let backend = backend(everything);
    for config in [named("tap20"), named("tap3").must_exist(), named("tap3").mtu(1400).external_plumbing()] {
        let calls = machine.calls();
        if backend.reattach(&config).is_err() {
            assert_eq!(machine.calls(), calls);
        }
        assert!(send(&backend).is_ok() && receive(&backend).is_ok());
    }
}

/// Whatever takes the lowest numbers between a failure and the next trial.
fn others() -> Vec<File> {
    (0..6).map(|_| File::open("/dev/null").unwrap()).collect()
}

/// The kernel closes ascending numbers: no control stream may be closed before the multiplexors.
/// Row I2.
#[test]
fn a_kill_after_a_failure_and_a_success_closes_the_multiplexors_first() {
    let mut kills = 0;
    for config in CONFIGS {
        for number in calls_of(config) {
            let machine = Machine::boot();
            let before = machine.snapshot();
            let backend = backend(config);
            machine.fail_call(number, Trouble::Errno(Errno::ENOMEM), Moment::Before);
            drop(backend.reattach(&config("tap3")));
            machine.kernel(Kernel::clear_faults);
            let others = others();
            backend.reattach(&config("tap3")).unwrap();
            machine.exit();
            kills += 1;
            assert_eq!(machine.failure(), None, "call {number}");
            assert_eq!(machine.snapshot(), before, "call {number}");
            assert_nothing_wrong(&machine);
            drop((backend, others));
        }
    }
    println!("{kills} kills");
}

/// As above, but the process is killed within the second trial.
/// Row I2.
#[test]
fn a_kill_at_any_call_of_a_second_trial_closes_the_multiplexors_first() {
    let mut kills = 0;
    for config in CONFIGS {
        let calls = calls_of(config);
        let length = calls.clone().count();
        for failing in calls.step_by(5) {
            for later in 1..=length {
                kill_in_a_second_trial(config, failing, later);
                kills += 1;
            }
        }
    }
    println!("{kills} kills");
}

/// The second trial is no longer than the first, so that the kill comes in it, or after it.
fn kill_in_a_second_trial(config: fn(&str) -> Config, failing: usize, later: usize) {
    let what = format!("call {failing} failed, killed {later} calls later");
    let machine = Machine::boot();
    let before = machine.snapshot();
    let backend = backend(config);
    machine.fail_call(failing, Trouble::Errno(Errno::ENOMEM), Moment::Before);
    drop(backend.reattach(&config("tap3")));
    let others = others();
    let (killed, control) = (Arc::new(Mutex::new(None)), backend.as_fd().as_raw_fd());
    let seen = Arc::clone(&killed);
    machine.before(When::Call(machine.calls() + later), move |kernel| {
        *seen.lock().unwrap() = Some(kernel.snapshot());
        kernel.kill();
    });
    let _ = backend.reattach(&config("tap3"));
    machine.exit();
    assert_eq!(machine.failure(), None, "{what}");
    assert_eq!(machine.snapshot(), before, "{what}");
    // Streams that are not linked yet lie above the control stream, as in a first attach: their interface is down, and no
    // request of theirs is pending. What is linked is held by a multiplexor, which must be closed first.
    if let Some(at) = killed.lock().unwrap().take().filter(|at: &Snapshot| !at.links.is_empty()) {
        let mut muxes = at.descriptors.iter().filter(|(_, what)| what.contains("udp"));
        assert!(muxes.all(|(number, _)| *number < control), "{what}: {control} in {:?}", at.descriptors);
    }
    drop((backend, others));
}

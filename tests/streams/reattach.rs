//! Binding the interface again: a new control stream under the number that pollers know.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use streams_model::{Errno, Machine, Moment, Snapshot, Trouble};

use crate::AttachError;
use crate::Backend;
use crate::Config;
use crate::Tap;
use crate::bench::{
    assert_nothing_wrong, assert_unchanged, attach, calls, calls_about, everything, everything_v6, impatient,
    named,
};

/// A state without the numbers that differ between two attaches.
fn alike(machine: &Machine) -> Snapshot {
    let mut state = machine.snapshot();
    for link in &mut state.links {
        link.muxid = 0;
    }
    for interface in &mut state.interfaces {
        (interface.ip_muxid, interface.arp_muxid) = (0, interface.arp_muxid.min(0));
    }
    state
}

fn backend(config: Config) -> Arc<Backend> {
    Arc::new(Backend::new(attach(config)))
}

fn end(backend: Arc<Backend>) -> Tap {
    Arc::into_inner(backend).unwrap().into_tap()
}

#[test]
fn the_same_numbers_serve_the_new_interface() {
    for config in [everything as fn(&str) -> Config, everything_v6, named] {
        let machine = Machine::boot();
        let before = machine.snapshot();
        let backend = backend(config("tap3"));
        let (attached, number) = (alike(&machine), backend.as_fd().as_raw_fd());
        assert!(backend.reattach(&config("tap3")).unwrap(), "to a poller it is another descriptor");
        assert_eq!((alike(&machine), backend.as_fd().as_raw_fd()), (attached, number));
        assert_nothing_wrong(&machine);
        end(backend).detach().unwrap();
        assert_unchanged(&machine, &before);
    }
}

/// The number refers to another stream then.
#[test]
fn a_re_attach_keeps_what_programs_inherit() {
    let machine = Machine::boot();
    let backend = backend(named("tap3").inheritable());
    let described = |machine: &Machine| machine.snapshot().descriptors[&backend.as_fd().as_raw_fd()].clone();
    assert_eq!(described(&machine), "tap, non-blocking, MessageDiscard");
    backend.reattach(&named("tap3").inheritable()).unwrap();
    assert_eq!(described(&machine), "tap, non-blocking, MessageDiscard");
    backend.reattach(&named("tap3")).unwrap();
    assert_eq!(described(&machine), "tap, close-on-exec, non-blocking, MessageDiscard");
}

/// Row hazard 35.
#[test]
fn the_old_interface_goes_before_its_control_stream() {
    let machine = Machine::boot();
    let backend = backend(everything("tap3"));
    backend.tap().set_up(false).unwrap();
    let start = machine.calls();
    backend.reattach(&everything("tap3")).unwrap();
    let operations: Vec<_> = machine.trace()[start..].iter().map(|record| record.operation.clone()).collect();
    assert_eq!(operations[..2], ["I_UNLINK", "I_UNLINK"]);
    assert_nothing_wrong(&machine);
}

#[test]
fn one_stream_makes_one_device_in_its_life() {
    let machine = Machine::boot();
    let backend = backend(named("tap3"));
    // The model panics at a second TUNNEWPPA on one stream.
    backend.reattach(&named("tap3")).unwrap();
    assert_eq!(calls_about(&machine, "I_STR", "TUNNEWPPA").len(), 2);
    assert_nothing_wrong(&machine);
}

#[test]
fn an_automatic_name_is_kept() {
    let machine = Machine::boot();
    let _zero = attach(named("tap0"));
    let backend = backend(impatient());
    backend.reattach(&impatient()).unwrap();
    assert_eq!(backend.tap().name().unwrap().as_str(), Some("tap1"));
    assert_eq!(machine.snapshot().ppas, [0, 1]);
}

#[test]
fn another_name_can_be_given() {
    let machine = Machine::boot();
    let backend = backend(named("tap3"));
    backend.reattach(&named("vm7")).unwrap();
    assert_eq!(backend.tap().name().unwrap().as_str(), Some("vm7"));
    assert_eq!(machine.snapshot().ppas, [7]);
}

#[test]
fn an_ipv6_side_comes_and_goes_with_the_configuration() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let backend = backend(named("tap3"));
    backend.reattach(&everything_v6("tap3")).unwrap();
    assert_eq!((machine.snapshot().links.len(), machine.snapshot().descriptors.len()), (3, 3));
    backend.reattach(&named("tap3")).unwrap();
    assert_eq!((machine.snapshot().links.len(), machine.snapshot().descriptors.len()), (2, 2));
    drop(backend);
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_bare_device_is_made_again_bare() {
    let machine = Machine::boot();
    let config = || impatient().external_plumbing().hardware_address([2, 0, 0, 0, 0, 3]);
    let _zero = attach(named("tap0"));
    let backend = backend(config());
    assert!(backend.reattach(&config()).unwrap());
    assert_eq!(backend.tap().name().unwrap().as_str(), Some("tap1"));
    assert_eq!(backend.tap().hardware_address().unwrap(), [2, 0, 0, 0, 0, 3]);
    assert_eq!(machine.snapshot().links.len(), 2, "only those of tap0");
    assert_nothing_wrong(&machine);
}

#[test]
fn a_descriptor_that_was_handed_in_is_not_made_anew() {
    let machine = Machine::boot();
    let backend = backend(named("tap3"));
    let calls = machine.calls();
    let other = std::fs::File::open("/dev/null").unwrap();
    let refused = backend.reattach(&impatient().inherited(other.into()));
    assert!(matches!(refused, Err(AttachError::Unsupported { .. })), "{refused:?}");
    let refused = backend.reattach(&named("tap20"));
    assert!(matches!(refused, Err(AttachError::BadName { .. })), "{refused:?}");
    let refused = backend.reattach(&named("tap3").must_exist());
    assert!(matches!(refused, Err(AttachError::Unsupported { .. })), "{refused:?}");
    assert_eq!(machine.calls(), calls, "the interface stays as it is");
}

#[test]
fn links_that_cannot_be_undone_go_with_their_multiplexor() {
    let machine = Machine::boot();
    let backend = backend(named("tap3"));
    for nth in [1, 2] {
        machine.fail_nth(nth, |record| record.is("I_UNLINK"), Trouble::Errno(Errno::EPERM), Moment::Before);
    }
    backend.reattach(&named("tap3")).unwrap();
    assert_eq!(machine.snapshot().links.len(), 2);
    assert_nothing_wrong(&machine);
}

/// Every call fails once; whatever remains, the same can be tried again, and a detach leaves nothing.
/// Row I1.
#[test]
fn a_failure_at_any_call_can_be_tried_again() {
    let calls_of = |config: fn(&str) -> Config| {
        let machine = Machine::boot();
        let backend = backend(config("tap3"));
        let start = machine.calls();
        backend.reattach(&config("tap3")).unwrap();
        start + 1..=machine.calls()
    };
    let mut injected = 0;
    for (config, links) in [(everything as fn(&str) -> Config, 2), (everything_v6, 3)] {
        for number in calls_of(config) {
            let machine = Machine::boot();
            let before = machine.snapshot();
            let backend = backend(config("tap3"));
            machine.fail_call(number, Trouble::Errno(Errno::ENOMEM), Moment::Before);
            drop(backend.reattach(&config("tap3")));
            injected += 1;
            assert_nothing_wrong(&machine);
            backend.reattach(&config("tap3")).unwrap();
            assert_eq!(backend.tap().name().unwrap().as_str(), Some("tap3"));
            assert_eq!((machine.snapshot().ppas, machine.snapshot().links.len()), (vec![3], links));
            assert!(backend.tap().is_up().unwrap(), "call {number}");
            end(backend).detach().unwrap();
            assert_unchanged(&machine, &before);
        }
    }
    assert!(calls(&Machine::boot(), "open").is_empty());
    println!("{injected} faults injected into the re-attach");
}

//! What holds over whole lives of a TAP, each by its number in `tests/FEATURES.md`.
//!
//! A process may be killed between any two calls: the kernel closes what it had, in ascending order, and nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind};

use streams_model::{Errno, Fault, Machine, Moment, Trouble, When};

use crate::Config;
use crate::bench::{
    assert_nothing_wrong, assert_unchanged, attach, calls, calls_about, errno_of, everything, everything_v6,
    host, impatient, named,
};

/// Every call of a whole life: an attach with everything, a change of each setting, another life under the same numbers.
fn whole_life(machine: &Machine) {
    let backend = crate::Backend::new(attach(everything_v6("tap3")));
    backend.tap().set_mtu(1300).unwrap();
    backend.tap().set_up(false).unwrap();
    backend.reattach(&everything("tap3")).unwrap();
    backend.into_tap().detach().unwrap();
    attach(impatient()).detach().unwrap();
    assert_nothing_wrong(machine);
}

/// Row invariant 5.
#[test]
fn only_own_links_are_undone_and_by_an_id_above_0() {
    let machine = Machine::boot();
    let theirs = machine.kernel(|kernel| kernel.plumb_elsewhere("tap5"));
    whole_life(&machine);
    assert!(calls(&machine, "I_PUNLINK").is_empty() && calls(&machine, "I_PLINK").is_empty());
    let undone = calls(&machine, "I_UNLINK");
    assert_eq!(undone.len(), 3 + 2 + 2);
    for record in undone {
        let id: i32 = record.arguments.rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!(id > theirs.1, "{record}");
    }
    assert!(!machine.kernel(|kernel| kernel.host_network_destroyed()));
    assert_eq!(machine.snapshot().interfaces.len(), 1);
}

/// Row invariant 6.
#[test]
fn one_device_a_stream_and_a_strioctl_of_its_own_for_each_request() {
    let machine = Machine::boot();
    whole_life(&machine);
    let made = calls_about(&machine, "I_STR", "TUNNEWPPA");
    assert_eq!(made.len(), 3);
    for record in &made {
        // The decoded number is there only when the length was 4; the model panics at any other.
        let ppa: i32 = record.arguments.rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!((-1..=19).contains(&ppa), "{record}");
    }
    // The stream under the number that pollers know is another one after a re-attach.
    let replaced = calls(&machine, "dup3");
    assert!(replaced.iter().any(|record| made[0].number < record.number && record.number < made[1].number));
}

/// Row invariant 10.
#[test]
fn the_errno_is_the_failing_step_s_whatever_the_rollback_meets() {
    for number in 1..=crate::attach_hazards::machine_calls_of_an_attach() {
        let machine = Machine::boot();
        let before = machine.snapshot();
        machine.fail_call(number, Trouble::Errno(Errno::ENOMEM), Moment::Before);
        machine.plan_fault(Fault {
            when: When::Every(Box::new(|record| record.is("close") || record.is("I_UNLINK"))),
            trouble: Trouble::Errno(Errno::EIO),
            moment: Moment::After,
        });
        if let Err(error) = everything("tap3").attach() {
            assert_eq!(errno_of(error), host(Errno::ENOMEM), "call {number}");
        } else {
            assert!(machine.trace()[number - 1].is("close"), "call {number} failed unnoticed");
        }
        assert_unchanged(&machine, &before);
    }
}

/// Stops the machine just before a call: every later one fails and does nothing, as if the process made none.
fn stop_before(machine: &Machine, number: usize) {
    let stop = move |record: &streams_model::Record| {
        assert!(record.number < number, "the process stops here");
        false
    };
    machine.plan_fault(Fault {
        when: When::Every(Box::new(stop)),
        trouble: Trouble::Answer(0),
        moment: Moment::Before,
    });
}

fn kill_before_each_call(config: &dyn Fn() -> Config) -> usize {
    let (attached, whole) = {
        let machine = Machine::boot();
        let tap = config().attach().unwrap();
        let attached = machine.calls();
        tap.detach().unwrap();
        (attached, machine.calls())
    };
    for number in 2..=whole {
        let machine = Machine::boot();
        let before = machine.snapshot();
        stop_before(&machine, number);
        // What the code under test does after the kill is done to a kernel that no longer listens.
        let run = || config().attach().map(|tap| tap.detach());
        let _ = catch_unwind(AssertUnwindSafe(run));
        assert!(machine.take_failure().is_some_and(|why| why.contains("the process stops here")));
        machine.kernel(streams_model::Kernel::clear_faults);
        machine.exit();
        assert_eq!(machine.failure(), None, "killed before call {number}");
        assert_eq!(machine.snapshot(), before, "killed before call {number}");
        // Until the streams of IP and ARP are linked, their descriptors are above the control stream's, and the kernel closes
        // it before them. The interface is down then and has no request pending.
        let mut suspicions = machine.suspicions();
        suspicions.retain(|suspicion| number > attached || suspicion.invariant != 7);
        assert_eq!(suspicions, [], "killed before call {number}");
    }
    whole - 1
}

/// Row invariant 8.
#[test]
fn a_kill_at_any_call_leaves_nothing() {
    let mut kills = kill_before_each_call(&|| named("tap3"));
    kills += kill_before_each_call(&|| everything("tap3"));
    kills += kill_before_each_call(&|| everything_v6("tap3"));
    kills += kill_before_each_call(&impatient);
    println!("{kills} kills");
}

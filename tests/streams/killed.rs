//! The process is killed between any two calls: the kernel closes what it had, in ascending order, and nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind};

use streams_model::{Fault, Machine, Moment, Trouble, When};

use crate::Config;
use crate::bench::{everything, everything_v6, impatient, named};

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

//! Names that the driver chooses.

use streams_model::{Errno, Machine, Moment, Trouble};

use crate::AttachError;
use crate::bench::{assert_unchanged, attach, calls, calls_about, errno_of, host, impatient, refused};

#[test]
fn an_automatic_name_that_is_taken_gives_way_to_another() {
    let machine = Machine::boot();
    for name in ["tap0", "tap1"] {
        machine.kernel(|kernel| kernel.plumb_elsewhere(name));
    }
    let before = machine.snapshot();
    let tap = attach(impatient().replace_stale());
    assert_eq!(tap.name().unwrap().as_str(), Some("tap2"));
    let state = machine.snapshot();
    // What was rejected on the way was kept until another device was found, and is free again.
    assert_eq!((state.ppas.as_slice(), state.interfaces.len()), ([2].as_slice(), 3));
    assert_eq!(state.descriptors.len(), before.descriptors.len() + 2);
    assert!(calls(&machine, "I_PUNLINK").is_empty(), "where any name will do, nobody's is replaced");
    tap.detach().unwrap();
    assert_unchanged(&machine, &before);
}

#[test]
fn twenty_taken_names_end_the_search() {
    let machine = Machine::boot();
    for ppa in 0..20 {
        machine.kernel(|kernel| kernel.plumb_elsewhere(&format!("tap{ppa}")));
    }
    let error = refused(&machine, impatient());
    assert_eq!(errno_of(error), host(Errno::ENOMEM));
    assert_eq!(calls_about(&machine, "I_STR", "TUNNEWPPA").len(), 21);
}

#[test]
fn a_driver_that_gives_one_number_for_ever_ends_the_search() {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap7"));
    machine.plan_fault(streams_model::Fault {
        when: streams_model::When::Every(Box::new(|record| record.is_about("I_STR", "TUNNEWPPA"))),
        trouble: Trouble::Answer(7),
        moment: Moment::Before,
    });
    let before = machine.snapshot();
    let error = impatient().attach().expect_err("there is an end");
    assert!(matches!(error, AttachError::WrongKind { .. }), "{error:?}");
    assert_eq!(machine.snapshot(), before);
    assert_eq!(calls_about(&machine, "I_STR", "TUNNEWPPA").len(), 21);
}

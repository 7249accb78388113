//! The driver, its devices, and what an open makes.

use nix::errno::Errno;

use super::device::Control;
use super::facts::{Facts, Step, Stopped, value};
use super::stream::Stream;

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let tap = Stream::open("/dev/tap").step("open /dev/tap")?;
    let udp = Stream::open("/dev/udp").step("open /dev/udp")?;
    // More than the driver: an administrator's autopush, or a clone that stays in between.
    facts.is("tap_stream", value(tap.list()));
    facts.is("udp_stream", value(udp.list()));
    facts.is("pop_of_a_bare_tap", value(tap.pop()));
    facts.is("pop_of_a_bare_udp", value(udp.pop()));
    facts.is("push_of_nothing_known", value(tap.push("nomodule")));
    facts.is("unknown_request", value(tap.unknown_request()));
    // EINVAL: version 1.3.3 of the driver, which illumos distributions package. A newer one says ENODEV.
    facts.measured("number_of_a_stream_without_device", value(tap.ppa()));
    facts.is("no_number_without_device", matches!(tap.ppa(), Err(Errno::ENODEV | Errno::EINVAL)));
    drop((tap, udp));
    devices(facts)
}

fn devices(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let first = Control::new(Control::ANY).step("TUNNEWPPA -1")?;
    let second = Control::new(Control::ANY).step("TUNNEWPPA -1, again")?;
    facts.measured("numbers", vec![first.ppa, second.ppa]);
    facts.is("numbers_are_in_the_table", (0..20).contains(&first.ppa) && (0..20).contains(&second.ppa));
    facts.is("the_lowest_comes_first", first.ppa < second.ppa);
    // The strioctl is written back, the int is not: the number is only what the call returns.
    facts.is("length_and_int_after_success", vec![first.written_back.0, first.written_back.1]);
    facts.is("below_any", value(Control::new(-2).map(|control| control.ppa)));
    facts.is("a_taken_number", value(Control::new(first.ppa).map(|control| control.ppa)));
    // The older driver cannot be asked; who can be, answers with what TUNNEWPPA returned.
    facts.measured("the_stream_knows_its_number", first.stream.ppa() == Ok(first.ppa));
    let unasked = first.stream.ppa() == Err(Errno::EINVAL);
    facts.is("no_stream_tells_another_number", unasked || first.stream.ppa() == Ok(first.ppa));
    let number = first.ppa;
    drop(first);
    let again = Control::new(number).map(|control| control.ppa);
    facts.is("a_close_frees_the_number", again == Ok(number));
    Ok(())
}

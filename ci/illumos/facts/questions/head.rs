//! The stream head of a control stream that nobody listens to.

use super::abi::RMSGD;
use super::device::Control;
use super::facts::{Facts, Step, Stopped, value};

/// `sys/stropts.h`
const RMSGN: i32 = 2;
const BURST: usize = 2000;

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let control = Control::new(Control::ANY).step("TUNNEWPPA -1")?;
    let stream = &control.stream;
    facts.is("ready_when_fresh", stream.ready());
    facts.is("read_of_nothing", value(stream.read(2048).map(|bytes| bytes.len())));
    facts.is("message_of_nothing", value(stream.get_message(64, 2048).map(|message| message.more)));
    facts.is("read_options_when_fresh", value(stream.read_options()));
    for options in [RMSGD, RMSGN, RMSGD | RMSGN, 99, 0] {
        facts.is(&format!("set_read_options_{options}"), value(stream.set_read_options(options)));
        facts.is(&format!("read_options_after_{options}"), value(stream.read_options()));
    }
    // The driver's queue says what it takes; the stream head refuses the rest instead of cutting it up.
    for len in [0, 1, 20, 21, 60, 1514, 2048, 2049, 9000] {
        facts.is(&format!("write_{len}"), value(stream.write(&vec![0xff; len])));
    }
    let halves = [&[0xff_u8; 1024][..], &[0xff; 1024], &[0xff]];
    facts.is("write_slices_2048", value(stream.write_slices(&halves[..2])));
    facts.is("write_slices_2049", value(stream.write_slices(&halves)));
    let whole = (0..BURST).filter(|_| stream.write(&[0xff; 60]) == Ok(60)).count();
    facts.is("whole_writes_of_2000", whole);
    facts.is("ready_after_2000", stream.ready());
    Ok(())
}

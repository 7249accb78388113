//! Frame boundaries in every read mode, and what a reader that does not come loses.

use std::time::Duration;

use serde_json::json;

use super::abi::RMSGD;
use super::device::{Control, Protocol};
use super::facts::{Facts, Step, Stopped, value};
use super::stream::Stream;

/// For local experiments (IEEE 802): nobody else's.
pub(crate) const SAP: u16 = 0x88b5;
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
/// Of the Ethernet header.
const HEADER: usize = 14;
/// `sys/stropts.h`
const RNORM: i32 = 0;
const RMSGN: i32 = 2;
/// Room for every frame and more.
const ROOM: usize = 20_000;
const BURST: usize = 2000;

/// Its fields are dropped in this order: nothing is attached any more when the device goes.
struct Pair {
    sender: Protocol,
    control: Control,
}

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let control = Control::new(Control::ANY).step("TUNNEWPPA -1")?;
    let sender = Protocol::attach(control.ppa).step("DL_ATTACH_REQ")?;
    sender.bind(SAP).step("DL_BIND_REQ")?;
    let pair = Pair { sender, control };
    let address = pair.sender.address().step("DL_PHYS_ADDR_REQ")?;
    pair.send(42)?;
    facts.is("ready_with_a_frame", pair.stream().ready());
    facts.is("read_of_no_bytes", value(pair.stream().read(0).map(|bytes| bytes.len())));
    let frame = pair.stream().read(ROOM).step("read")?;
    let made = [&BROADCAST[..], &address, &SAP.to_be_bytes(), &[0x55; 42 - HEADER]].concat();
    facts.is("a_frame_is_header_and_payload_unpadded", frame == made);
    modes(facts, &pair)?;
    messages(facts, &pair)?;
    burst(facts, &pair)?;
    overflow(facts, &pair)
}

impl Pair {
    fn stream(&self) -> &Stream {
        &self.control.stream
    }

    /// Sends a frame of this length with its header.
    fn send(&self, len: usize) -> Result<(), Stopped> {
        self.sender.send(BROADCAST, SAP, &mut vec![0x55; len - HEADER]).step("DL_UNITDATA_REQ").map(drop)
    }
}

/// The lengths that reads with this much room give while frames of 60 and of 40 bytes are queued.
fn modes(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    for (mode, name) in [(RNORM, "normal"), (RMSGN, "keep"), (RMSGD, "discard")] {
        pair.stream().set_read_options(mode).step("I_SRDOPT")?;
        for (first, name) in
            [(ROOM, name.to_owned()), (60, format!("{name}_exact")), (10, format!("{name}_short"))]
        {
            pair.send(60)?;
            pair.send(40)?;
            let first = pair.stream().read(first).step("read")?.len();
            let rest = std::iter::from_fn(|| pair.stream().read(ROOM).ok());
            facts.is(&name, [first].into_iter().chain(rest.map(|bytes| bytes.len())).collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// getmsg(2) says when a frame was longer than the room.
fn messages(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    pair.send(60)?;
    for (room, name) in [(10, "message_short"), (ROOM, "message_rest")] {
        let message = pair.stream().get_message(64, room).step("getmsg")?;
        let len = |part: Option<Vec<u8>>| part.map(|part| part.len());
        facts.is(
            name,
            json!({ "more": message.more, "control": len(message.control), "data": len(message.data) }),
        );
    }
    Ok(())
}

/// A slow reader: nothing is merged, nothing lost, as long as the queue holds it.
fn burst(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    for _ in 0..BURST {
        pair.send(60)?;
    }
    facts.pass(Duration::from_millis(500));
    let frames = pair.control.drain();
    facts.is("whole_frames_of_2000", frames.iter().filter(|frame| frame.len() == 60).count());
    facts.is("reads_for_2000", frames.len());
    Ok(())
}

/// A reader that does not come: what the queue of the stream head holds is read later, the rest is lost.
fn overflow(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    let mut payload = vec![0x55; 1014 - HEADER];
    let sent = (0..BURST).filter(|_| pair.sender.send(BROADCAST, SAP, &mut payload).is_ok()).count();
    facts.pass(Duration::from_millis(500));
    facts.is("sent_of_2000_with_1014_bytes", sent);
    facts.is("read_of_2000_with_1014_bytes", pair.control.drain().len());
    pair.send(60)?;
    facts.is("works_after_draining", pair.control.drain().len());
    Ok(())
}

//! Frames that wait at the head of a stream: what a read takes, what passes them, and how many there can be.

use std::time::Duration;

use nix::poll::PollFlags;
use serde_json::json;

use super::super::abi::{
    DL_CURR_PHYS_ADDR, DL_INFO_REQ, DL_NOTE_LINK_UP, RMSGD, SB_NO_HEADER, SB_NO_PROTO_CVT, SBIOCGCHUNK,
    SBIOCGFLAGS, SBIOCGSNAP, SBIOCSCHUNK, SBIOCSFLAGS, SBIOCSTIME,
};
use super::super::delivery::frame;
use super::super::facts::{Facts, Step, Stopped, value};
use super::super::reading::SAP;
use super::link::Link;
use super::name::LinkName;

/// In which a burst is with its reader.
const SOON: Duration = Duration::from_millis(200);
const BURST: usize = 200;
/// Of full length where the MTU is the usual one.
const FULL: usize = 1514;
/// A quarter of what the library asks for.
const CHUNK: i32 = 65536;
const CYCLES: usize = 100;

struct Pair {
    sender: Link,
    reader: Link,
    own: [u8; 6],
    readers: [u8; 6],
}

impl Pair {
    fn send(&self, lengths: &[usize]) -> Result<(), Stopped> {
        for len in lengths {
            self.sender.send(&frame(self.readers, self.own, SAP, *len)).step("write")?;
        }
        Ok(())
    }
}

pub(crate) fn questions(facts: &mut Facts<'_>, [name, other]: [&LinkName; 2]) -> Result<(), Stopped> {
    let (sender, reader) = (Link::station(name)?, Link::open(other).step("open")?);
    reader.listen()?;
    let own = sender.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
    let readers = reader.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
    let mut pair = Pair { sender, reader, own, readers };
    reads(facts, &pair)?;
    passing(facts, &pair)?;
    burst(facts, &pair, "read_of_a_burst_of_200")?;
    pair.reader = Link::open(other).step("open")?;
    other_form(facts, &pair)?;
    cycles(facts, other)?;
    pair.reader = Link::open(other).step("open")?;
    bufmod(facts, &pair)
}

/// The lengths that reads give in each mode.
fn reads(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    pair.send(&[60, 40, FULL])?;
    facts.pass(SOON);
    facts.is("ready_with_a_frame", pair.reader.0.ready());
    facts.is("frames_are_read_one_by_one", pair.reader.drain());
    pair.send(&[60, 40])?;
    facts.pass(SOON);
    let short = value(pair.reader.0.read(20).map(|bytes| bytes.len()));
    facts.is("a_short_read_drops_the_rest", json!([short, pair.reader.drain()]));
    pair.reader.0.set_read_options(0).step("I_SRDOPT")?;
    pair.send(&[120, 120, 120])?;
    facts.pass(SOON);
    facts.is("frames_are_joined_without_rmsgd", pair.reader.drain());
    pair.reader.0.set_read_options(RMSGD).step("I_SRDOPT").map(drop)
}

/// An answer passes the frames, a notification does not; a read passes neither.
fn passing(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    pair.send(&[60])?;
    facts.pass(SOON);
    pair.reader.put(&[DL_INFO_REQ], &[]).step("DL_INFO_REQ")?;
    pair.reader.0.wait(PollFlags::POLLPRI).step("poll")?;
    facts.is("ready_with_an_answer_before_a_frame", pair.reader.0.ready());
    facts.is("read_before_the_answer_is_taken", value(pair.reader.0.read(2048).map(|bytes| bytes.len())));
    facts.is("the_answer", value(pair.reader.take().map(|reply| reply.said())));
    facts.is("the_frame_behind_it", pair.reader.drain());
    pair.reader.ask_for_news(DL_NOTE_LINK_UP).step("DL_NOTIFY_REQ")?;
    pair.send(&[60])?;
    facts.pass(SOON);
    facts.is("read_before_the_news_are_taken", value(pair.reader.0.read(2048).map(|bytes| bytes.len())));
    facts.is("the_news", value(pair.reader.take().map(|reply| reply.said())));
    facts.is("the_frame_behind_them", pair.reader.drain());
    Ok(())
}

/// How many frames wait for a reader that does not come.
fn burst(facts: &mut Facts<'_>, pair: &Pair, name: &str) -> Result<(), Stopped> {
    pair.send(&[FULL; BURST])?;
    facts.pass(SOON);
    let read = pair.reader.drain();
    facts.is(name, json!({ "frames": read.len(), "whole": read.iter().all(|len| *len == FULL) }));
    pair.send(&[FULL; 3])?;
    facts.pass(SOON);
    facts.is(&format!("{name}_and_of_3_more"), pair.reader.drain().len());
    Ok(())
}

/// What comes before the bind is lost. Bound to a type, without raw mode: the header is told apart from the payload.
fn other_form(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    pair.send(&[60])?;
    facts.pass(SOON);
    pair.reader.bind(SAP)?;
    facts.is("ready_with_a_frame_before_the_bind", pair.reader.0.ready());
    pair.send(&[60])?;
    facts.pass(SOON);
    let message = pair.reader.0.get_message(512, 2048).step("getmsg")?;
    let lengths = [message.control, message.data].map(|part| part.map(|bytes| bytes.len()));
    facts.is("a_frame_without_raw_mode", json!([lengths, message.urgent]));
    Ok(())
}

/// A close undoes everything, with frames unread, so that the next stream is like the first.
fn cycles(facts: &mut Facts<'_>, name: &LinkName) -> Result<(), Stopped> {
    let first = Link::station(name)?.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
    let mut whole = 0;
    for _ in 0..CYCLES {
        let link = Link::station(name)?;
        link.send(&frame(first, first, SAP, 60)).step("write")?;
        whole += usize::from(link.address(DL_CURR_PHYS_ADDR) == Ok(first));
    }
    facts.is("cycles_of_100", whole);
    let link = Link::station(name)?;
    facts.is("frames_left_by_them", link.drain().len());
    Ok(())
}

/// As the library sets it up: frames stay what they are, and there is room.
fn bufmod(facts: &mut Facts<'_>, pair: &Pair) -> Result<(), Stopped> {
    let reader = &pair.reader;
    facts.is("push_of_bufmod", value(reader.0.push("bufmod")));
    facts.is("stream_with_bufmod", value(reader.0.list()));
    let flags = (SB_NO_HEADER | SB_NO_PROTO_CVT).cast_signed();
    facts.is("flags_of_bufmod", value(reader.number(SBIOCSFLAGS, flags)));
    facts.is("chunk_of_bufmod", value(reader.number(SBIOCSCHUNK, CHUNK)));
    // Without it, frames would be held back for ever: it ends the group when it fails.
    reader.0.ask_module(SBIOCSTIME, &mut [0_i64; 2]).step("SBIOCSTIME")?;
    facts.is("flags_of_bufmod_then", value(reader.number(SBIOCGFLAGS, -1)));
    facts.is("chunk_of_bufmod_then", value(reader.number(SBIOCGCHUNK, -1)));
    facts.is("snap_of_bufmod_then", value(reader.number(SBIOCGSNAP, -1)));
    reader.listen()?;
    burst(facts, pair, "read_of_a_burst_of_200_by_bufmod")
}

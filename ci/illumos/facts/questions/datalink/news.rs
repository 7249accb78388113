//! What the second stream of a link is for: it sets the address, and is told what changes.

use std::time::Duration;

use serde_json::json;

use super::super::abi::{
    DL_CURR_PHYS_ADDR, DL_NOTE_LINK_DOWN, DL_NOTE_LINK_UP, DL_NOTE_PHYS_ADDR, DL_NOTE_SDU_SIZE, DL_NOTIFY_IND,
};
use super::super::facts::{Facts, Step, Stopped, value};
use super::link::{DL_FACT_PHYS_ADDR, Link};
use super::name::LinkName;

/// What the library asks to be told.
const NEWS: u32 = DL_NOTE_LINK_UP | DL_NOTE_LINK_DOWN | DL_NOTE_SDU_SIZE | DL_NOTE_PHYS_ADDR;
/// In which a notification comes.
const SOON: Duration = Duration::from_millis(200);
const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 0x51];

pub(crate) fn questions(facts: &mut Facts<'_>, [name, other]: [&LinkName; 2]) -> Result<(), Stopped> {
    let link = Link::open(name).step("open")?;
    let watcher = Link::open(name).step("open, again")?;
    first(facts, &watcher)?;
    let own = link.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
    let taken =
        Link::open(other).and_then(|link| link.address(DL_CURR_PHYS_ADDR)).step("DL_PHYS_ADDR_REQ")?;
    for (name, address) in [
        ("set_address_of_a_group", &GROUP[..]),
        ("set_address_of_the_neighbour", &taken),
        ("set_address_of_five_bytes", &own[..5]),
    ] {
        facts.is(name, value(link.set_address(address).map(|reply| reply.said())));
    }
    other_address(facts, &link, &watcher, own);
    Ok(())
}

/// What is told at once.
fn first(facts: &mut Facts<'_>, watcher: &Link) -> Result<(), Stopped> {
    let reply = watcher.ask_for_news(NEWS).step("DL_NOTIFY_REQ")?;
    facts.is("notify_ack", json!([reply.said(), reply.control.len()]));
    facts.measured("notifications", format!("{:#x}", reply.word(1)));
    facts.is("notifications_have_those_asked_for", reply.word(1) & NEWS == NEWS);
    facts.pass(SOON);
    facts.is("ready_with_news", watcher.0.ready());
    facts.is("read_with_news", value(watcher.0.read(2048).map(|bytes| bytes.len())));
    facts.is("first_news", news(watcher));
    facts.is("ready_without_news", watcher.0.ready());
    Ok(())
}

/// Notifications in words: which, what goes with it, and how many bytes of address.
fn news(watcher: &Link) -> Vec<String> {
    let told = std::iter::from_fn(|| watcher.take().ok());
    told.map(|told| {
        let kind = match (told.word(0), told.word(1)) {
            (DL_NOTIFY_IND, DL_NOTE_LINK_UP) => "LINK_UP".to_owned(),
            (DL_NOTIFY_IND, DL_NOTE_LINK_DOWN) => "LINK_DOWN".to_owned(),
            (DL_NOTIFY_IND, DL_NOTE_PHYS_ADDR) => "PHYS_ADDR".to_owned(),
            (DL_NOTIFY_IND, DL_NOTE_SDU_SIZE) => "SDU_SIZE".to_owned(),
            (primitive, note) => format!("{primitive:#x} {note:#x}"),
        };
        format!("{kind} {} {}", told.word(2), told.word(3))
    })
    .collect()
}

/// Nothing in here ends early: the former address comes back.
fn other_address(facts: &mut Facts<'_>, link: &Link, watcher: &Link, own: [u8; 6]) {
    let mut next = own;
    next[5] ^= 0x80;
    facts.is("set_address", value(link.set_address(&next).map(|reply| reply.said())));
    let current = [link, watcher].map(|stream| stream.address(DL_CURR_PHYS_ADDR) == Ok(next));
    facts.is("all_streams_of_the_link_have_it_then", json!(current));
    facts.is("the_factory_address_stays", link.address(DL_FACT_PHYS_ADDR) == Ok(own));
    facts.pass(SOON);
    facts.is("news_of_the_address", news(watcher));
    facts.is("set_address_back", value(link.set_address(&own).map(|reply| reply.said())));
    facts.pass(SOON);
    facts.is("the_address_is_back", link.address(DL_CURR_PHYS_ADDR) == Ok(own));
    facts.is("news_of_the_former_address", news(watcher));
}

//! Which frames come out of which streams: of both links, two stations each and a stream that is not bound.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::abi::{DL_CURR_PHYS_ADDR, DL_INFO_ACK, DL_INFO_REQ};
use super::super::delivery::frame;
use super::super::facts::{Facts, Step, Stopped, value};
use super::super::reading::{BROADCAST, SAP};
use super::link::Link;
use super::name::LinkName;

/// In which a frame is with all who get it.
const SOON: Duration = Duration::from_millis(100);
/// Locally administered.
const STRANGER: [u8; 6] = [2, 8, 0x20, 0xfa, 0xc7, 0x5e];
const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 0x51];
const HEADER: usize = 14;
/// `ETHERTYPE_VLAN`, and the bytes of a tag.
const TAGGED: u16 = 0x8100;
const TAG: usize = 4;

/// Everybody on the etherstub.
struct Stations {
    sender: Link,
    beside_sender: Link,
    other: Link,
    beside_other: Link,
    unbound: Link,
    own: [u8; 6],
    others: [u8; 6],
    longest: usize,
}

pub(crate) fn questions(facts: &mut Facts<'_>, [name, other]: [&LinkName; 2]) -> Result<(), Stopped> {
    let stations = Stations::new([name, other])?;
    let (own, others) = (stations.own, stations.others);
    for (name, to, from, kind) in [
        ("to_the_other", others, own, SAP),
        ("to_all", BROADCAST, own, SAP),
        ("to_a_group", GROUP, own, SAP),
        ("to_a_stranger", STRANGER, own, SAP),
        ("to_itself", own, own, SAP),
        ("from_a_stranger", others, STRANGER, SAP),
        ("of_another_type", others, own, SAP + 1),
        ("of_60_with_the_length_38", others, own, 38),
    ] {
        stations.sender.send(&frame(to, from, kind, 60)).step("write")?;
        facts.pass(SOON);
        facts.is(name, stations.arrivals());
    }
    lengths(facts, &stations);
    tags(facts, &stations);
    slices(facts, &stations)
}

impl Stations {
    fn new([name, other]: [&LinkName; 2]) -> Result<Self, Stopped> {
        let (sender, other_station) = (Link::station(name)?, Link::station(other)?);
        let own = sender.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
        let others = other_station.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
        let info = sender.obtain(&[DL_INFO_REQ], DL_INFO_ACK).step("DL_INFO_REQ")?;
        Ok(Self {
            sender,
            beside_sender: Link::station(name)?,
            other: other_station,
            beside_other: Link::station(other)?,
            unbound: Link::open(other).step("open")?,
            own,
            others,
            longest: info.word(1) as usize + HEADER,
        })
    }

    /// The lengths of what each of them gets.
    fn arrivals(&self) -> Value {
        json!({
            "sender": self.sender.drain(), "beside_sender": self.beside_sender.drain(),
            "other": self.other.drain(), "beside_other": self.beside_other.drain(),
            "unbound": self.unbound.drain(),
        })
    }

    /// What a write returns, and the lengths of what the other station gets.
    fn sends(&self, facts: &mut Facts<'_>, name: &str, frame: &[u8]) {
        let written = value(self.sender.send(frame));
        facts.pass(SOON);
        let arrived = self.other.drain();
        // Nobody asks them here, and their room is limited.
        for station in [&self.sender, &self.beside_sender, &self.beside_other] {
            station.drain();
        }
        facts.is(name, json!({ "written": written, "arrived": arrived }));
    }
}

/// A write says of no frame that it was dropped, and nobody fills up a short one.
fn lengths(facts: &mut Facts<'_>, stations: &Stations) {
    let Stations { own, others, longest, .. } = *stations;
    for (name, to, len) in [
        ("nothing", others, 0),
        ("one_byte", others, 1),
        ("part_of_a_header", others, HEADER - 1),
        ("a_header", others, HEADER),
        ("a_header_to_all", BROADCAST, HEADER),
        ("one_byte_of_payload", others, HEADER + 1),
        ("a_short_frame", others, 59),
        ("the_longest_frame", others, longest),
        ("one_byte_too_long", others, longest + 1),
        ("the_longest_write", others, 65536),
    ] {
        stations.sends(facts, name, &frame(to, own, SAP, len));
    }
}

/// Between links that are in no VLAN.
fn tags(facts: &mut Facts<'_>, stations: &Stations) {
    for (name, tag, len) in [
        ("tagged_with_a_priority", 3 << 13, 64),
        ("tagged_with_a_vlan", 5, 64),
        ("tagged_with_neither", 0, 64),
        ("the_longest_tagged", 3 << 13, stations.longest + TAG),
        ("tagged_and_one_byte_too_long", 3 << 13, stations.longest + TAG + 1),
    ] {
        let mut tagged = frame(stations.others, stations.own, TAGGED, len);
        tagged[HEADER..HEADER + 2].copy_from_slice(&u16::to_be_bytes(tag));
        tagged[HEADER + 2..HEADER + TAG].copy_from_slice(&SAP.to_be_bytes());
        stations.sends(facts, name, &tagged);
    }
}

/// One frame, wherever its slices are cut, and the same bytes.
fn slices(facts: &mut Facts<'_>, stations: &Stations) -> Result<(), Stopped> {
    let whole: Vec<u8> = frame(stations.others, stations.own, SAP, 1000);
    let slices = [&whole[..3], &whole[3..13], &whole[13..500], &whole[500..]];
    facts.is("write_of_slices", value(stations.sender.0.write_slices(&slices)));
    facts.pass(SOON);
    let arrived = stations.other.0.read(2048).step("read")?;
    facts.is("slices_arrive_as_one_frame", arrived == whole);
    facts.is("read_of_nothing", value(stations.other.0.read(2048).map(|bytes| bytes.len())));
    Ok(())
}

//! What a link's driver answers to each request, in the state for it and in another.

use serde_json::{Value, json};

use super::super::abi::{
    self, DL_ATTACH_REQ, DL_BIND_REQ, DL_CURR_PHYS_ADDR, DL_INFO_ACK, DL_INFO_REQ, DL_PHYS_ADDR_REQ,
    DL_PROMISC_MULTI, DL_PROMISC_RX_ONLY, DL_PROMISC_SAP, DL_PROMISCON_REQ, DLIOCMARGININFO,
};
use super::super::facts::{Facts, Step, Stopped, value};
use super::link::{
    DL_DETACH_REQ, DL_FACT_PHYS_ADDR, DL_PROMISCOFF_REQ, DL_UNBIND_REQ, Link, NO_PRIMITIVE, Reply, bind,
};
use super::name::LinkName;

/// `DL_PROMISCON_REQ`: no such level.
const NO_LEVEL: u32 = 5;
/// `DL_PHYS_ADDR_REQ`: of whom it is connected to, and no such address.
const DL_CURR_DEST_ADDR: u32 = 5;
const NO_ADDRESS: u32 = 77;

pub(crate) fn questions(facts: &mut Facts<'_>, name: &LinkName) -> Result<(), Stopped> {
    facts.is("open_of_an_unknown_name", value(Link::open(&LinkName::of_nobody()).map(|_| "opened")));
    let link = Link::open(name).step("open")?;
    facts.is("stream", value(link.0.list()));
    facts.is("ready_when_fresh", link.0.ready());
    facts.is("info_when_fresh", info(&link.obtain(&[DL_INFO_REQ], DL_INFO_ACK).step("DL_INFO_REQ")?));
    addresses(facts, &link)?;
    refusals(facts, &link);
    ioctls(facts, &link);
    levels(facts, &link);
    binding(facts, &link)
}

/// What `DL_INFO_ACK` says, but for the address.
fn info(reply: &Reply) -> Value {
    json!({
        "length": reply.control.len(), "max_sdu": reply.word(1), "min_sdu": reply.word(2),
        "addr_length": reply.word(3), "mac_type": reply.word(4), "current_state": reply.word(6),
        "sap_length": reply.word(7).cast_signed(), "service_mode": reply.word(8), "qos_length": reply.word(9),
        "provider_style": format!("{:#x}", reply.word(13)), "addr_offset": reply.word(14),
        "version": reply.word(15), "brdcst_addr": [reply.word(16), reply.word(17)],
    })
}

fn addresses(facts: &mut Facts<'_>, link: &Link) -> Result<(), Stopped> {
    let own = link.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
    facts.is("factory_address_is_the_current_one", link.address(DL_FACT_PHYS_ADDR) == Ok(own));
    let reply = link.ask(&[DL_PHYS_ADDR_REQ, DL_CURR_PHYS_ADDR], &[]).step("DL_PHYS_ADDR_REQ")?;
    facts.is("address_ack", json!([reply.said(), reply.control.len(), { "addr_length": reply.word(1), "addr_offset": reply.word(2) }]));
    said(facts, "address_of_the_destination", link, &[DL_PHYS_ADDR_REQ, DL_CURR_DEST_ADDR]);
    said(facts, "address_of_no_kind", link, &[DL_PHYS_ADDR_REQ, NO_ADDRESS]);
    Ok(())
}

/// What a stream in this state has not, and what nobody has.
fn refusals(facts: &mut Facts<'_>, link: &Link) {
    said(facts, "attach_of_an_attached_stream", link, &[DL_ATTACH_REQ, 0]);
    said(facts, "detach_of_a_named_link", link, &[DL_DETACH_REQ]);
    said(facts, "unbind_when_unbound", link, &[DL_UNBIND_REQ]);
    said(facts, "no_primitive", link, &[NO_PRIMITIVE]);
    said(facts, "short_bind", link, &[DL_BIND_REQ]);
    said(facts, "short_level", link, &[DL_PROMISCON_REQ]);
    let [primitive, sap, conind, mode, _] = bind(0);
    said(facts, "bind_without_a_mode", link, &[primitive, sap, conind, 0, 0]);
    said(facts, "bind_with_tests", link, &[primitive, sap, conind, mode, 1]);
    said(facts, "bind_to_no_type", link, &bind(1501));
}

fn ioctls(facts: &mut Facts<'_>, link: &Link) {
    facts.is("raw", value(link.raw()));
    facts.is("raw_again", value(link.raw()));
    facts.is("margin", value(link.number(DLIOCMARGININFO, 0)));
    facts.is("unknown_request", value(link.0.unknown_request()));
    facts.is("bufmods_request_without_bufmod", value(link.number(abi::SBIOCGCHUNK, 0)));
}

/// In the order in which the library asks.
fn levels(facts: &mut Facts<'_>, link: &Link) {
    for (name, level) in [
        ("level_rx_only", DL_PROMISC_RX_ONLY),
        ("level_sap", DL_PROMISC_SAP),
        ("level_sap_again", DL_PROMISC_SAP),
        ("level_multi", DL_PROMISC_MULTI),
        ("no_level", NO_LEVEL),
    ] {
        said(facts, name, link, &[DL_PROMISCON_REQ, level]);
    }
    said(facts, "level_multi_off", link, &[DL_PROMISCOFF_REQ, DL_PROMISC_MULTI]);
    said(facts, "level_multi_off_again", link, &[DL_PROMISCOFF_REQ, DL_PROMISC_MULTI]);
    said(facts, "level_multi_on_again", link, &[DL_PROMISCON_REQ, DL_PROMISC_MULTI]);
}

fn binding(facts: &mut Facts<'_>, link: &Link) -> Result<(), Stopped> {
    let own = link.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
    let reply = link.obtain(&bind(0), abi::DL_BIND_ACK).step("DL_BIND_REQ")?;
    let rest = json!({ "sap": reply.word(1), "addr_length": reply.word(2), "addr_offset": reply.word(3) });
    facts.is("bind_ack", json!([reply.said(), reply.control.len(), rest]));
    facts.is("bind_ack_has_the_address", reply.address(24) == Some(own));
    said(facts, "bind_when_bound", link, &bind(0));
    let reply = link.obtain(&[DL_INFO_REQ], DL_INFO_ACK).step("DL_INFO_REQ")?;
    facts.is("info_when_bound", info(&reply));
    facts.is("info_when_bound_has_the_address", reply.address(76) == Some(own));
    Ok(())
}

/// Asks, and notes what the driver says.
fn said(facts: &mut Facts<'_>, name: &str, link: &Link, words: &[u32]) {
    facts.is(name, value(link.ask(words, &[]).map(|reply| reply.said())));
}

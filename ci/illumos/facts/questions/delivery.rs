//! Which frames of the guest a device hands up to a protocol, and whose address a device has.

use serde_json::json;

use super::device::{Control, Protocol};
use super::facts::{Facts, Step, Stopped, value};
use super::reading::{BROADCAST, SAP};

/// Locally administered.
const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 2];
const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 1];

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let control = Control::by_frame(Control::ANY).step("TUNNEWPPA -1")?;
    let taker = Protocol::attach(control.ppa).step("DL_ATTACH_REQ")?;
    taker.bind(SAP).step("DL_BIND_REQ")?;
    let own = taker.address().step("DL_PHYS_ADDR_REQ")?;
    let cases = [
        ("to_all", BROADCAST, GUEST, SAP),
        ("to_a_group", GROUP, GUEST, SAP),
        ("to_the_interface", own, GUEST, SAP),
        ("to_a_stranger", STRANGER, GUEST, SAP),
        ("of_another_type", own, GUEST, SAP + 1),
        ("with_a_length", own, GUEST, 46),
        ("from_the_interface_itself", BROADCAST, own, SAP),
        ("from_nobody", BROADCAST, [0; 6], SAP),
    ];
    for (name, to, from, kind) in cases {
        control.stream.write(&frame(to, from, kind, 60)).step("write")?;
        facts.is(name, taker.0.get_message(256, 2048).is_ok());
    }
    parts(facts, &control, &taker, own)?;
    addresses(facts, &control, &taker, own)
}

/// A frame of this length with its header.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], kind: u16, len: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &kind.to_be_bytes()].concat();
    frame.resize(len, 0x55);
    frame
}

/// What arrives of a frame: one message, however it was written.
fn parts(facts: &mut Facts<'_>, control: &Control, taker: &Protocol, own: [u8; 6]) -> Result<(), Stopped> {
    for len in [21, 60, 2048] {
        let frame = frame(own, GUEST, SAP, len);
        let slices: Vec<_> = frame.chunks(len.div_ceil(3)).collect();
        control.stream.write_slices(&slices).step("writev")?;
        let message = taker.0.get_message(256, 4096).step("getmsg")?;
        let data = message.data.unwrap_or_default();
        facts.is(&format!("frame_of_{len}_is_handed_up_whole"), data == frame[14..]);
        facts.is(&format!("control_part_of_{len}"), message.control.map(|part| part.len()));
        facts.is(
            &format!("more_messages_of_{len}"),
            value(taker.0.get_message(256, 4096).map(|more| more.more)),
        );
    }
    Ok(())
}

fn addresses(
    facts: &mut Facts<'_>,
    control: &Control,
    taker: &Protocol,
    own: [u8; 6],
) -> Result<(), Stopped> {
    let text = own.map(|byte| format!("{byte:02x}")).join(":");
    facts.measured("address", text);
    facts.is("address_begins_as_the_driver_makes_it", own[..3] == [0x0a, 0, 0x20]);
    let other = Control::new(Control::ANY).step("TUNNEWPPA -1, again")?;
    let of_other = Protocol::attach(other.ppa).step("DL_ATTACH_REQ, again")?;
    facts.is("all_devices_have_one_address", of_other.address() == Ok(own));
    facts.is("set_address", value(taker.set_address(STRANGER).map(|()| "ok")));
    let after = json!([taker.address() == Ok(STRANGER), of_other.address() == Ok(own)]);
    facts.is("only_the_device_asked_for_has_it_then", after);
    control.stream.write(&frame(STRANGER, GUEST, SAP, 60)).step("write")?;
    facts.is("to_the_new_address", taker.0.get_message(256, 2048).is_ok());
    Ok(())
}

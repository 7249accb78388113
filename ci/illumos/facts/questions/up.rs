//! Bringing an interface up: what it refuses, how duplicate address detection goes, and from when on it answers.

use std::time::Duration;

use serde_json::{Value, json};

use super::abi::{AF_INET, AF_INET6, IFF_UP};
use super::device::{Control, Protocol};
use super::facts::{Facts, Step, Stopped, value};
use super::frames::{GUEST_MAC, Kind, arp_request, echo_request, kind_of};
use super::interface::{self, HOST, MASK, Plumbed, name_of};

const TICK: Duration = Duration::from_millis(50);
/// Detection ends, and all announcements are made, within this: the first delay is up to a second at random.
const DETECTION: Duration = Duration::from_secs(16);
/// The guest asks for the address this often, from then on.
const ASKED_EVERY: Duration = Duration::from_millis(250);
const ASKED_FROM: Duration = Duration::from_millis(200);

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    without_arp(facts)?;
    let plumbed = Plumbed::new()?;
    facts.is("address_of_another_family", value(plumbed.set_address(AF_INET6, HOST, MASK)));
    facts.is("address_of_a_group", value(plumbed.set_address(AF_INET, [224, 0, 0, 9], MASK)));
    facts.is("mask_with_holes", value(plumbed.set_address(AF_INET, HOST, [255, 0, 255, 0])));
    let own = Protocol::attach(plumbed.control.ppa).step("DL_ATTACH_REQ")?;
    let address = own.address().step("DL_PHYS_ADDR_REQ")?;
    drop(own);
    plumbed.come_up()?;
    facts.is("flags", value(plumbed.flags().map(|flags| format!("{flags:#x}"))));
    facts.is("frames_at_once", plumbed.control.drain().len());
    detect(facts, &plumbed)?;
    facts.is("echo_afterwards", answers(facts, &plumbed, &echo_request(address))?);
    down_and_up(facts, plumbed)
}

/// IP alone cannot come up; it would not know whom to send to.
fn without_arp(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let mux = interface::mux()?;
    let control = Control::by_frame(Control::ANY).step("TUNNEWPPA -1")?;
    let name = name_of(&control);
    let ip = interface::ip(&name, control.ppa)?;
    let links = [mux.link(&ip).step("I_LINK of ip")?, 0];
    drop(ip);
    let plumbed = Plumbed { mux, control, name, links };
    plumbed.set_address(AF_INET, HOST, MASK).step("SIOCSLIFADDR")?;
    facts.is("up_without_arp", value(plumbed.set_up(true)));
    facts.is("muxid_without_arp", value(plumbed.mux_ids().map(|[_, arp]| arp)));
    Ok(())
}

/// Watches the interface from the moment it came up, and keeps asking for its address.
fn detect(facts: &mut Facts<'_>, plumbed: &Plumbed) -> Result<(), Stopped> {
    let (start, mut asked, mut answered) = (facts.now(), ASKED_FROM, None);
    let mut seen = Vec::new();
    loop {
        let elapsed = facts.now().saturating_sub(start);
        for frame in plumbed.control.drain() {
            let kind = kind_of(&frame);
            answered = answered.or((kind == Kind::ArpReply).then_some(elapsed));
            seen.push((elapsed.as_millis(), kind, frame.len()));
        }
        if elapsed >= DETECTION {
            break;
        }
        if answered.is_none() && elapsed >= asked {
            plumbed.control.stream.write(&arp_request()).step("write")?;
            asked = elapsed + ASKED_EVERY;
        }
        facts.pass(TICK);
    }
    let of = |wanted| seen.iter().filter(move |(_, kind, _)| *kind == wanted);
    let times = |wanted| of(wanted).map(|(time, ..)| Value::from(*time as u64)).collect::<Vec<_>>();
    facts.measured("probes_at_ms", times(Kind::Probe));
    facts.measured("announcements_at_ms", times(Kind::Announcement));
    facts.measured("other_frames", of(Kind::Other).count());
    facts.measured("address_answered_after_ms", answered.map(|time| time.as_millis() as u64));
    let count = json!({ "probes": of(Kind::Probe).count(), "announcements": of(Kind::Announcement).count() });
    facts.is("detection_in_16_s", count);
    facts.is(
        "all_of_them_have_42_bytes",
        of(Kind::Probe).chain(of(Kind::Announcement)).all(|(.., len)| *len == 42),
    );
    let first = of(Kind::Probe).next().map(|(time, ..)| *time);
    facts.is("first_probe_within_1500_ms", first.is_some_and(|time| time <= 1500));
    let soon = Duration::from_secs(3)..Duration::from_secs(8);
    facts.is("address_answered_after_3_to_8_s", answered.is_some_and(|time| soon.contains(&time)));
    Ok(())
}

/// What a frame of the guest is answered with, in half a second.
fn answers(facts: &Facts<'_>, plumbed: &Plumbed, frame: &[u8]) -> Result<Vec<String>, Stopped> {
    plumbed.control.drain();
    plumbed.control.stream.write(frame).step("write")?;
    facts.pass(Duration::from_millis(500));
    let to_guest = |frame: &Vec<u8>| frame.starts_with(&GUEST_MAC);
    let frames = plumbed.control.drain().into_iter().filter(to_guest);
    Ok(frames.map(|frame| format!("{:?}", kind_of(&frame))).collect())
}

fn down_and_up(facts: &mut Facts<'_>, plumbed: Plumbed) -> Result<(), Stopped> {
    facts.is("down", value(plumbed.set_up(false)));
    facts.is("flags_when_down", value(plumbed.flags().map(|flags| flags & IFF_UP)));
    facts.is("asked_when_down", answers(facts, &plumbed, &arp_request())?);
    facts.is("up_again", value(plumbed.set_up(true)));
    facts.pass(Duration::from_secs(8));
    facts.is("asked_when_up_again", answers(facts, &plumbed, &arp_request())?);
    plumbed.unplumb().map(drop)
}

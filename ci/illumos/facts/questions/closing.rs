//! The orders of closing that are safe, and what each leaves. None of those that can hang is tried: nothing closes the
//! device while a request of a down, an up or an unlink may still be unserved.

use std::time::Duration;

use nix::errno::Errno;

use super::device::{Control, Protocol};
use super::facts::{Facts, Step, Stopped, value};
use super::interface::{self, Plumbed};
use super::reading::{BROADCAST, SAP};

/// In which everything that was asked of the driver is served.
const SETTLED: Duration = Duration::from_secs(1);
const UNREAD: usize = 20;

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    orders(facts)?;
    unread(facts)?;
    device_first(facts)
}

/// Each is done with the interface up.
fn orders(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let unlinked = up(facts)?;
    let (name, ppa) = (unlinked.name.clone(), unlinked.control.ppa);
    drop(unlinked.unplumb()?);
    after(facts, "unlink_mux_device", &name, ppa)?;
    let Plumbed { mux, control, name, .. } = up(facts)?;
    let ppa = control.ppa;
    drop(mux);
    facts.is("interface_when_the_mux_is_closed", value(interface::flags(&interface::mux()?, &name)));
    let still_taken = Control::new(ppa).err() == Some(Errno::EEXIST);
    facts.is("device_when_the_mux_is_closed", still_taken);
    drop(control);
    after(facts, "mux_device", &name, ppa)
}

fn up(facts: &Facts<'_>) -> Result<Plumbed, Stopped> {
    let plumbed = Plumbed::new()?;
    plumbed.come_up()?;
    facts.pass(SETTLED);
    Ok(plumbed)
}

/// What is left: neither the interface nor the device.
fn after(facts: &mut Facts<'_>, order: &str, name: &str, ppa: i32) -> Result<(), Stopped> {
    let gone = interface::flags(&interface::mux()?, name) == Err(Errno::ENXIO);
    facts.is(&format!("{order}_leaves_no_interface"), gone);
    facts.is(&format!("{order}_frees_the_device"), Control::new(ppa).is_ok());
    Ok(())
}

/// Frames that wait when the interface goes can still be read.
fn unread(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let plumbed = Plumbed::new()?;
    let sender = Protocol::attach(plumbed.control.ppa).step("DL_ATTACH_REQ")?;
    sender.bind(SAP).step("DL_BIND_REQ")?;
    for _ in 0..UNREAD {
        sender.send(BROADCAST, SAP, &mut [0x55; 46]).step("DL_UNITDATA_REQ")?;
    }
    drop(sender);
    let control = plumbed.unplumb()?;
    facts.is("unread_frames_of_20", control.drain().len());
    facts.is("ready_when_unplumbed", control.stream.ready());
    Ok(())
}

/// The interface survives its device, deaf; then it can only be unplumbed.
fn device_first(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let Plumbed { mux, control, name, links: [ip, arp] } = up(facts)?;
    let ppa = control.ppa;
    drop(control);
    facts.pass(SETTLED);
    facts.is(
        "interface_without_device",
        value(interface::flags(&mux, &name).map(|flags| format!("{flags:#x}"))),
    );
    let again = Control::by_frame(ppa).step("TUNNEWPPA of the same number")?;
    facts.pass(SETTLED);
    facts.is("frames_for_the_next_device", again.drain().len());
    facts.is("unlink_of_arp_without_device", value(mux.unlink(arp)));
    facts.is("unlink_of_ip_without_device", value(mux.unlink(ip)));
    drop((mux, again));
    after(facts, "device_unlink_mux", &name, ppa)
}

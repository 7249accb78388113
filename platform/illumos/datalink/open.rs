//! The attach to a link, step by step. Whatever is opened is owned at once, so that an early return undoes everything.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use log::warn;

use super::super::abi::{
    DL_NOTSUPPORTED, DL_PROMISC_MULTI, DL_PROMISC_RX_ONLY, DL_PROMISC_SAP, DL_UNBOUND, DLIOCRAW, I_LIST,
    I_POP, I_PUSH, I_SRDOPT, RMSGD, SB_NO_HEADER, SB_NO_PROTO_CVT, SBIOCSCHUNK, SBIOCSFLAGS, SBIOCSTIME,
};
use super::super::ip::IpInterface;
use super::super::mux_link::{Family, Mux};
use super::super::{options, streams};
use super::control::{self, Control};
use super::name::LinkName;
use super::primitive::{self, Primitive};
use super::refusal;
use super::{Datalink, Known};
use crate::attach::{AttachError, Config, InterfaceName};

/// Bytes of frames that are kept unless told otherwise: some 170 of full length.
const USUAL_BUFFER: u32 = 256 * 1024;

/// Frames go through bufmod as they are, and so do messages of the driver.
pub(super) const BUFMOD_FLAGS: u32 = SB_NO_HEADER | SB_NO_PROTO_CVT;

/// Opens the link `link` for the frames of a guest.
pub(super) fn attach(link: LinkName, config: &Config) -> Result<Datalink, AttachError> {
    check(config)?;
    if let Some(name) = link.text()
        && !config.datalink.shared
    {
        refuse_ip(link, name)?;
    }
    let frames = streams::open_non_blocking(&link.node()).map_err(refusal::open(link))?;
    let answer = ask(&frames, link, primitive::INFO)?;
    let info = control::read_info(&answer, link, Some(DL_UNBOUND))?;
    enlarge(&frames, link, config.datalink.buffer)?;
    // Before it is bound: frames that come earlier would be queued in another form.
    streams::tell(&frames, DLIOCRAW, []).map_err(refusal::request(DLIOCRAW.name, link))?;
    let control = Control::open(link)?;
    settle_address(&control, link, config)?;
    listen(&frames, link, [RX_ONLY, EVERY_TYPE, EVERY_GROUP])?;
    streams::set_read_options(frames.as_fd(), RMSGD).map_err(refusal::request(I_SRDOPT.name, link))?;
    let address = ask(&frames, link, primitive::BIND)?.bound_address();
    let address = address.map_or_else(|| control.address(), Ok)?;
    Ok(Datalink::new(link, control, frames, Known { info, address }))
}

/// What a link has not, which a TAP has.
fn check(config: &Config) -> Result<(), AttachError> {
    const ADMINISTRATORS: &str = "the administrator sets this on a data link, with dladm: leave it out";
    let excluded = [
        (config.mtu.is_some(), "mtu", ADMINISTRATORS),
        (config.up, "up", "a data link cannot be set up or down: leave it out"),
        (
            config.queue_length.is_some(),
            "queue_length",
            "the queue of a data link is set in bytes, by Config::datalink_buffer",
        ),
    ];
    if let Some((_, option, reason)) = excluded.iter().find(|(asked, ..)| *asked) {
        return Err(refusal::bad(option, *reason));
    }
    if config.hardware_address.is_some_and(|address| !options::is_station_address(address)) {
        return Err(refusal::bad("hardware_address", options::NO_STATION_ADDRESS));
    }
    Ok(())
}

/// Refuses a link over which the host has plumbed IP, which would answer beside the guest. IP is plumbed under the link's own
/// name.
fn refuse_ip(link: LinkName, name: InterfaceName) -> Result<(), AttachError> {
    for family in [Family::V4, Family::V6] {
        let node = family.node();
        let fd = streams::open(node).map_err(|source| AttachError::Open {
            path: node.into(),
            remedy: "this node tells whether IP is plumbed on the link; Config::share_datalink attaches without asking",
            source,
        })?;
        let mux = Mux { fd: Arc::new(fd), family };
        match (IpInterface { through: &mux, name }).is_up() {
            Ok(_) => {
                let found = "the host's IP is plumbed on it";
                let remedy = "make a link for the guest alone (`dladm create-vnic`), take IP off it (`ipadm delete-if`), \
                              or have both by Config::share_datalink";
                return Err(refusal::wrong_kind(link, found, remedy));
            }
            Err(AttachError::Request { source, .. }) if source.raw_os_error() == Some(libc::ENXIO) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes room at the stream's head for more than four frames. A buffer that nobody asked for may be missing.
pub(super) fn enlarge(frames: &OwnedFd, link: LinkName, asked: Option<u32>) -> Result<(), AttachError> {
    let bytes = asked.unwrap_or(USUAL_BUFFER);
    let pushed = streams::push(frames, c"bufmod").map_err(|source| (I_PUSH.name, source));
    let Err((request, source)) = pushed.and_then(|()| set_buffer(frames, bytes)) else { return Ok(()) };
    remove_bufmod(frames, link)?;
    without_buffer(refusal::request(request, link)(source), asked)
}

/// Removes bufmod, which would hold back frames for ever when it is only half set up. A push that a signal interrupted may
/// have been done.
pub(super) fn remove_bufmod(frames: &OwnedFd, link: LinkName) -> Result<(), AttachError> {
    let modules = streams::list(frames.as_fd()).map_err(refusal::request(I_LIST.name, link))?;
    if modules.first().is_some_and(|top| top == "bufmod") {
        streams::pop(frames).map_err(refusal::request(I_POP.name, link))?;
    }
    Ok(())
}

fn without_buffer(error: AttachError, asked: Option<u32>) -> Result<(), AttachError> {
    if asked.is_some() {
        return Err(error);
    }
    warn!("a guest that does not read has room for four long frames only: {error}");
    Ok(())
}

/// A timeout of 0 makes each frame a message of its own again. The room that the chunk size has made stays: four times the
/// chunk size plus 512 bytes.
fn set_buffer(frames: &OwnedFd, bytes: u32) -> Result<(), (&'static str, io::Error)> {
    let named = |name| move |source| (name, source);
    streams::tell(frames, SBIOCSFLAGS, BUFMOD_FLAGS).map_err(named(SBIOCSFLAGS.name))?;
    streams::tell(frames, SBIOCSCHUNK, bytes / 4).map_err(named(SBIOCSCHUNK.name))?;
    streams::tell(frames, SBIOCSTIME, [0_i64; 2]).map_err(named(SBIOCSTIME.name))
}

/// Sets the address that is demanded.
fn settle_address(control: &Control, link: LinkName, config: &Config) -> Result<(), AttachError> {
    if let Some(address) = config.hardware_address {
        control.set_address(address)?;
    }
    if config.guest_address.is_some() { check_guest(control.address()?, link, config) } else { Ok(()) }
}

/// Under any other address than the link's, the guest would hear nothing.
pub(super) fn check_guest(own: [u8; 6], link: LinkName, config: &Config) -> Result<(), AttachError> {
    if config.guest_address.is_none_or(|guest| guest == own) {
        return Ok(());
    }
    let reason = format!(
        "it is not the address of {link}, {}: let the guest use that one, or give the guest's address in hardware_address(), too",
        own.map(|byte| format!("{byte:02x}")).join(":")
    );
    Err(refusal::bad("guest_address", reason))
}

/// A level of promiscuity, with the request's name.
pub(super) type Level = (&'static str, u32);

pub(super) const RX_ONLY: Level = ("DL_PROMISCON_REQ DL_PROMISC_RX_ONLY", DL_PROMISC_RX_ONLY);
pub(super) const EVERY_TYPE: Level = ("DL_PROMISCON_REQ DL_PROMISC_SAP", DL_PROMISC_SAP);
pub(super) const EVERY_GROUP: Level = ("DL_PROMISCON_REQ DL_PROMISC_MULTI", DL_PROMISC_MULTI);

/// Every type, and every group, once; nothing that this link sends. Any other set of levels loses frames or doubles them.
pub(super) fn listen(frames: &OwnedFd, link: LinkName, levels: [Level; 3]) -> Result<(), AttachError> {
    for (name, level) in levels {
        match primitive::ask(frames, primitive::promiscuity(name, &primitive::level(level))) {
            // Older systems do not know this level. No system needs it: it only saves copies on newer ones.
            Err(fault) if level == DL_PROMISC_RX_ONLY && fault.code() == Some(DL_NOTSUPPORTED) => {}
            answer => answer.map(drop).map_err(refusal::primitive(name, link))?,
        }
    }
    Ok(())
}

fn ask(
    frames: &OwnedFd,
    link: LinkName,
    primitive: Primitive<'_>,
) -> Result<super::super::answer::Answer, AttachError> {
    primitive::ask(frames, primitive).map_err(refusal::primitive(primitive.name, link))
}

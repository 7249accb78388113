//! Streams of a link that somebody else has opened and bound.
//!
//! Such a stream tells everything but the link's name, so the crate cannot open a second stream beside it. The crate asks on
//! the stream itself, and the driver reports no changes. The crate sees a change only when it asks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::super::tap::Refusal;
use super::super::abi::{
    DLIOCMARGININFO, DLIOCRAW, FLUSHR, I_FLUSH, I_LIST, I_SRDOPT, RMSGD, SBIOCGCHUNK, SBIOCGFLAGS, SBIOCGSNAP,
};
use super::super::streams;
use super::control::Control;
use super::name::LinkName;
use super::{Datalink, Known, open, refusal};
use crate::attach::{AdoptError, AttachError, Config};

/// Whether the driver is that of a link. Asked by a request that changes nothing; other drivers refuse it.
pub(crate) fn is_one(stream: BorrowedFd<'_>) -> bool {
    streams::ask(stream, DLIOCMARGININFO, 0_u32).is_ok()
}

/// Takes a bound stream for the frames of a guest. One that is refused for what it is comes back as it was.
pub(crate) fn adopt(frames: OwnedFd, config: &Config) -> Result<Datalink, AdoptError> {
    match prepare(&frames, config) {
        Ok((control, known)) => Ok(Datalink::new(LinkName::UNTOLD, control, frames, known)),
        Err(error) => Err(refused(&error).give_back(frames)),
    }
}

fn refused(error: &AttachError) -> Refusal {
    let source = error.raw_os_error().map(io::Error::from_raw_os_error);
    Refusal { found: format!("a data link's stream that cannot be used: {error}"), remedy: "", source }
}

/// Sets all of what was set before, none of which can be read back.
fn prepare(frames: &OwnedFd, config: &Config) -> Result<(Control, Known), AttachError> {
    let link = LinkName::UNTOLD;
    let control = Control::beside(frames.try_clone().map_err(refusal::request("F_DUPFD_CLOEXEC", link))?);
    let known = Known { info: control.info_of_bound()?, address: control.address()? };
    // The address that a configuration demands is set later, with its other settings.
    open::check_guest(config.hardware_address.unwrap_or(known.address), link, config)?;
    streams::tell(frames, DLIOCRAW, []).map_err(refusal::request(DLIOCRAW.name, link))?;
    // The stream is bound already. If the last level were set first, the stream would receive nothing until the others are
    // set.
    open::listen(frames, link, [open::EVERY_TYPE, open::EVERY_GROUP, open::RX_ONLY])?;
    streams::set_read_options(frames.as_fd(), RMSGD).map_err(refusal::request(I_SRDOPT.name, link))?;
    settle_buffer(frames, link)?;
    Ok((control, known))
}

/// Gives the stream a buffer of the usual size, unless it has one that passes on each frame as one message. Frames that came
/// before may lie together in one message, or behind headers, and are dropped.
fn settle_buffer(frames: &OwnedFd, link: LinkName) -> Result<(), AttachError> {
    let modules = streams::list(frames.as_fd()).map_err(refusal::request(I_LIST.name, link))?;
    let buffered = modules.first().is_some_and(|top| top == "bufmod");
    if buffered && passes_frames(frames.as_fd()) {
        return Ok(());
    }
    open::remove_bufmod(frames, link)?;
    open::enlarge(frames, link, None)?;
    streams::flush(frames, FLUSHR).map_err(refusal::request(I_FLUSH.name, link))
}

/// Whether its bufmod neither gathers frames, nor cuts them, nor puts headers before them.
fn passes_frames(stream: BorrowedFd<'_>) -> bool {
    let found = |request| streams::ask(stream, request, u32::MAX).ok();
    (found(SBIOCGFLAGS), found(SBIOCGCHUNK), found(SBIOCGSNAP))
        == (Some(open::BUFMOD_FLAGS), Some(0), Some(0))
}

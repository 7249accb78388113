//! Attaching again under the descriptor that the engine's callers poll.

use std::os::fd::{AsFd, BorrowedFd};

use super::name::TapName;
use super::plumb::plumb;
use super::plumbing::Plumbing;
use super::{control, dlpi, options, refusal, streams};
use crate::config::{Config, Source};
use crate::error::AttachError;
use crate::offload::Offload;

/// Plumbs anew over a new control stream, which takes the number of the old one: that one cannot be used again, a stream
/// makes one device in its life. Always true, since to a poller it is another descriptor.
///
/// After a failure the number refers to a stream that carries no frame either way and blocks nobody, the plumbing is lost,
/// and the same can be tried again. What is refused before the old interface was undone leaves it as it was.
pub(crate) fn rebind(
    fd: BorrowedFd<'_>,
    plumbing: &mut Option<Plumbing>,
    config: &Config,
    _multi_queue: bool,
) -> Result<(bool, Offload), AttachError> {
    let wanted = wanted_name(fd, plumbing.as_ref(), config)?;
    options::check(config, wanted, 1)?;
    // The old interface's IP side goes before its control stream does, and the number of a multiplexor stays below it.
    let plumbing = plumbing.get_or_insert_default();
    plumbing.begin_again();
    let muxes = plumbing.renew_muxes(config)?;
    let fresh = control::open()?;
    // Before it takes the number: whoever reads meanwhile must not fall asleep.
    control::prepare(fresh.as_fd())?;
    streams::replace(fd, &fresh).map_err(refusal::request("dup3", control::TAP))?;
    drop(fresh);
    let ppa = control::make_device(fd, wanted)?;
    let name = wanted.map_or_else(|| TapName::of(ppa), Ok)?;
    let sides = match muxes {
        Some(muxes) => Some(plumb(&muxes, name, config, config.replace_stale)?),
        None => config.hardware_address.map_or(Ok(None), |to| dlpi::set_address(ppa, to).map(|()| None))?,
    };
    plumbing.renewed(name, sides);
    Ok((true, Offload::NONE))
}

/// The name that the interface had, or has to have. `None` lets the driver choose.
fn wanted_name(
    fd: BorrowedFd<'_>,
    plumbing: Option<&Plumbing>,
    config: &Config,
) -> Result<Option<TapName>, AttachError> {
    match (&config.source, plumbing) {
        (Source::Name(name), _) => TapName::parse(name).map(Some),
        (Source::Any, plumbing) => match plumbing.and_then(Plumbing::name) {
            Some(name) => Ok(Some(name)),
            None => control::ppa_of(fd).ok().map(TapName::of).transpose(),
        },
        (Source::Inherited(_), _) => {
            Err(AttachError::Unsupported { what: "re-attaching a descriptor that was handed in" })
        }
    }
}

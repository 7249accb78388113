//! The attach that all systems share: programs around the system's own steps.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use log::info;

use super::tap::{Attached, Tap};
use super::{inherited, settings, sys};
use crate::attach::config::{Config, Source};
use crate::attach::error::AttachError;
use crate::attach::name::InterfaceName;
use crate::attach::program::{self, Terminate};

/// Attaches `queues` descriptors to one interface.
pub(crate) fn attach(mut config: Config, queues: u16) -> Result<Vec<Tap>, AttachError> {
    if queues == 0 {
        return Err(AttachError::BadOption {
            option: "queues".into(),
            reason: "at least 1 is needed".into(),
        });
    }
    settings::check(&config)?;
    // Held apart from what is attached: when a step fails, all of that is closed before the terminate program runs.
    let (attached, owed) = match std::mem::replace(&mut config.source, Source::Any) {
        Source::Inherited(fd) => adopt(fd, &config, queues)?,
        Source::Name(name) => create(Some(&name), &config, queues)?,
        Source::Any => create(None, &config, queues)?,
    };
    let terminate = owed.map(Arc::new);
    let taps: Vec<Tap> =
        attached.into_iter().map(|part| Tap::new(part, terminate.clone(), &config)).collect();
    for tap in &taps {
        info!("attached {tap:?}");
    }
    Ok(taps)
}

type Owing = (Vec<Attached>, Option<Terminate>);

/// Makes or opens the interface, which the setup program may name.
fn create(name: Option<&str>, config: &Config, queues: u16) -> Result<Owing, AttachError> {
    if let Some(name) = name {
        check_static(name, config)?;
    }
    let vanishes = config.terminate_program.is_some() && !name.map(OsStr::new).is_some_and(program::exists);
    let (printed, owed) = program::setup(config, name.map(OsStr::new))?;
    let attached = sys::attach(printed.as_deref().or(name), config, queues)?;
    owe(attached, owed, config, vanishes)
}

fn check_static(name: &str, config: &Config) -> Result<(), AttachError> {
    sys::check_name(name)?;
    if name.contains('%') && config.setup_program.is_some() {
        let reason = "a template names no interface yet; give a name, or let the setup program print one";
        return Err(AttachError::BadOption { option: "setup_program".into(), reason: reason.into() });
    }
    Ok(())
}

/// Adopts a descriptor; its interface exists, so the programs are always told the name.
fn adopt(fd: OwnedFd, config: &Config, queues: u16) -> Result<Owing, AttachError> {
    if queues > 1 {
        return Err(AttachError::Unsupported { what: "more than one queue on one inherited descriptor" });
    }
    let mut owed = None;
    if config.setup_program.is_some() {
        let name = interface_name(fd.as_fd(), None)?;
        (_, owed) = program::setup(config, Some(OsStr::from_bytes(name.as_bytes())))?;
    }
    let attached = inherited::attach(fd, config)?;
    owe(vec![attached], owed, config, false)
}

/// Without a setup program, the terminate program is owed from the attach on. An interface that the attach made
/// `vanishes` with it.
fn owe(
    attached: Vec<Attached>,
    owed: Option<Terminate>,
    config: &Config,
    vanishes: bool,
) -> Result<Owing, AttachError> {
    let (Some(first), None, Some(_)) = (attached.first(), &owed, &config.terminate_program) else {
        return Ok((attached, owed));
    };
    let name = interface_name(first.fd.as_fd(), first.plumbing.as_ref())?;
    let owed = Terminate::owed(config, OsStr::from_bytes(name.as_bytes()), vanishes);
    Ok((attached, owed))
}

fn interface_name(
    fd: BorrowedFd<'_>,
    plumbing: Option<&sys::Plumbing>,
) -> Result<InterfaceName, AttachError> {
    sys::name(fd, plumbing).map_err(|source| AttachError::Request {
        request: "the interface's name",
        object: "the descriptor".into(),
        remedy: "setup and terminate programs need an interface that has a name",
        source,
    })
}

//! Descriptors that somebody else opened.

use std::os::fd::OwnedFd;

use super::sys;
use super::tap::Attached;
use crate::config::Config;
use crate::error::{AdoptError, AttachError};
use crate::offload::Offload;

/// Adopts `fd` and applies what `config` says of its interface.
pub(super) fn attach(fd: OwnedFd, config: &Config, queues: u16) -> Result<Vec<Attached>, AttachError> {
    let _ = queues;
    Ok(vec![adopt(fd, &config.offload)?])
}

/// Finds out what `fd` is and makes it keep the promises of a TAP.
pub(super) fn adopt(fd: OwnedFd, offload: &Offload) -> Result<Attached, AdoptError> {
    sys::adopt(fd, offload)
}

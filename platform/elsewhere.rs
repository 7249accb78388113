//! Systems without an attach of their own: TAPs come in as inherited descriptors.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::fault::{ReadFault, WriteFault};
use super::tap::Attached;
use crate::config::Config;
use crate::error::{AdoptError, AttachError, DetachError};
use crate::name::InterfaceName;
use crate::offload::Offload;

/// There is nothing to plumb.
#[derive(Debug)]
pub(crate) enum Plumbing {}

impl Plumbing {
    pub(crate) fn undo(self) -> Result<(), DetachError> {
        match self {}
    }
}

//! What is to be attached, as [`Config`] describes it; the programs that run around it; and what can go wrong. `platform`
//! knows how it is done.

mod config;
mod error;
mod name;
mod pairs;
mod program;
mod wanted;

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::process::Command;

pub use config::Config;
pub(crate) use error::io_error;
pub use error::{AdoptError, AttachError, DetachError, ProgramError};
pub use name::InterfaceName;
pub(crate) use pairs::read as read_pairs;
pub(crate) use program::{Terminate, exists, setup};
// A glob, since not every system uses `Creation`, and a list would name an unused item.
pub(crate) use wanted::*;

/// What a configuration and its programs need of the system below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    /// The rule for interface names.
    pub check_name: fn(&str) -> Result<(), AttachError>,
    /// Duplicates a descriptor known by number, close-on-exec and above the standard streams.
    pub duplicate: fn(RawFd) -> io::Result<OwnedFd>,
    /// Leaves a program nothing but its standard streams.
    pub inherit_standard_streams_only: fn(&mut Command),
}

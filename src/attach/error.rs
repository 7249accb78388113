//! Why an attach, an adoption, a detach or a program failed. Each variant names the step and its object and keeps the errno as `source`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use thiserror::Error;

/// Says why a TAP could not be attached, with the step, its object and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The interface name breaks the host's rule; nothing was asked of the kernel.
    #[error("{name:?} cannot name an interface: {reason}")]
    BadName {
        /// The name as given.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// An option is out of range or contradicts another one; nothing was asked of the kernel.
    #[error("option {option}: {reason}")]
    BadOption {
        /// The option, by the name of its `Config` method or key.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A device node could not be opened.
    #[error("open {}: {source}{}", path.display(), hint(remedy))]
    Open {
        /// The node.
        path: PathBuf,
        /// What to do about it; empty where nothing is known.
        remedy: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("{request} on {object}: {source}{}", hint(remedy))]
    Request {
        /// The request, by its name in the manual page.
        request: &'static str,
        /// What it was asked of: an interface, a node or a module.
        object: String,
        /// What to do about it; empty where nothing is known.
        remedy: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The interface is in use, and was still in use at the deadline.
    #[error("{name} is in use{}: {source}", holder_text(holder))]
    Busy {
        /// The interface.
        name: String,
        /// Who holds it, where that could be read; else empty.
        holder: String,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no interface of that name, and none was to be made.
    #[error("there is no interface {name}; make it first")]
    Missing {
        /// The interface.
        name: String,
    },
    /// There is an interface of that name, and a new one was demanded.
    #[error("the interface {name} exists already; remove it, or do not demand a new one")]
    Exists {
        /// The interface.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Something of that name exists and is not what was asked for (a TUN device, another queue mode, no TAP at all).
    #[error("{name} cannot be used: {found}{}", hint(remedy))]
    WrongKind {
        /// The interface.
        name: String,
        /// What it is.
        found: &'static str,
        /// What to do about it.
        remedy: &'static str,
        /// The system's answer, where one led here.
        source: Option<io::Error>,
    },
    /// The kernel accepted a request, but what was read back afterwards differs.
    #[error("{what}: expected {wanted}, found {found}")]
    Mismatch {
        /// What was read back.
        what: &'static str,
        /// What had been asked for.
        wanted: String,
        /// What the kernel says.
        found: String,
    },
    /// The setup program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The inherited descriptor is not a TAP this crate can drive.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// This operating system, this version of it, or an interface of this kind does not support what was asked for.
    #[error("{what} is not supported here")]
    Unsupported {
        /// The thing asked for.
        what: &'static str,
    },
}

/// Says what an inherited descriptor really is, and gives it back.
#[derive(Debug, Error)]
#[error("descriptor {} is {found}{}", fd_number(fd), hint(remedy))]
pub struct AdoptError {
    /// The descriptor as it was handed in, with the status flags it had.
    pub fd: OwnedFd,
    /// What it is, in words.
    pub found: String,
    /// What to do about it; empty where nothing is known.
    pub remedy: &'static str,
    /// The system's answer that showed it, if one did.
    #[source]
    pub source: Option<io::Error>,
}

/// Says why a detach was not clean. Everything that could be undone has been undone all the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DetachError {
    /// The kernel refused a step; the following steps were still taken.
    #[error("{request} on {object}: {source}")]
    Request {
        /// The request, by its name in the manual page.
        request: &'static str,
        /// What it was asked of.
        object: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The terminate program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Says how a setup or terminate program failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The program could not be started.
    #[error("cannot run {}: {source}{}", program.display(), hint(remedy))]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What to do about it; empty where nothing is known.
        remedy: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Its output or its end could not be read.
    #[error("cannot read the output or the end of {}: {source}{}", program.display(), hint(wait_remedy(source)))]
    Wait {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It ended with a status other than 0.
    #[error("{} ended with status {status}; the log has what it wrote to its standard error", program.display())]
    Status {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        status: i32,
    },
    /// A signal ended it.
    #[error("{} was ended by signal {signal}", program.display())]
    Signal {
        /// The program.
        program: PathBuf,
        /// The signal's number.
        signal: i32,
    },
    /// It ran longer than allowed and was stopped.
    #[error("{} did not end within {seconds} s and was stopped; Config::program_timeout gives it more", program.display())]
    Timeout {
        /// The program.
        program: PathBuf,
        /// The time it had, in seconds.
        seconds: u64,
    },
    /// Its first output line is no interface name.
    #[error("{} printed no usable interface name: {reason}", program.display())]
    NoName {
        /// The program.
        program: PathBuf,
        /// What is wrong with its output.
        reason: String,
    },
}

fn hint(remedy: &str) -> String {
    if remedy.is_empty() { String::new() } else { format!("; {remedy}") }
}

fn wait_remedy(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ECHILD) => {
            "this process must neither ignore SIGCHLD nor wait for children that are not its own"
        }
        _ => "",
    }
}

fn holder_text(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(" by {holder}") }
}

fn fd_number(fd: &OwnedFd) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(fd)
}

impl AttachError {
    /// The errno of the system call that failed; `None` where none did.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Open { source, .. }
            | Self::Request { source, .. }
            | Self::Busy { source, .. }
            | Self::Exists { source, .. } => source.raw_os_error(),
            Self::WrongKind { source, .. } => source.as_ref()?.raw_os_error(),
            Self::Adopt(adopt) => adopt.source.as_ref()?.raw_os_error(),
            Self::Program(program) => program.raw_os_error(),
            Self::BadName { .. }
            | Self::BadOption { .. }
            | Self::Missing { .. }
            | Self::Mismatch { .. }
            | Self::Unsupported { .. } => None,
        }
    }
}

impl DetachError {
    /// The errno of the system call that failed; `None` where none did.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Request { source, .. } => source.raw_os_error(),
            Self::Program(program) => program.raw_os_error(),
        }
    }
}

impl ProgramError {
    fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Spawn { source, .. } | Self::Wait { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Wraps `error`, whose text says more than its errno; the kind is the errno's, where there is one.
pub(crate) fn io_error(
    errno: Option<i32>,
    kind: io::ErrorKind,
    error: impl std::error::Error + Send + Sync + 'static,
) -> io::Error {
    let kind = errno.map_or(kind, |errno| io::Error::from_raw_os_error(errno).kind());
    io::Error::new(kind, error)
}

/// Keeps the whole error, with its text: the kind is that of the errno, and the errno itself is had from the error within.
///
/// ```
/// use tap_plumb::{AttachError, Config};
///
/// let error = std::io::Error::from(Config::new().attach_queues(0).unwrap_err());
/// assert_eq!(error.to_string(), "option queues: at least 1 is needed");
/// let within = error.get_ref().and_then(|within| within.downcast_ref::<AttachError>());
/// assert_eq!(within.and_then(AttachError::raw_os_error), None, "nothing was asked of the system");
/// ```
impl From<AttachError> for io::Error {
    fn from(error: AttachError) -> Self {
        let kind = match &error {
            AttachError::Unsupported { .. } => io::ErrorKind::Unsupported,
            AttachError::Missing { .. } => io::ErrorKind::NotFound,
            AttachError::Program(_) | AttachError::Mismatch { .. } => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidInput,
        };
        io_error(error.raw_os_error(), kind, error)
    }
}

/// As that of an [`AttachError`].
impl From<DetachError> for io::Error {
    fn from(error: DetachError) -> Self {
        io_error(error.raw_os_error(), io::ErrorKind::Other, error)
    }
}

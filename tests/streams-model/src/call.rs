//! A system call as it reaches the kernel, and how it can end.
//!
//! The trace shows every call as a decoded line, and what looked wrong about it.

use std::fmt;

use crate::abi::Errno;

pub use crate::kernel::files::Place;
pub use crate::kernel::interface::Family;

/// A system call with its raw arguments: descriptors, numbers, and addresses in the caller's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of the system call of that name")]
pub enum Call {
    Open { path: u64, flags: i32, place: Place },
    Socket { family: Family, close_on_exec: bool, place: Place },
    Close { fd: i32 },
    Dup { fd: i32, close_on_exec: bool, place: Place },
    Fcntl { fd: i32, command: i32, argument: i64 },
    Ioctl { fd: i32, request: u32, argument: u64 },
    Read { fd: i32, buffer: u64, length: u64 },
    Readv { fd: i32, vector: u64, count: i32 },
    Write { fd: i32, buffer: u64, length: u64 },
    Writev { fd: i32, vector: u64, count: i32 },
    Getmsg { fd: i32, control: u64, data: u64, flags: u64 },
    Putmsg { fd: i32, control: u64, data: u64, flags: i32 },
    Poll { fds: u64, count: u64 },
}

/// An operation that sleeps in the kernel; what the caller uses to ask for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(crate) u32);

/// An operation that never returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hang {
    /// Whether a signal ends the wait, with `EINTR`.
    pub interruptible: bool,
    /// What it waits for.
    pub reason: &'static str,
    /// For [`crate::Kernel::signal`], when the wait is interruptible.
    pub ticket: Option<Ticket>,
}

/// How a system call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this value.
    Done(i64),
    /// It returned -1 with this error number.
    Failed(Errno),
    /// It sleeps until something arrives: repeat it when the stream has changed.
    WouldBlock,
    /// It sleeps in the kernel until the driver is served; only when service is held, see [`crate::Service`].
    Asleep(Ticket),
    /// It never returns.
    Hang(Hang),
}

impl Outcome {
    /// The value a caller in C sees, with the error number.
    ///
    /// # Errors
    /// The error number of a call that failed; `EINTR` stands for one that did not return.
    pub fn result(&self) -> Result<i64, Errno> {
        match self {
            Self::Done(value) => Ok(*value),
            Self::Failed(errno) => Err(*errno),
            Self::WouldBlock | Self::Asleep(_) | Self::Hang(_) => Err(Errno::EINTR),
        }
    }

    /// Whether it never returned.
    pub fn hung(&self) -> bool {
        matches!(self, Self::Hang(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(value) => write!(f, "{value}"),
            Self::Failed(errno) => write!(f, "-1 {errno}"),
            Self::WouldBlock => f.write_str("? (sleeps)"),
            Self::Asleep(_) => f.write_str("? (sleeps in the kernel)"),
            Self::Hang(hang) => write!(f, "? (never returns: {})", hang.reason),
        }
    }
}

/// Why an operation inside the kernel does not give a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Errno(Errno),
    Block,
    Asleep(Ticket),
    Hang(Hang),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// What operations inside the kernel return.
pub(crate) type Sys<T = i64> = Result<T, Stop>;

impl From<Sys> for Outcome {
    fn from(result: Sys) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(Stop::Errno(errno)) => Self::Failed(errno),
            Err(Stop::Block) => Self::WouldBlock,
            Err(Stop::Asleep(ticket)) => Self::Asleep(ticket),
            Err(Stop::Hang(hang)) => Self::Hang(hang),
        }
    }
}

/// One system call, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counted from 1 over all calls.
    pub number: usize,
    /// `open`, `close`, `read`, ..., or the request of an ioctl: `I_STR`, `I_LINK`, `SIOCSLIFNAME`, ...
    pub operation: String,
    /// The request inside an `I_STR`, the path of an open, the module of a push: what the operation is about.
    pub subject: Option<String>,
    /// The descriptor the call was made on.
    pub fd: Option<i32>,
    /// The arguments between the parentheses of the line.
    pub arguments: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the fault plan made it end so.
    pub injected: bool,
}

impl Record {
    /// Whether it is this operation.
    pub fn is(&self, operation: &str) -> bool {
        self.operation == operation
    }

    /// Whether it is this operation about this subject: `("I_STR", "TUNNEWPPA")`, `("open", "/dev/tap")`.
    pub fn is_about(&self, operation: &str, subject: &str) -> bool {
        self.is(operation) && self.subject.as_deref() == Some(subject)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}) = {}", self.operation, self.arguments, self.outcome)
    }
}

/// A violation of an invariant that the real machine would bear, or bear with luck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Which invariant: 2 close-on-exec, 5 unlinking, 6 strioctl, 7 order of closing, 8 the use of a data link.
    pub invariant: u8,
    /// The number of the call.
    pub call: usize,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}, call {}: {}", self.invariant, self.call, self.what)
    }
}

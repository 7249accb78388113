//! One error enum an activity. Each variant names the step and its object and keeps the errno as `source`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use thiserror::Error;

use crate::reject::RejectReason;

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
    #[error("there is no interface {name}; make it first, or do not demand that it exists")]
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
    #[error("{what} is {found} where {wanted} was set")]
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
    /// This operating system, or this build of it, has no such thing.
    #[error("{what} is not supported on this operating system")]
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
    #[error("cannot run {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Its output or its end could not be read.
    #[error("waiting for {}: {source}", program.display())]
    Wait {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It ended with a status other than 0.
    #[error("{} ended with status {status}", program.display())]
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
    #[error("{} did not end within {seconds} s and was stopped", program.display())]
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

/// Says why a frame was not sent, or not all of it.
///
/// `sent` counts the segments of an oversized frame that the host took before the refusal; it is 0 for a frame
/// that goes out whole. `Transmitter::resume` sends the rest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransmitError {
    /// The device is full (`EAGAIN`); nothing of the refused segment was taken. Poll for writability, then resume.
    #[error("the device is full")]
    WouldBlock {
        /// Segments already taken.
        sent: u32,
    },
    /// The host is out of buffers (`ENOBUFS`, `ENOMEM`, `ENOSR`).
    #[error("the host has no buffer space")]
    NoBufferSpace {
        /// Segments already taken.
        sent: u32,
    },
    /// The guest's link is down; the frame was dropped and counted.
    #[error("the guest's link is down")]
    LinkDown,
    /// The host's interface is administratively down; the frame was not taken.
    #[error("the host's interface is down")]
    InterfaceDown {
        /// Segments already taken.
        sent: u32,
    },
    /// The frame or its segmentation context is malformed; it was dropped and counted.
    #[error("frame rejected: {0}")]
    Rejected(#[from] RejectReason),
    /// The frame is shorter than the host can carry; it was dropped and counted.
    #[error("a frame of {len} bytes is below the host's minimum of {limit}")]
    Runt {
        /// The frame's length in bytes, with the Ethernet header and without FCS.
        len: usize,
        /// The shortest frame the host takes, counted likewise.
        limit: usize,
    },
    /// The frame is longer than the host can carry; it was dropped and counted.
    #[error("a frame of {len} bytes exceeds the host's limit of {limit}")]
    Oversize {
        /// The frame's length in bytes, with the Ethernet header and without FCS.
        len: usize,
        /// The longest frame the host takes, counted likewise.
        limit: usize,
    },
    /// The frame is scattered over more slices than one system call takes (`sysconf(_SC_IOV_MAX)`).
    #[error("{slices} slices exceed the host's limit of {limit}")]
    TooManySlices {
        /// Slices given, the crate's own included.
        slices: usize,
        /// The host's limit.
        limit: usize,
    },
    /// Memory for a transmit buffer could not be had.
    #[error("no memory for a transmit buffer of {len} bytes")]
    OutOfMemory {
        /// Bytes asked for.
        len: usize,
    },
    /// This host, or this build, cannot do that.
    #[error("{what} is not supported here")]
    Unsupported {
        /// The thing asked for.
        what: &'static str,
    },
    /// The interface was removed. The state is final until the backend is re-attached.
    #[error("the interface is gone")]
    Gone,
    /// The kernel answered something that none of the above explains; the frame was dropped and counted.
    #[error("write: {source}")]
    Io {
        /// Segments already taken.
        sent: u32,
        /// The system's answer.
        source: io::Error,
    },
}

/// Says why no frame could be received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The frame was longer than the buffer; it was consumed and counted, and nothing of it is delivered.
    #[error("a frame longer than {room} bytes was dropped")]
    Truncated {
        /// The buffer's size in bytes.
        room: usize,
    },
    /// The frame was shorter than an Ethernet header; it was consumed and counted.
    #[error("a frame of {len} bytes was dropped")]
    Runt {
        /// The frame's length in bytes.
        len: usize,
    },
    /// The kernel's virtio-net header was malformed; the frame was consumed and counted.
    #[error("received frame rejected: {0}")]
    Rejected(#[from] RejectReason),
    /// More slices than one system call takes (`sysconf(_SC_IOV_MAX)`).
    #[error("{slices} slices exceed the host's limit of {limit}")]
    TooManySlices {
        /// Slices given, the crate's own included.
        slices: usize,
        /// The host's limit.
        limit: usize,
    },
    /// The interface was removed. The state is final until the backend is re-attached.
    #[error("the interface is gone")]
    Gone,
    /// This host, or this build, cannot do that.
    #[error("{what} is not supported here")]
    Unsupported {
        /// The thing asked for.
        what: &'static str,
    },
    /// The kernel answered something else.
    #[error("read: {source}")]
    Io {
        /// The system's answer.
        source: io::Error,
    },
}

/// Says why the threads could not do what was asked of them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ThreadsError {
    /// A thread, or the pipe that wakes it, could not be had.
    #[error("starting a thread: {source}")]
    Start {
        /// The system's answer.
        source: io::Error,
    },
    /// Other threads drive the backend; stop them first.
    #[error("other threads drive this backend already")]
    AlreadyDriven,
    /// A callback of the frontend held a thread too long.
    #[error("a callback of the frontend does not return")]
    Timeout,
    /// A callback of the frontend panicked; both threads have ended.
    #[error("the frontend panicked on the {thread} thread")]
    Panicked {
        /// `receive` or `transmit`.
        thread: &'static str,
    },
}

fn hint(remedy: &str) -> String {
    if remedy.is_empty() { String::new() } else { format!("; {remedy}") }
}

fn holder_text(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(" by {holder}") }
}

fn fd_number(fd: &OwnedFd) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(fd)
}

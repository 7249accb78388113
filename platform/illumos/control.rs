//! The control stream: the one that makes the device, and then carries its frames.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use super::abi::{I_SRDOPT, RMSGD, TUNGETPPA, TUNNEWPPA};
use super::name::{Ppa, TapName};
use super::{refusal, streams};
use crate::attach::AttachError;

/// The tap driver's node. Each open is a new stream.
pub(super) const TAP: &str = "/dev/tap";

/// How long to wait before a taken device is asked for again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Makes the driver ask for any free number.
const ANY: i32 = -1;

/// Opens a stream of the driver.
pub(super) fn open() -> Result<OwnedFd, AttachError> {
    streams::open(TAP).map_err(refusal::open(TAP))
}

/// Opens a control stream for the device of the interface `wanted`, or for any, and waits while another one has it.
pub(super) fn open_device(
    wanted: Option<TapName>,
    patience: Duration,
) -> Result<(OwnedFd, Ppa), AttachError> {
    // If the patience ends later than the clock can express, there is no deadline.
    let deadline = Instant::now().checked_add(patience);
    loop {
        // A stream gets one attempt: a second device on it would leak the first until the machine reboots.
        let control = open()?;
        match become_control(control.as_fd(), wanted) {
            Ok(ppa) => return Ok((control, ppa)),
            Err(AttachError::Busy { .. }) if deadline.is_none_or(|end| Instant::now() < end) => {
                drop(control);
                sleep(RETRY_INTERVAL);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes a stream on which nothing was done yet the control stream of a device, and sets what the frames' descriptor
/// promises.
fn become_control(stream: BorrowedFd<'_>, wanted: Option<TapName>) -> Result<Ppa, AttachError> {
    let ppa = make_device(stream, wanted)?;
    prepare(stream)?;
    Ok(ppa)
}

/// Sets what the frames' descriptor promises: a message a read, and that none waits.
pub(super) fn prepare(stream: BorrowedFd<'_>) -> Result<(), AttachError> {
    // As it was opened, a stream is a byte stream: one read would run frames together.
    streams::set_read_options(stream, RMSGD).map_err(refusal::of(I_SRDOPT, TAP))?;
    set_non_blocking(stream)
}

/// Adds `O_NONBLOCK` to the status flags.
fn set_non_blocking(stream: BorrowedFd<'_>) -> Result<(), AttachError> {
    let flags = streams::status_flags(stream).map_err(refusal::request("fcntl F_GETFL", TAP))?;
    streams::set_status_flags(stream, flags | OFlag::O_NONBLOCK)
        .map_err(refusal::request("fcntl F_SETFL", TAP))
}

/// Why a stream that somebody else made a control stream has no name here.
const NO_NUMBER: &str =
    "asking which device a tap stream has (version 1.3.3 of the tap driver does not tell)";

/// The device of a control stream. `ENODEV` when it has none; a version of the driver that does not tell is `Unsupported`.
pub(super) fn ppa_of(stream: BorrowedFd<'_>) -> Result<Ppa, AttachError> {
    let number = streams::ask_driver(stream, TUNGETPPA, 0).map_err(|source| {
        if is_older_driver(&source) {
            return AttachError::Unsupported { what: NO_NUMBER };
        }
        refusal::of(TUNGETPPA, TAP)(source)
    })?;
    Ppa::new(number).ok_or_else(|| refusal::mismatch("TUNGETPPA on /dev/tap: the PPA", "0 to 19", number))
}

/// Is a refusal of `TUNGETPPA` that of a driver which does not know it?
pub(super) fn is_older_driver(refusal: &io::Error) -> bool {
    refusal::is(refusal, libc::EINVAL)
}

/// `TUNNEWPPA`, once in the life of a stream.
pub(super) fn make_device(stream: BorrowedFd<'_>, wanted: Option<TapName>) -> Result<Ppa, AttachError> {
    let asked = wanted.map_or(ANY, |name| name.ppa().number().into());
    let number = streams::ask_driver(stream, TUNNEWPPA, asked).map_err(|source| refused(wanted, source))?;
    let ppa = Ppa::new(number).filter(|ppa| wanted.is_none_or(|name| name.ppa() == *ppa));
    ppa.ok_or_else(|| {
        let range = wanted.map_or("0 to 19".into(), |name| name.ppa().to_string());
        refusal::mismatch("TUNNEWPPA on /dev/tap: the PPA", range, number)
    })
}

fn refused(wanted: Option<TapName>, source: io::Error) -> AttachError {
    match wanted {
        Some(name) if refusal::is(&source, libc::EEXIST) => {
            let holder = format!("another control stream of {TAP} (TUNNEWPPA {})", name.ppa());
            AttachError::Busy { name: name.to_string(), holder, source }
        }
        Some(name) => refusal::of(TUNNEWPPA, format!("{TAP} for {name}"))(source),
        None => refusal::of(TUNNEWPPA, TAP)(source),
    }
}

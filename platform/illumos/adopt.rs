//! Streams that somebody else opened: the control stream of a TAP, and a data link's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::tap::Refusal;
use super::abi::{RMSGD, TUNGETPPA};
use super::held::Held;
use super::interface::Interface as TapInterface;
use super::kinds::Interface;
use super::{control, datalink, refusal, streams};
use crate::attach::{AdoptError, Config};

/// What can be adopted.
enum Found {
    /// The control stream of a device, whoever plumbs IP over it. The driver has no offload to grant.
    Control,
    /// A stream of a data link.
    Link,
}

/// Adopts a stream. Anything else than what can carry a guest's frames is refused with what it is.
pub(super) fn adopt(fd: OwnedFd, config: &Config) -> Result<Interface, AdoptError> {
    match recognise(fd.as_fd()) {
        Ok(Found::Control) => Ok(Interface::Tap(TapInterface::of_stream(fd, Held::default(), false))),
        Ok(Found::Link) => datalink::adopt(fd, config).map(|link| Interface::Datalink(Box::new(link))),
        Err(refusal) => Err(refusal.give_back(fd)),
    }
}

const WANTED: &str = "the control stream of a TAP, or a bound stream of a data link, is needed";

fn refuse(found: impl Into<String>, remedy: &'static str, source: Option<io::Error>) -> Refusal {
    Refusal { found: found.into(), remedy, source }
}

/// The driver's name comes first: what answers `TUNGETPPA` may still be a TUN, or a stream of IP.
fn recognise(fd: BorrowedFd<'_>) -> Result<Found, Refusal> {
    let names = streams::list(fd).map_err(not_a_stream)?;
    let found = match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tap"] => return recognise_control(fd).and_then(|()| set_read_mode(fd)).map(|()| Found::Control),
        [module, .., "tap"] => format!("a tap stream with the module {module} above the driver"),
        [.., "tun"] => {
            return Err(refuse("a TUN, whose packets have no Ethernet header", "open /dev/tap", None));
        }
        [_] | ["bufmod", _] if datalink::is_one(fd) => return Ok(Found::Link),
        [.., driver] => format!("a stream of the driver {driver}"),
        [] => "a stream without a driver".to_owned(),
    };
    Err(refuse(found, WANTED, None))
}

fn recognise_control(fd: BorrowedFd<'_>) -> Result<(), Refusal> {
    match streams::ask_driver(fd, TUNGETPPA, 0) {
        Ok(_) => Ok(()),
        // Whether there is a device cannot be told then; without one, the stream carries no frame either way.
        Err(error) if control::is_older_driver(&error) => Ok(()),
        Err(error) if refusal::is(&error, libc::ENODEV) => {
            Err(refuse("a tap stream without a device", "make one with TUNNEWPPA first", Some(error)))
        }
        Err(error) => Err(refuse("a tap stream whose driver refuses TUNGETPPA", "", Some(error))),
    }
}

/// `I_LIST` is refused by what is no stream, and by a stream that is linked below a multiplexor.
fn not_a_stream(error: io::Error) -> Refusal {
    let found = match error.raw_os_error() {
        Some(libc::EINVAL) => "a stream that is linked below a multiplexor",
        // `/dev/null` and `/dev/zero` answer so, too.
        Some(libc::ENXIO) => "a device that is no stream, or a stream that was hung up",
        Some(libc::EIO | libc::ENOSR) => "a stream that has failed",
        _ => "a device that is no stream",
    };
    refuse(found, WANTED, Some(error))
}

fn set_read_mode(fd: BorrowedFd<'_>) -> Result<(), Refusal> {
    let refused = |error| refuse("a tap stream that refuses I_SRDOPT", "", Some(error));
    streams::set_read_options(fd, RMSGD).map_err(refused)
}

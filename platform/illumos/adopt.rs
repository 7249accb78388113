//! Control streams that somebody else opened.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::abi::{RMSGD, TUNGETPPA};
use super::{LIMITS, control, refusal, streams};
use crate::error::AdoptError;
use crate::offload::Offload;
use crate::platform::tap::Attached;

/// Adopts the control stream of a device, whoever plumbs IP over it. Anything else is refused with what it is.
pub(crate) fn adopt(fd: OwnedFd, _offload: &Offload) -> Result<Attached, AdoptError> {
    match recognise(fd.as_fd()).and_then(|()| set_read_mode(fd.as_fd())) {
        Ok(()) => {
            Ok(Attached { plumbing: None, fd, offload: Offload::NONE, limits: LIMITS, multi_queue: false })
        }
        Err(Finding { found, remedy, source }) => Err(AdoptError { fd, found, remedy, source }),
    }
}

/// What a descriptor is, when it is no TAP.
struct Finding {
    found: String,
    remedy: &'static str,
    source: Option<io::Error>,
}

impl Finding {
    fn new(found: impl Into<String>, remedy: &'static str, source: Option<io::Error>) -> Self {
        Self { found: found.into(), remedy, source }
    }
}

/// The driver's name comes first: what answers `TUNGETPPA` may still be a TUN, or a stream of IP.
fn recognise(fd: BorrowedFd<'_>) -> Result<(), Finding> {
    let names = streams::list(fd).map_err(not_a_stream)?;
    let found = match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tap"] => return recognise_control(fd),
        [module, .., "tap"] => format!("a tap stream with the module {module} above the driver"),
        [.., "tun"] => {
            return Err(Finding::new("a TUN, whose packets have no Ethernet header", "open /dev/tap", None));
        }
        [.., driver] => format!("a stream of the driver {driver}"),
        [] => "a stream without a driver".to_owned(),
    };
    Err(Finding::new(found, "the control stream of a TAP is needed", None))
}

fn recognise_control(fd: BorrowedFd<'_>) -> Result<(), Finding> {
    match streams::ask_driver(fd, TUNGETPPA, 0) {
        Ok(_) => Ok(()),
        // Whether there is a device cannot be told then; without one, the stream carries no frame either way.
        Err(error) if control::is_older_driver(&error) => Ok(()),
        Err(error) if refusal::is(&error, libc::ENODEV) => {
            Err(Finding::new("a tap stream without a device", "make one with TUNNEWPPA first", Some(error)))
        }
        Err(error) => Err(Finding::new("a tap stream whose driver refuses TUNGETPPA", "", Some(error))),
    }
}

/// `I_LIST` is refused by what is no stream, and by a stream that is linked below a multiplexor.
fn not_a_stream(error: io::Error) -> Finding {
    let found = match error.raw_os_error() {
        Some(libc::EINVAL) => "a stream that is linked below a multiplexor",
        // `/dev/null` and `/dev/zero` answer so, too.
        Some(libc::ENXIO) => "a device that is no stream, or a stream that was hung up",
        Some(libc::EIO | libc::ENOSR) => "a stream that has failed",
        _ => "a device that is no stream",
    };
    Finding::new(found, "the control stream of a TAP is needed", Some(error))
}

fn set_read_mode(fd: BorrowedFd<'_>) -> Result<(), Finding> {
    let refused = |error| Finding::new("a tap stream that refuses I_SRDOPT", "", Some(error));
    streams::set_read_options(fd, RMSGD).map_err(refused)
}

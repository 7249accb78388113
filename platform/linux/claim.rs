//! `TUNSETIFF`: binding a descriptor to an interface, and saying why it was refused.

use std::io;
use std::os::fd::BorrowedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::inspect::{EXCLUSIVE, MULTI_QUEUE};
use super::interface::Interface;
use super::ioctl;
use super::request::Request;
use super::{busy, node};
use crate::attach::error::AttachError;

/// The kernel lets go of a killed owner's interface some milliseconds later; this is the first wait, each next one doubles.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(16);

/// Binds `fd` to the interface `name` (empty: the kernel's choice), which is made when there is none. A busy one is asked
/// for again until `timeout` is over.
pub(super) fn claim(
    fd: BorrowedFd<'_>,
    name: &[u8],
    flags: u16,
    timeout: Duration,
) -> Result<(), AttachError> {
    let request = Request::about(name).with_flags(flags);
    let start = Instant::now();
    let mut wait = FIRST_WAIT;
    loop {
        match ioctl::SET_IFF.call(fd, request) {
            Ok(_) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && start.elapsed() < timeout => {
                sleep(wait.min(timeout.saturating_sub(start.elapsed())));
                wait = LONGEST_WAIT.min(wait * 2);
            }
            Err(error) => return Err(explain(error, name, flags)),
        }
    }
}

fn explain(source: io::Error, name: &[u8], flags: u16) -> AttachError {
    let text = String::from_utf8_lossy(name).into_owned();
    match source.raw_os_error() {
        Some(libc::EBUSY) if flags & EXCLUSIVE != 0 => AttachError::Exists { name: text, source },
        Some(libc::EBUSY) => AttachError::Busy { holder: busy::holders(name), name: text, source },
        Some(libc::EINVAL) => wrong_kind(source, name, text, flags),
        Some(libc::ENOTTY) => no_node(source),
        errno => AttachError::Request { request: "TUNSETIFF", object: text, remedy: remedy(errno), source },
    }
}

/// Something else stands where the node should be.
fn no_node(source: io::Error) -> AttachError {
    AttachError::WrongKind {
        name: node::PATH.to_owned(),
        found: "not the device node of the TUN driver",
        remedy: "make it anew: `mknod /dev/net/tun c 10 200`",
        source: Some(source),
    }
}

fn remedy(errno: Option<i32>) -> &'static str {
    match errno {
        Some(libc::EPERM) => {
            "CAP_NET_ADMIN in this network namespace is needed, or a persistent TAP made for this user: \
             `ip tuntap add NAME mode tap user USER`"
        }
        Some(libc::E2BIG) => "the interface has as many queues as the kernel allows",
        _ => "",
    }
}

/// EINVAL has several causes that only the interface itself tells apart.
fn wrong_kind(source: io::Error, name: &[u8], text: String, flags: u16) -> AttachError {
    let driver = Interface::named(name).and_then(|interface| interface.driver());
    let (found, remedy) = match driver.as_ref().map(|(driver, bus)| (driver.as_str(), bus.as_str())) {
        Ok(("tun", "tap")) if flags & MULTI_QUEUE != 0 => (
            "a TAP with a single queue",
            "ask for one queue, or make it with `ip tuntap add NAME mode tap multi_queue`",
        ),
        Ok(("tun", "tap")) => {
            ("a TAP with several queues", "ask for two queues or more, or make it without `multi_queue`")
        }
        Ok(("tun", _)) => {
            ("a TUN device, which carries IP packets", "make it with `ip tuntap add NAME mode tap`")
        }
        Ok(_) => ("an interface of another kind, no TAP", "choose another name"),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            ("an interface of another kind, no TAP", "choose another name")
        }
        Err(_) => return AttachError::Request { request: "TUNSETIFF", object: text, remedy: "", source },
    };
    AttachError::WrongKind { name: text, found, remedy, source: Some(source) }
}

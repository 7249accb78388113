//! Whether an interface is in the network namespace of the calling thread.
//!
//! A descriptor keeps working when its interface is moved to another namespace, but a request by name would then reach
//! nobody, or an unrelated interface of the same name.

use std::io;
use std::os::fd::BorrowedFd;

use nix::sys::stat::{fstat, stat};

use super::interface::Interface;
use super::ioctl;
use super::request::Request;

/// Tells whether `interface`, found by the name of the device behind `fd`, is that device.
pub(super) fn is_here(fd: BorrowedFd<'_>, interface: &Interface) -> io::Result<bool> {
    match ioctl::device_namespace(fd) {
        Ok(namespace) => {
            let (theirs, ours) = (fstat(&namespace)?, stat("/proc/thread-self/ns/net")?);
            Ok((theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino))
        }
        // Without CAP_NET_ADMIN over that namespace, on a macvtap and before Linux 5.10 nobody tells; then equal hardware
        // addresses must do.
        Err(_) => {
            let device = ioctl::GET_MAC.call(fd, Request::EMPTY)?;
            Ok(interface.ask(ioctl::GET_MAC).is_ok_and(|named| named.mac() == device.mac()))
        }
    }
}

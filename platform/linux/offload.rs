//! `TUNSETOFFLOAD`: which unfinished frames the kernel may hand to the guest.

use std::ffi::c_uint;
use std::io;
use std::os::fd::BorrowedFd;

use log::debug;

use super::{Plumbing, ioctl};
use crate::wire::Offload;

/// The steps of the ladder, each on top of what it needs: kernels differ in which they have.
const LADDER: [(c_uint, &str); 5] = [
    (libc::TUN_F_CSUM, "checksum"),
    (libc::TUN_F_TSO4, "TCP over IPv4"),
    (libc::TUN_F_TSO6, "TCP over IPv6"),
    (libc::TUN_F_TSO_ECN, "TCP with ECN"),
    // The kernel takes one of these only with the other.
    (libc::TUN_F_USO4 | libc::TUN_F_USO6, "UDP"),
];

/// Sets what can be had of `wanted`, and returns what that was. Without a header nothing can: the kernel would set it all
/// the same, and then hand over unfinished frames with nothing to tell them by.
pub(crate) fn set_offload(fd: BorrowedFd<'_>, _: Option<&Plumbing>, wanted: Offload) -> io::Result<Offload> {
    let wanted = if wanted.header_len == 0 { Offload::NONE } else { wanted };
    match ioctl::SET_OFFLOAD.call(fd, bits(wanted)) {
        Ok(()) => Ok(wanted),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL) => climb(fd, wanted),
            // A socket: what its peer sends is between the peer and the caller.
            Some(libc::ENOTTY | libc::EOPNOTSUPP) => Ok(wanted),
            _ => Err(error),
        },
    }
}

/// Tries the steps one by one from nothing, and keeps those that the kernel takes.
fn climb(fd: BorrowedFd<'_>, wanted: Offload) -> io::Result<Offload> {
    let mut granted = 0;
    ioctl::SET_OFFLOAD.call(fd, granted)?;
    for (step, name) in LADDER.into_iter().filter(|(step, _)| step & bits(wanted) != 0) {
        match ioctl::SET_OFFLOAD.call(fd, granted | step) {
            Ok(()) => granted |= step,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                debug!("no offload of {name}: {error}")
            }
            Err(error) => return Err(error),
        }
    }
    Ok(of_bits(granted, wanted.header_len))
}

fn bits(offload: Offload) -> c_uint {
    let flags = [offload.checksum, offload.tcp4, offload.tcp6, offload.tcp_ecn, offload.udp];
    let asked = LADDER.iter().zip(flags).filter(|(_, flag)| *flag);
    asked.fold(0, |bits, ((step, _), _)| bits | step)
}

fn of_bits(bits: c_uint, header_len: usize) -> Offload {
    let has = |bit| bits & bit != 0;
    let mut offload = Offload { header_len, ..Offload::NONE };
    offload.checksum = has(libc::TUN_F_CSUM);
    offload.tcp4 = has(libc::TUN_F_TSO4);
    offload.tcp6 = has(libc::TUN_F_TSO6);
    offload.tcp_ecn = has(libc::TUN_F_TSO_ECN);
    offload.udp = has(libc::TUN_F_USO4);
    offload
}

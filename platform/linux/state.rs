//! What an interface or a descriptor remembers from its last owner, set anew on every attach.
//!
//! A persistent TAP keeps its header length, byte order, offloads and filters when its descriptor is closed; an inherited
//! descriptor keeps everything.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::BorrowedFd;

use log::debug;

use super::ioctl::{self, IntCall};
use crate::wire::Offload;

/// A request that failed, or (`read_back`) was accepted without effect.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) request: &'static str,
    pub(super) cause: Cause,
}

#[derive(Debug)]
pub(super) enum Cause {
    Refused(io::Error),
    ReadBack { wanted: usize, found: usize },
}

fn refused(request: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |source| Failure { request, cause: Cause::Refused(source) }
}

/// Sets header length, byte order, offloads, send buffer and carrier. Returns the offloads that are in force.
pub(super) fn reset(fd: BorrowedFd<'_>, wanted: Offload) -> Result<Offload, Failure> {
    if wanted.header_len > 0 {
        set_header_len(fd, wanted.header_len)?;
        // Headers are little-endian, as virtio 1 has them, whatever the host is.
        ioctl::SET_LITTLE_ENDIAN.set(fd, 1).map_err(refused("TUNSETVNETLE"))?;
    }
    let granted = set_offload(fd, wanted).map_err(refused("TUNSETOFFLOAD"))?;
    // A smaller one makes a slow peer of one guest stall this one, and costs the kernel's fast path.
    ioctl::SET_SEND_BUFFER.set(fd, c_int::MAX).map_err(refused("TUNSETSNDBUF"))?;
    optional(ioctl::SET_CARRIER, fd, 1).map_err(refused("TUNSETCARRIER"))?;
    Ok(granted)
}

/// Takes away the filters that an earlier owner may have left: each of them makes frames vanish without a trace.
pub(super) fn clear_filters(fd: BorrowedFd<'_>) -> Result<(), Failure> {
    ioctl::DETACH_FILTER.call(fd, 0).map_err(refused("TUNDETACHFILTER"))?;
    optional(ioctl::SET_ADDRESS_FILTER, fd, 0).map_err(refused("TUNSETTXFILTER"))?;
    optional(ioctl::SET_PROGRAM_FILTER, fd, -1).map_err(refused("TUNSETFILTEREBPF"))
}

fn set_header_len(fd: BorrowedFd<'_>, wanted: usize) -> Result<(), Failure> {
    let len = c_int::try_from(wanted).unwrap_or(c_int::MAX);
    ioctl::SET_HEADER_LEN.set(fd, len).map_err(refused("TUNSETVNETHDRSZ"))?;
    let found = header_len(fd)?;
    if found == wanted {
        Ok(())
    } else {
        Err(Failure { request: "TUNSETVNETHDRSZ", cause: Cause::ReadBack { wanted, found } })
    }
}

pub(super) fn header_len(fd: BorrowedFd<'_>) -> Result<usize, Failure> {
    let len = ioctl::GET_HEADER_LEN.get(fd).map_err(refused("TUNGETVNETHDRSZ"))?;
    usize::try_from(len).map_err(|_| refused("TUNGETVNETHDRSZ")(io::ErrorKind::InvalidData.into()))
}

/// Makes a request that older kernels, and macvtaps, do not have: there is nothing to reset then.
fn optional(call: IntCall, fd: BorrowedFd<'_>, value: c_int) -> io::Result<()> {
    match call.set(fd, value) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}

/// Shows the host whether a cable is plugged in (`TUNSETCARRIER`).
pub(super) fn set_carrier(fd: BorrowedFd<'_>, carrier: bool) -> io::Result<()> {
    ioctl::SET_CARRIER.set(fd, carrier.into()).map_err(|error| match error.raw_os_error() {
        // A macvtap, a kernel before 5.0, a socket.
        Some(libc::EINVAL | libc::ENOTTY) => io::ErrorKind::Unsupported.into(),
        _ => error,
    })
}

/// The steps of the ladder of `TUNSETOFFLOAD`, each on top of what it needs: kernels differ in which they have.
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
pub(super) fn set_offload(fd: BorrowedFd<'_>, wanted: Offload) -> io::Result<Offload> {
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

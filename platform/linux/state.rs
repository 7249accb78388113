//! What an interface or a descriptor remembers from its last owner, set anew on every attach.
//!
//! A persistent TAP keeps its header length, byte order, offloads and filters when its descriptor is closed; an inherited
//! descriptor keeps everything.

use std::ffi::c_int;
use std::io;
use std::os::fd::BorrowedFd;

use super::ioctl::{self, IntCall};
use super::offload::set_offload;
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
    let granted = set_offload(fd, None, wanted).map_err(refused("TUNSETOFFLOAD"))?;
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

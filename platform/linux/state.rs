//! What an interface or a descriptor remembers from its last owner, set anew on every attach.
//!
//! A persistent TAP keeps its header length, byte order, offloads and filters when its descriptor is closed; an inherited
//! descriptor keeps everything.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::BorrowedFd;

use log::debug;

use super::super::tap::HostCan;
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

/// What a TAP is at the end of an attach.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) granted: Offload,
    pub(super) host_can: HostCan,
}

/// Sets the state of a TAP that nobody had before. All other state of such a TAP is right already.
pub(super) fn of_fresh(fd: BorrowedFd<'_>, wanted: Offload) -> Result<State, Failure> {
    if wanted.header_len == 0 {
        return Ok(State { granted: Offload::NONE, host_can: HostCan::NOTHING });
    }
    let len = c_int::try_from(wanted.header_len).unwrap_or(c_int::MAX);
    ioctl::SET_HEADER_LEN.set(fd, len).map_err(refused("TUNSETVNETHDRSZ"))?;
    if cfg!(target_endian = "big") {
        ioctl::SET_LITTLE_ENDIAN.set(fd, 1).map_err(refused("TUNSETVNETLE"))?;
    }
    ask_and_set(fd, wanted).map_err(refused("TUNSETOFFLOAD"))
}

/// Sets header length, byte order, offloads, send buffer and carrier anew, whatever an earlier owner left.
pub(super) fn reset(fd: BorrowedFd<'_>, wanted: Offload) -> Result<State, Failure> {
    if wanted.header_len > 0 {
        set_header_len(fd, wanted.header_len)?;
        // Headers are little-endian, as virtio 1 has them, whatever the host is.
        ioctl::SET_LITTLE_ENDIAN.set(fd, 1).map_err(refused("TUNSETVNETLE"))?;
    }
    let state = ask_and_set(fd, wanted).map_err(refused("TUNSETOFFLOAD"))?;
    // With a smaller send buffer, one slow receiver of the guest's frames holds up all of them, and the kernel leaves its
    // fast path.
    ioctl::SET_SEND_BUFFER.set(fd, c_int::MAX).map_err(refused("TUNSETSNDBUF"))?;
    optional(ioctl::SET_CARRIER, fd, 1).map_err(refused("TUNSETCARRIER"))?;
    Ok(state)
}

/// Leaves everything as it is but the header's length. Nothing tells which offloads are set, so the caller is believed. Only
/// setting an offload shows whether the kernel can cut such frames. So the crate counts only on what every kernel can cut.
pub(super) fn keep(fd: BorrowedFd<'_>, said: Offload) -> Result<State, Failure> {
    if said.header_len == 0 {
        return Ok(State { granted: Offload::NONE, host_can: HostCan::NOTHING });
    }
    if header_len(fd)? != said.header_len {
        set_header_len(fd, said.header_len)?;
    }
    Ok(State { granted: said, host_can: HostCan { udp: false, ..HostCan::EVERYTHING } })
}

/// Takes away the filters that an earlier owner may have left: each of them makes frames vanish without a trace.
pub(super) fn clear_filters(fd: BorrowedFd<'_>) -> Result<(), Failure> {
    ioctl::DETACH_FILTER.call(fd, 0).map_err(refused("TUNDETACHFILTER"))?;
    optional(ioctl::SET_ADDRESS_FILTER, fd, 0).map_err(refused("TUNSETTXFILTER"))?;
    optional(ioctl::SET_PROGRAM_FILTER, fd, -1).map_err(refused("TUNSETFILTEREBPF"))
}

pub(super) fn set_header_len(fd: BorrowedFd<'_>, wanted: usize) -> Result<(), Failure> {
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

/// The offloads of `TUNSETOFFLOAD` as steps, each after the steps that it needs. Kernels differ in which steps they know.
const LADDER: [(c_uint, &str); 5] = [
    (libc::TUN_F_CSUM, "checksum"),
    (libc::TUN_F_TSO4, "TCP over IPv4"),
    (libc::TUN_F_TSO6, "TCP over IPv6"),
    (libc::TUN_F_TSO_ECN, "TCP with ECN"),
    (UDP, "UDP"),
];

/// The kernel takes one of these only with the other.
const UDP: c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// Asks once what the kernel can cut, whatever is wanted, and then sets what is wanted. Where the kernel can cut all and all
/// is wanted, there is no last request. Without a header this function asks nothing. The kernel would set the offloads
/// nevertheless, and then deliver unfinished frames that nobody could recognise.
fn ask_and_set(fd: BorrowedFd<'_>, wanted: Offload) -> io::Result<State> {
    if wanted.header_len == 0 {
        ioctl::SET_OFFLOAD.call(fd, 0)?;
        return Ok(State { granted: Offload::NONE, host_can: HostCan::NOTHING });
    }
    let can = ask(fd)?;
    let set = bits(consistent(wanted)) & can;
    if set != can {
        ioctl::SET_OFFLOAD.call(fd, set)?;
    }
    Ok(State { granted: of_bits(set, wanted.header_len), host_can: host_can(can) })
}

/// Sets all that the kernel can, and returns what that is. Kernels before 6.2 can cut all but UDP.
fn ask(fd: BorrowedFd<'_>) -> io::Result<c_uint> {
    let all = bits(Offload::ALL);
    for likely in [all, all & !UDP] {
        match ioctl::SET_OFFLOAD.call(fd, likely) {
            Ok(()) => return Ok(likely),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    climb(fd, all)
}

/// Changes the offloads of a TAP in use, by one request as a rule, and returns what is set.
pub(super) fn set_offload(fd: BorrowedFd<'_>, asked: Offload, host_can: HostCan) -> io::Result<Offload> {
    if asked.header_len == 0 {
        return Ok(Offload::NONE);
    }
    let mut wanted = consistent(asked);
    wanted.udp &= host_can.udp;
    match ioctl::SET_OFFLOAD.call(fd, bits(wanted)) {
        Ok(()) => Ok(wanted),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL) => Ok(of_bits(climb(fd, bits(wanted))?, wanted.header_len)),
            // A socket: what its peer sends is between the peer and the caller.
            Some(libc::ENOTTY | libc::EOPNOTSUPP) => Ok(asked),
            _ => Err(error),
        },
    }
}

/// Leaves out what depends on something that is not wanted: every kernel refuses it.
fn consistent(mut wanted: Offload) -> Offload {
    wanted.tcp4 &= wanted.checksum;
    wanted.tcp6 &= wanted.checksum;
    wanted.udp &= wanted.checksum;
    wanted.tcp_ecn &= wanted.tcp4 || wanted.tcp6;
    wanted
}

/// Tries the steps one by one from nothing, keeps those that the kernel takes, and returns them.
fn climb(fd: BorrowedFd<'_>, wanted: c_uint) -> io::Result<c_uint> {
    let mut taken = 0;
    ioctl::SET_OFFLOAD.call(fd, taken)?;
    for (step, name) in LADDER.into_iter().filter(|(step, _)| step & wanted != 0) {
        match ioctl::SET_OFFLOAD.call(fd, taken | step) {
            Ok(()) => taken |= step,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                debug!("no offload of {name}: {error}")
            }
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

fn host_can(bits: c_uint) -> HostCan {
    let Offload { tcp4, tcp6, udp, .. } = of_bits(bits, 0);
    HostCan { tcp4, tcp6, udp }
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

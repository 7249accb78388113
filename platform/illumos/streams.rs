//! One safe wrapper a call. Each says which manual page describes it.

// UNSAFETY: ioctl(2), dup3(3C), getmsg(2) and putmsg(2) take pointers and descriptor numbers that only these wrappers know
// to be right.
#![expect(unsafe_code, reason = "these calls have no safe form")]

use std::ffi::{CStr, c_int, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use super::super::tap::descriptors::above_standard_streams;
use super::abi::{
    FMNAMESZ, I_FLUSH, I_LINK, I_LIST, I_POP, I_PUNLINK, I_PUSH, I_SRDOPT, I_STR, I_UNLINK, LifConf, LifReq,
    MORECTL, MOREDATA, RS_HIPRI, Request, SIOCGLIFCONF, StrBuf, StrIoctl, StrList,
};
use super::mux_link::MuxId;

/// Seconds that a driver may take to answer an `I_STR`.
const ANSWER_SECONDS: c_int = 5;
/// Modules a stream can have (`nstrpush`), and its driver.
const LONGEST_STREAM: usize = 10;

// SAFETY: the prototypes of getmsg(2) and putmsg(2), `stropts.h`.
unsafe extern "C" {
    fn getmsg(fd: c_int, control: *mut StrBuf, data: *mut StrBuf, flags: *mut c_int) -> c_int;
    fn putmsg(fd: c_int, control: *const StrBuf, data: *const StrBuf, flags: c_int) -> c_int;
}

/// Opens a device for reading and writing, close-on-exec and above the standard streams. open(2)
pub(super) fn open(node: &str) -> io::Result<OwnedFd> {
    open_with(node, OFlag::empty())
}

/// [`open`], non-blocking from the start.
pub(super) fn open_non_blocking(node: &str) -> io::Result<OwnedFd> {
    open_with(node, OFlag::O_NONBLOCK)
}

fn open_with(node: &str, further: OFlag) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | further;
    above_standard_streams(nix::fcntl::open(node, flags, Mode::empty())?)
}

/// Reads the status flags. fcntl(2), `F_GETFL`
pub(super) fn status_flags(fd: BorrowedFd<'_>) -> io::Result<OFlag> {
    Ok(OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?))
}

/// Replaces the status flags. fcntl(2), `F_SETFL`
pub(super) fn set_status_flags(fd: BorrowedFd<'_>, flags: OFlag) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Makes the number of `old` refer to what `new` refers to, close-on-exec; what it referred to is closed. dup3(3C)
pub(super) fn replace(old: BorrowedFd<'_>, new: &OwnedFd) -> io::Result<()> {
    // SAFETY: no pointer is passed. Both numbers are open descriptors, borrowed for the call; the owner of `old` goes on
    // owning its number, which never ceases to be open.
    check(unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) })?;
    Ok(())
}

/// Pushes a module above the driver. streamio(4I), `I_PUSH`
pub(super) fn push(stream: &OwnedFd, module: &CStr) -> io::Result<()> {
    // SAFETY: the argument points at `module`, at most 9 bytes with its NUL, which the kernel only reads; the caller owns it
    // and lends it for the call.
    check(unsafe { libc::ioctl(stream.as_raw_fd(), I_PUSH.code as _, module.as_ptr()) })?;
    Ok(())
}

/// Removes the topmost module. streamio(4I), `I_POP`
pub(super) fn pop(stream: &OwnedFd) -> io::Result<()> {
    by_value(stream.as_fd(), I_POP, 0)?;
    Ok(())
}

/// Sets what one read takes. streamio(4I), `I_SRDOPT`
pub(super) fn set_read_options(stream: BorrowedFd<'_>, options: c_int) -> io::Result<()> {
    by_value(stream, I_SRDOPT, options)?;
    Ok(())
}

/// Drops what waits in the stream, on the sides that `what` says. streamio(4I), `I_FLUSH`
pub(super) fn flush(stream: &OwnedFd, what: c_int) -> io::Result<()> {
    by_value(stream.as_fd(), I_FLUSH, what)?;
    Ok(())
}

/// Links `lower` below `mux` until unlinked or `mux` is closed; returns what the kernel calls the muxid. streamio(4I), `I_LINK`
pub(super) fn link(mux: &OwnedFd, lower: &OwnedFd) -> io::Result<c_int> {
    by_value(mux.as_fd(), I_LINK, lower.as_raw_fd())
}

/// Undoes a [`link`]. streamio(4I), `I_UNLINK`
pub(super) fn unlink(mux: &OwnedFd, id: MuxId) -> io::Result<()> {
    by_value(mux.as_fd(), I_UNLINK, id.number())?;
    Ok(())
}

/// Undoes a link that outlives its maker, whoever made it. streamio(4I), `I_PUNLINK`
pub(super) fn unlink_persistent(mux: &OwnedFd, id: MuxId) -> io::Result<()> {
    by_value(mux.as_fd(), I_PUNLINK, id.number())?;
    Ok(())
}

/// Names what the stream consists of, from the top down to its driver. streamio(4I), `I_LIST`
pub(super) fn list(stream: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut names = [[0; FMNAMESZ + 1]; LONGEST_STREAM];
    let room = LONGEST_STREAM as c_int;
    let mut list = StrList { sl_nmods: room, sl_modlist: names.as_mut_ptr() };
    // SAFETY: the argument points at a `StrList` of 16 bytes, which in turn points at the `room` entries of 9 bytes in
    // `names`; both are locals of this function and outlive the call.
    check(unsafe { libc::ioctl(stream.as_raw_fd(), I_LIST.code as _, ptr::from_mut(&mut list)) })?;
    let filled = usize::try_from(list.sl_nmods).unwrap_or(0).min(LONGEST_STREAM);
    Ok(names[..filled].iter().map(|name| name_of(name)).take_while(|name| !name.is_empty()).collect())
}

/// Asks the driver something with an `int` and returns the answer's value. streamio(4I), `I_STR`
pub(super) fn ask_driver(stream: BorrowedFd<'_>, request: Request, mut argument: c_int) -> io::Result<c_int> {
    i_str(stream, request, &mut argument)
}

/// Asks a module something with a `lifreq`, which takes the answer. streamio(4I), `I_STR`
pub(super) fn ask_module(stream: &OwnedFd, request: Request, argument: &mut LifReq) -> io::Result<()> {
    i_str(stream.as_fd(), request, argument)?;
    Ok(())
}

/// Tells a module or the driver something that has no answer. streamio(4I), `I_STR`
pub(super) fn tell<T: Block>(stream: &OwnedFd, request: Request, mut argument: T) -> io::Result<()> {
    i_str(stream.as_fd(), request, &mut argument)?;
    Ok(())
}

/// Asks a module or the driver something, and returns what it put in the argument's place. streamio(4I), `I_STR`
pub(super) fn ask<T: Block>(stream: BorrowedFd<'_>, request: Request, mut argument: T) -> io::Result<T> {
    i_str(stream, request, &mut argument)?;
    Ok(argument)
}

/// Asks IP something about an interface. if_tcp(4P)
pub(super) fn ask_ip(stream: &OwnedFd, request: Request, argument: &mut LifReq) -> io::Result<()> {
    // SAFETY: the argument points at a `LifReq` of 376 bytes, which the kernel reads and overwrites; the caller lends it
    // exclusively for the call.
    check(unsafe { libc::ioctl(stream.as_raw_fd(), request.code as _, ptr::from_mut(argument)) })?;
    Ok(())
}

/// Has IP fill `room` with a `lifreq` for each address of a family, and returns how many it filled. if_tcp(4P), `SIOCGLIFCONF`
pub(super) fn list_addresses(stream: &OwnedFd, family: u16, room: &mut [LifReq]) -> io::Result<usize> {
    let len = c_int::try_from(size_of_val(room)).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut list = LifConf { lifc_family: family, lifc_flags: 0, lifc_len: len, lifc_buf: room.as_mut_ptr() };
    // SAFETY: the argument points at a `LifConf` of 24 bytes, a local, which in turn points at the `len` bytes of `room`, lent
    // exclusively for the call. The kernel overwrites both, `room` within that length by integers and bytes.
    check(unsafe { libc::ioctl(stream.as_raw_fd(), SIOCGLIFCONF.code as _, ptr::from_mut(&mut list)) })?;
    Ok((usize::try_from(list.lifc_len).unwrap_or(0) / size_of::<LifReq>()).min(room.len()))
}

/// Sends `request` down the stream as one message. putmsg(2)
pub(super) fn put_control(stream: &OwnedFd, request: &mut [u8]) -> io::Result<()> {
    put(stream, request, 0)
}

/// [`put_control`], ahead of everything queued and past flow control.
pub(super) fn put_priority(stream: &OwnedFd, request: &mut [u8]) -> io::Result<()> {
    put(stream, request, RS_HIPRI)
}

fn put(stream: &OwnedFd, request: &mut [u8], flags: c_int) -> io::Result<()> {
    let control = buffer(request)?;
    // SAFETY: `control` points at a `StrBuf` of 16 bytes, a local, whose `buf` points at the `len` bytes of `request`, lent
    // for the call; the kernel reads both. There is no data part.
    if unsafe { putmsg(stream.as_raw_fd(), &raw const control, ptr::null(), flags) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes one message of high priority into `answer` and returns its length in bytes. getmsg(2)
pub(super) fn get_control(stream: &OwnedFd, answer: &mut [u8]) -> io::Result<usize> {
    let mut control = buffer(answer)?;
    let mut flags = RS_HIPRI;
    // SAFETY: `control` points at a `StrBuf` of 16 bytes and `flags` at an `int`, both locals which the kernel overwrites.
    // The `buf` of the former points at the `maxlen` bytes of `answer`, lent exclusively for the call; the kernel writes at
    // most that many. There is no room for data, which stays queued.
    if unsafe { getmsg(stream.as_raw_fd(), &raw mut control, ptr::null_mut(), &raw mut flags) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(control.len).unwrap_or(0).min(answer.len()))
}

/// A message that [`get_message`] took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Bytes of the control part that were taken; `None` where there is no control part.
    pub(super) control: Option<usize>,
    /// More of the message is left.
    pub(super) more: bool,
}

/// Takes the first message, or as much of it as there is room for. getmsg(2)
pub(super) fn get_message(stream: BorrowedFd<'_>, control: &mut [u8], data: &mut [u8]) -> io::Result<Taken> {
    let (mut control, mut data) = (buffer(control)?, buffer(data)?);
    let mut flags = 0;
    // SAFETY: both parts point at a `StrBuf` of 16 bytes and `flags` at an `int`, all locals which the kernel overwrites. The
    // `buf` of each part points at its `maxlen` bytes, lent exclusively for the call; the kernel writes at most that many.
    let got = unsafe { getmsg(stream.as_raw_fd(), &raw mut control, &raw mut data, &raw mut flags) };
    check(got)?;
    Ok(Taken { control: usize::try_from(control.len).ok(), more: got & (MORECTL | MOREDATA) != 0 })
}

/// What an `I_STR` can carry: plain bytes without padding, any pattern of which is a value.
pub(super) trait Block {}
impl Block for c_int {}
impl Block for u32 {}
/// A `struct timeval`: seconds and microseconds.
impl Block for [i64; 2] {}
/// No argument.
impl Block for [u8; 0] {}
impl Block for LifReq {}

/// The `strioctl` is made here and dies here. The kernel overwrites its length, and the driver panics the machine when it
/// is asked for a PPA with a length of 0.
fn i_str<T: Block>(stream: BorrowedFd<'_>, request: Request, argument: &mut T) -> io::Result<c_int> {
    let mut block = StrIoctl {
        ic_cmd: request.code.cast_signed(),
        ic_timout: ANSWER_SECONDS,
        ic_len: size_of::<T>() as c_int,
        ic_dp: ptr::from_mut(argument).cast(),
    };
    // SAFETY: the argument points at a `StrIoctl` of 24 bytes, a local of this function. Its `ic_dp` points at the `ic_len`
    // bytes of `argument`, lent exclusively for the call; the kernel reads them and may overwrite them, within that
    // length, with any bytes, which `Block` allows.
    check(unsafe { libc::ioctl(stream.as_raw_fd(), I_STR.code as _, ptr::from_mut(&mut block)) })
}

fn by_value(stream: BorrowedFd<'_>, request: Request, argument: c_int) -> io::Result<c_int> {
    // SAFETY: no pointer is passed: the kernel takes the argument of these requests as a number, as wide as a pointer.
    check(unsafe { libc::ioctl(stream.as_raw_fd(), request.code as _, c_long::from(argument)) })
}

fn buffer(bytes: &mut [u8]) -> io::Result<StrBuf> {
    let len = c_int::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(StrBuf { maxlen: len, len, buf: bytes.as_mut_ptr().cast() })
}

fn check(returned: c_int) -> io::Result<c_int> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn name_of(name: &[u8]) -> String {
    let text = name.split(|byte| *byte == 0).next().unwrap_or(name);
    String::from_utf8_lossy(text).into_owned()
}

//! Control messages, up and down a stream.

// UNSAFETY: getmsg(2) and putmsg(2) take pointers to buffers described by pointers.
#![expect(unsafe_code, reason = "getmsg(2) and putmsg(2) have no safe form")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use super::abi::{RS_HIPRI, StrBuf};

// SAFETY: the prototypes of getmsg(2) and putmsg(2), `stropts.h`.
unsafe extern "C" {
    fn getmsg(fd: c_int, control: *mut StrBuf, data: *mut StrBuf, flags: *mut c_int) -> c_int;
    fn putmsg(fd: c_int, control: *const StrBuf, data: *const StrBuf, flags: c_int) -> c_int;
}

/// Sends `request` down the stream as one message. putmsg(2)
pub(super) fn put_control(stream: &OwnedFd, request: &mut [u8]) -> io::Result<()> {
    let control = buffer(request)?;
    // SAFETY: `control` points at a `StrBuf` of 16 bytes, a local, whose `buf` points at the `len` bytes of `request`, lent
    // for the call; the kernel reads both. There is no data part.
    if unsafe { putmsg(stream.as_raw_fd(), &raw const control, ptr::null(), 0) } == -1 {
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

fn buffer(bytes: &mut [u8]) -> io::Result<StrBuf> {
    let len = c_int::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(StrBuf { maxlen: len, len, buf: bytes.as_mut_ptr().cast() })
}

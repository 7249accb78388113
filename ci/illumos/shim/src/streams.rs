#![expect(unsafe_code, reason = "tmp")]
//! STREAMS devices and IP interfaces: what the host's kernel has not, the model kernel answers.

use libc::{iovec, pollfd};
use std::ffi::{c_char, c_int, c_long, c_void};
pub(crate) unsafe fn open(_path: *const c_char, _flags: c_int) -> Option<c_int> {
    None
}
pub(crate) fn close(_fd: c_int) -> Option<c_int> {
    None
}
pub(crate) fn owns(_fd: c_int) -> bool {
    false
}
pub(crate) unsafe fn read(_fd: c_int, _b: *mut u8, _n: usize) -> isize {
    -1
}
pub(crate) unsafe fn write(_fd: c_int, _b: *const u8, _n: usize) -> isize {
    -1
}
pub(crate) unsafe fn readv(_fd: c_int, _b: *const iovec, _n: c_int) -> isize {
    -1
}
pub(crate) unsafe fn writev(_fd: c_int, _b: *const iovec, _n: c_int) -> isize {
    -1
}
pub(crate) fn fcntl(_fd: c_int, _r: c_int, _a: c_long) -> Option<c_int> {
    None
}
pub(crate) fn dup(_fd: c_int) -> Option<c_int> {
    None
}
pub(crate) fn dup_to(_fd: c_int, _to: c_int, _cloexec: bool) -> Option<c_int> {
    None
}
pub(crate) unsafe fn ioctl(_fd: c_int, _r: c_int, _a: *mut c_void) -> Option<c_int> {
    None
}
pub(crate) fn poll(_fds: &mut [pollfd], _timeout: c_int) -> Option<c_int> {
    None
}

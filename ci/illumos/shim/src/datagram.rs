//! Datagram sockets of AF_UNIX, which the two systems treat differently: `socktpi.c`, `sockstr.c` and `tl.c` of illumos.
//!
//! When an end of a pair closes, the other is told so once, and is unconnected from then on. The host tells nothing; so
//! a pair is made of its packet sockets here, which do tell. What a socket was told is kept in an option of its own that
//! has no other use: it stays with the socket through dup, fork and exec.

// UNSAFETY: asks the host about sockets, with buffers of this stack or of the caller.
#![expect(unsafe_code, reason = "the host's socket calls take raw arguments")]

use crate::delivery::{self, Queue};
use crate::errno::{EAGAIN, ECONNRESET, EDESTADDRREQ, EINTR, EMSGSIZE, errno, fail};
use libc::{iovec, msghdr, pollfd};
use std::ffi::{c_int, c_short, c_void};
use std::mem::MaybeUninit;
use std::{env, io, ptr, thread, time::Duration};

/// `TL_TIDUSZ` of `tl.c`, and `strmsgsz` of `param.c`.
const LONGEST: usize = 65536;
/// As much as the host gives without a privilege: more than two of them, with what it counts besides.
const SEND_BUFFER: c_int = 212_992;
/// Room for the sender's credentials, by which an empty datagram differs from a closed end.
pub(crate) const CREDENTIALS_ROOM: usize = 32;

/// What was told to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Connected by name to a socket that is gone, and told so.
    Lost = 3,
    /// Connected by name to a socket that is gone; the next call tells.
    Losing = 4,
    /// An end of a pair that was told of the other's end.
    Broken = 5,
    /// An end of a pair. The other may be closed.
    Pair = 6,
}

impl Mark {
    pub(crate) fn of(fd: c_int) -> Option<Self> {
        match option(fd, libc::SO_PRIORITY)? {
            3 => Some(Self::Lost),
            4 => Some(Self::Losing),
            5 => Some(Self::Broken),
            6 => Some(Self::Pair),
            _ => None,
        }
    }

    fn put(self, fd: c_int) {
        set_option(fd, libc::SO_PRIORITY, self as c_int);
    }

    pub(crate) fn is_end(self) -> bool {
        matches!(self, Self::Pair | Self::Broken)
    }
}

fn option(fd: c_int, option: c_int) -> Option<c_int> {
    let (mut value, mut length) = (0_i32, 4);
    // SAFETY: room for a number on this stack, with its length.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut length) };
    (result == 0).then_some(value)
}

fn set_option(fd: c_int, option: c_int, value: c_int) {
    // SAFETY: a number of this stack, with its length.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const value).cast(), 4) };
}

/// The variable that makes a system of those that do not look at SO_RCVTIMEO of AF_UNIX.
const RECEIVE_TIMEOUT_VARIABLE: &str = "ILLUMOS_RCVTIMEO";

/// Is SO_RCVTIMEO without effect on this socket?
pub(crate) fn ignores_receive_timeout(fd: c_int) -> bool {
    env::var(RECEIVE_TIMEOUT_VARIABLE).as_deref() == Ok("ignored")
        && option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX)
}

fn is_unix_datagram(fd: c_int) -> bool {
    option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX) && option(fd, libc::SO_TYPE) == Some(libc::SOCK_DGRAM)
}

/// Makes a pair of datagram sockets; `flags` are the host's.
pub(crate) fn pair(flags: c_int) -> Result<[c_int; 2], io::Error> {
    let mut ends = [-1; 2];
    // SAFETY: an array of this stack, with room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | flags, 0, ends.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    for end in ends {
        Mark::Pair.put(end);
        set_option(end, libc::SO_PASSCRED, 1);
        // What fits is counted by `delivery`; the host is to take that much.
        set_option(end, libc::SO_SNDBUF, SEND_BUFFER);
    }
    delivery::begin(ends);
    Ok(ends)
}

/// Is the other end of this one closed?
fn is_broken(fd: c_int) -> bool {
    events(fd) & libc::POLLHUP != 0
}

fn events(fd: c_int) -> c_short {
    let mut one = pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: an array of one on this stack.
    unsafe { libc::poll(&raw mut one, 1, 0) };
    one.revents
}

/// The error that is pending on a socket, which is told once.
pub(crate) fn take_error(fd: c_int) -> Option<c_int> {
    let told = match Mark::of(fd)? {
        Mark::Losing => Mark::Lost,
        Mark::Pair if is_broken(fd) => Mark::Broken,
        _ => return None,
    };
    told.put(fd);
    Some(ECONNRESET)
}

/// Is a socket without a peer, though it had one? (`getpeername` and `send` then say so.)
pub(crate) fn has_lost_its_peer(fd: c_int) -> bool {
    Mark::of(fd).is_some_and(|mark| mark.is_end() && is_broken(fd))
}

/// Receives one datagram, where `mark` says that the host's answer is not illumos'.
///
/// # Safety
/// `message` is as for `recvmsg` of the host.
pub(crate) unsafe fn receive(fd: c_int, mark: Mark, message: &mut msghdr, flags: c_int) -> isize {
    let mut credentials = [0_u64; CREDENTIALS_ROOM / 8];
    if message.msg_control.is_null() {
        message.msg_control = credentials.as_mut_ptr().cast();
        message.msg_controllen = CREDENTIALS_ROOM;
    }
    let peeks = flags & libc::MSG_PEEK != 0;
    if mark == Mark::Losing {
        return fail(take_error(fd).unwrap_or(ECONNRESET));
    }
    // SAFETY: as the caller promises; the control data lie on this stack or with the caller.
    let result = unsafe { libc::recvmsg(fd, message, flags) };
    let failed = io::Error::last_os_error().raw_os_error();
    if !mark.is_end() {
        return errno(result);
    }
    match (result, failed) {
        (1.., _) => {}
        (0, _) if message.msg_controllen > 0 => {}
        // The host says the latter when the closed end had not read all.
        (0, _) | (_, Some(libc::ECONNRESET)) => return closed(fd, peeks, flags),
        _ => return errno(result),
    }
    if !peeks {
        Queue::to(fd, Queue::taken);
    }
    result
}

/// A read when all is taken and the other end is closed: an error once, then nothing for ever.
fn closed(fd: c_int, peeks: bool, flags: c_int) -> isize {
    if Mark::of(fd) == Some(Mark::Pair) {
        if !peeks {
            Mark::Broken.put(fd);
        }
        return fail(ECONNRESET);
    }
    // SAFETY: takes numbers.
    let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if status & libc::O_NONBLOCK != 0 || flags & libc::MSG_DONTWAIT != 0 {
        return fail(EAGAIN);
    }
    // SAFETY: no array; it waits for a signal or for the time to pass.
    let waited = unsafe { libc::poll(ptr::null_mut(), 0, receive_timeout(fd)) };
    fail(if waited == 0 { EAGAIN } else { EINTR })
}

/// Milliseconds, or -1 where a read waits for ever.
fn receive_timeout(fd: c_int) -> c_int {
    let (mut value, mut length) = (libc::timeval { tv_sec: 0, tv_usec: 0 }, 16);
    // SAFETY: room for a `struct timeval` on this stack, with its length.
    unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw mut value).cast(), &raw mut length)
    };
    let milliseconds = value.tv_sec.saturating_mul(1000) + value.tv_usec / 1000;
    if milliseconds == 0 { -1 } else { c_int::try_from(milliseconds).unwrap_or(c_int::MAX) }
}

/// Sends one datagram of `length` bytes, where `mark` says that the host's answer is not illumos'.
///
/// # Safety
/// `message` is as for `sendmsg` of the host.
pub(crate) unsafe fn send(fd: c_int, mark: Mark, message: &msghdr, flags: c_int, length: usize) -> isize {
    if let Some(number) = take_error(fd) {
        return fail(number);
    }
    if mark.is_end() && is_broken(fd) {
        return fail(EDESTADDRREQ);
    }
    if length > LONGEST {
        return fail(EMSGSIZE);
    }
    if !mark.is_end() {
        // SAFETY: as the caller promises.
        return sent(fd, unsafe { libc::sendmsg(fd, message, flags | libc::MSG_NOSIGNAL) }, length);
    }
    if let Err(number) = wait_for_room(fd, flags) {
        return fail(number);
    }
    // SAFETY: as the caller promises.
    let result = unsafe { delivery::deliver(fd, message, flags | libc::MSG_NOSIGNAL, length) };
    if result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EPIPE) && is_broken(fd) {
        return fail(take_error(fd).unwrap_or(EDESTADDRREQ));
    }
    errno(result)
}

/// The queue of the other end takes only so much.
fn wait_for_room(fd: c_int, flags: c_int) -> Result<(), c_int> {
    // SAFETY: takes numbers.
    let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    while !delivery::has_room(fd) {
        if status & libc::O_NONBLOCK != 0 || flags & libc::MSG_DONTWAIT != 0 {
            return Err(EAGAIN);
        }
        if is_broken(fd) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Refuses what no datagram of AF_UNIX may be, before the host sends it.
pub(crate) fn is_too_long(fd: c_int, length: usize) -> bool {
    length > LONGEST && is_unix_datagram(fd)
}

/// What illumos says where the host has sent: that nobody is there is told by the call after, since the datagram was on
/// its way when that was found.
pub(crate) fn sent(fd: c_int, result: isize, length: usize) -> isize {
    if result >= 0 {
        return result;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::ECONNREFUSED) if is_unix_datagram(fd) => {}
        Some(libc::ENOTCONN) if Mark::of(fd) == Some(Mark::Lost) => {}
        Some(libc::ENOTCONN) if is_unix_datagram(fd) => return fail(EDESTADDRREQ),
        _ => return errno(result),
    }
    Mark::Losing.put(fd);
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// A message of these slices for the host.
pub(crate) fn message(slices: *const iovec, count: usize) -> msghdr {
    // SAFETY: plain numbers and addresses, for which zero is a value.
    let mut message = unsafe { MaybeUninit::<msghdr>::zeroed().assume_init() };
    message.msg_iov = slices.cast_mut();
    message.msg_iovlen = count;
    message
}

/// One slice over the caller's buffer.
pub(crate) fn slice(buffer: *const c_void, length: usize) -> iovec {
    iovec { iov_base: buffer.cast_mut(), iov_len: length }
}

/// The bytes of the caller's slices together.
///
/// # Safety
/// `slices` has `count` entries, or `count` is 0.
pub(crate) unsafe fn total(slices: *const iovec, count: usize) -> usize {
    if count == 0 {
        return 0;
    }
    // SAFETY: as the caller promises.
    let slices = unsafe { std::slice::from_raw_parts(slices, count) };
    slices.iter().map(|slice| slice.iov_len).fold(0, usize::saturating_add)
}

/// What `poll` says of a marked socket, whatever the host says; `None` where the host's answer goes on to
/// [`seen_by_poll`].
pub(crate) fn fixed_events(fd: c_int, asked: c_short) -> Option<c_short> {
    const ANY: c_short = libc::POLLIN | libc::POLLRDNORM | libc::POLLOUT;
    let mark = Mark::of(fd)?;
    match mark {
        // `sotpi_poll`: an error that is pending is an event, and nothing is looked at.
        Mark::Losing => Some(ANY & asked),
        Mark::Pair if is_broken(fd) => Some(ANY & asked),
        Mark::Broken if has_data(fd) => Some(ANY & asked),
        Mark::Broken => Some(libc::POLLOUT & asked),
        _ => None,
    }
}

/// What `poll` says of an end whose other end is open, from what the host has found. What fits, the host does not know.
pub(crate) fn seen_by_poll(fd: c_int, asked: c_short, found: c_short) -> c_short {
    let mut seen = found & !(libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR | libc::POLLOUT);
    if seen & (libc::POLLIN | libc::POLLRDNORM) != 0 && !has_data(fd) {
        seen &= !(libc::POLLIN | libc::POLLRDNORM);
    }
    if is_writable(fd, asked) {
        seen |= libc::POLLOUT;
    }
    seen
}

/// Was it asked whether an end can be written to, and can it?
pub(crate) fn is_writable(fd: c_int, asked: c_short) -> bool {
    asked & libc::POLLOUT != 0 && delivery::has_room(fd)
}

/// Is there a datagram with a byte in it? An empty one is not announced: `POLLRDDATA` of `strpoll`.
fn has_data(fd: c_int) -> bool {
    let announced = Queue::to(fd, |queue| queue.has_bytes()).unwrap_or(false);
    let (mut byte, first) = (0_u8, libc::MSG_PEEK | libc::MSG_DONTWAIT);
    // SAFETY: one byte of this stack.
    let waits = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, first) };
    waits > 0 || (waits == 0 && announced)
}

#[cfg(test)]
mod tests;

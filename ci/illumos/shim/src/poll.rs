//! Waiting for descriptors: `poll.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::datagram::{self, Mark};
use crate::errno::errno;
use crate::signal_set::SignalSet;
use crate::streams;
use libc::{nfds_t, pollfd, timespec};
use std::ffi::{c_int, c_short};
use std::time::{Duration, Instant};

/// `sys/poll.h`. IN, PRI, OUT, ERR, HUP and NVAL agree, and so do RDNORM and RDBAND; WRNORM is OUT itself.
const EVENTS: [(c_short, c_short); 10] = [
    (0x0001, libc::POLLIN),
    (0x0002, libc::POLLPRI),
    (0x0004, libc::POLLOUT),
    (0x0008, libc::POLLERR),
    (0x0010, libc::POLLHUP),
    (0x0020, libc::POLLNVAL),
    (0x0040, libc::POLLRDNORM),
    (0x0080, libc::POLLRDBAND),
    (0x0100, libc::POLLWRBAND),
    (0x4000, libc::POLLRDHUP),
];

pub(crate) fn host_events(illumos: c_short) -> c_short {
    EVENTS.iter().filter(|pair| illumos & pair.0 != 0).fold(0, |events, pair| events | pair.1)
}

pub(crate) fn illumos_events(host: c_short) -> c_short {
    EVENTS.iter().filter(|pair| host & pair.1 != 0).fold(0, |events, pair| events | pair.0)
}

/// Polls with the host's bits and writes illumos' back.
fn polled(fds: &mut [pollfd], wait: impl FnOnce(*mut pollfd, nfds_t) -> c_int) -> c_int {
    let mut host: Vec<_> = fds.iter().map(|one| pollfd { events: host_events(one.events), ..*one }).collect();
    let result = errno(wait(host.as_mut_ptr(), host.len() as nfds_t));
    if result >= 0 {
        for (one, found) in fds.iter_mut().zip(&host) {
            one.revents = illumos_events(found.revents);
        }
    }
    result
}

/// Polls among datagram sockets of AF_UNIX, of which illumos says other things than the host. `wait` polls once.
fn with_pairs(fds: &mut [pollfd], timeout: c_int, wait: impl Fn(&mut [pollfd], c_int) -> c_int) -> c_int {
    if !fds.iter().any(|one| Mark::of(one.fd).is_some()) {
        return wait(fds, timeout);
    }
    let deadline = u64::try_from(timeout).ok().map(|time| Instant::now() + Duration::from_millis(time));
    loop {
        let mut asked = fds.to_vec();
        let fixed: Vec<_> = fds.iter().map(|one| datagram::fixed_events(one.fd, one.events)).collect();
        let (mut decided, mut full) = (fixed.iter().flatten().any(|events| *events != 0), false);
        for (one, fixed) in asked.iter_mut().zip(&fixed) {
            if fixed.is_some() {
                one.fd = -1;
            } else if one.events & libc::POLLOUT != 0 && Mark::of(one.fd) == Some(Mark::Pair) {
                decided |= datagram::is_writable(one.fd, one.events);
                full |= !datagram::is_writable(one.fd, one.events);
                one.events &= !libc::POLLOUT;
            }
        }
        let left = if decided { 0 } else { milliseconds_until(deadline) };
        // The host does not tell when there is room again.
        let result = wait(&mut asked, if full { left.cast_unsigned().min(1).cast_signed() } else { left });
        if result < 0 {
            return result;
        }
        for ((one, found), fixed) in fds.iter_mut().zip(&asked).zip(fixed) {
            one.revents = match (fixed, Mark::of(one.fd)) {
                (Some(events), _) => events,
                (None, Some(Mark::Pair)) => datagram::seen_by_poll(one.fd, one.events, found.revents),
                _ => found.revents,
            };
        }
        let count = fds.iter().filter(|one| one.revents != 0).count();
        if count > 0 || deadline.is_some_and(|end| Instant::now() >= end) {
            return c_int::try_from(count).unwrap_or(c_int::MAX);
        }
        // The host has found what illumos does not announce, or an end has closed: it is looked at again.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What is left of a time, rounded up; -1 where it has no end.
fn milliseconds_until(deadline: Option<Instant>) -> c_int {
    let Some(deadline) = deadline else { return -1 };
    let left = deadline.saturating_duration_since(Instant::now());
    c_int::try_from(left.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX)
}

/// The caller's array; `struct pollfd` is the host's.
///
/// # Safety
/// `fds` has `count` entries that nothing else uses for `'a`, or `count` is 0.
unsafe fn array<'a>(fds: *mut pollfd, count: nfds_t) -> &'a mut [pollfd] {
    if count == 0 {
        return &mut [];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts_mut(fds, count as usize) }
}

#[unsafe(export_name = "illumos_poll")]
unsafe extern "C" fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    // SAFETY: the caller's array, for the length of this call.
    let fds = unsafe { array(fds, count) };
    with_pairs(fds, timeout, |fds, timeout| match streams::poll(fds, timeout) {
        Some(result) => result,
        // SAFETY: the array made by `polled`, with its length.
        None => polled(fds, |host, count| unsafe { libc::poll(host, count, timeout) }),
    })
}

#[unsafe(export_name = "illumos_ppoll")]
unsafe extern "C" fn ppoll(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const SignalSet,
) -> c_int {
    // SAFETY: the caller's array, for the length of this call.
    let fds = unsafe { array(fds, count) };
    // SAFETY: null, or the caller's set.
    let mask = unsafe { mask.as_ref() }.map(SignalSet::host);
    let mask = mask.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: null, or the caller's time.
    let timeout = unsafe { timeout.as_ref() };
    if fds.iter().any(|one| Mark::of(one.fd).is_some()) {
        let rounded =
            |time: &timespec| time.tv_sec.saturating_mul(1000) + (time.tv_nsec + 999_999) / 1_000_000;
        let milliseconds = timeout.map_or(-1, |time| c_int::try_from(rounded(time)).unwrap_or(c_int::MAX));
        return with_pairs(fds, milliseconds, |fds, timeout| {
            let time =
                timespec { tv_sec: (timeout / 1000).into(), tv_nsec: (timeout % 1000 * 1_000_000).into() };
            let time = if timeout < 0 { std::ptr::null() } else { &raw const time };
            // SAFETY: the array made by `polled`, with its length; null or a time and a set on this stack.
            polled(fds, |host, count| unsafe { libc::ppoll(host, count, time, mask) })
        });
    }
    let timeout = timeout.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the array made by `polled`, with its length; null or the caller's timeout; null or a set on this stack.
    polled(fds, |host, count| unsafe { libc::ppoll(host, count, timeout, mask) })
}

#[cfg(test)]
mod tests {
    use super::{host_events, illumos_events};

    #[test]
    fn write_band_and_hang_up_of_the_reader_differ() {
        assert_eq!(host_events(0x4104), libc::POLLOUT | libc::POLLWRBAND | libc::POLLRDHUP);
        assert_eq!(illumos_events(libc::POLLOUT | libc::POLLWRBAND | libc::POLLRDHUP), 0x4104);
    }

    #[test]
    fn an_unknown_bit_is_dropped_as_poll_does() {
        assert_eq!(host_events(0x0800), 0);
    }
}

//! Waiting for descriptors: `poll.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::errno;
use crate::signal_set::SignalSet;
use crate::streams;
use libc::{nfds_t, pollfd, timespec};
use std::ffi::{c_int, c_short};

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
    if let Some(result) = streams::poll(fds, timeout) {
        return result;
    }
    // SAFETY: the array made by `polled`, with its length.
    polled(fds, |host, count| unsafe { libc::poll(host, count, timeout) })
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
    // SAFETY: the array made by `polled`, with its length; the caller's timeout; null or a set on this stack.
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

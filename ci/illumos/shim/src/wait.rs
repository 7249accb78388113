//! Waiting for children: `sys/wait.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::errno;
use crate::signal_set::SIGNALS;
use crate::translate::Flags;
use std::ffi::c_int;

/// `sys/wait.h`.
const WAIT_FLAGS: Flags = Flags {
    what: "waitpid flag",
    pairs: &[(0x40, libc::WNOHANG), (0x04, libc::WUNTRACED), (0x08, libc::WCONTINUED)],
};

/// The status is laid out alike; the signals in it are not numbered alike.
fn illumos_status(host: c_int) -> c_int {
    if libc::WIFSIGNALED(host) {
        return SIGNALS.to_illumos(libc::WTERMSIG(host)) | (host & 0x80);
    }
    if libc::WIFSTOPPED(host) {
        return SIGNALS.to_illumos(libc::WSTOPSIG(host)) << 8 | 0x7f;
    }
    host
}

#[unsafe(export_name = "illumos_waitpid")]
unsafe extern "C" fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int {
    let mut host = 0;
    // SAFETY: a number of this stack.
    let found = errno(unsafe { libc::waitpid(pid, &raw mut host, WAIT_FLAGS.to_host(options)) });
    // SAFETY: null or the caller's place for a number.
    if let Some(status) = unsafe { status.as_mut() }.filter(|_| found > 0) {
        *status = illumos_status(host);
    }
    found
}

#[unsafe(export_name = "illumos_wait")]
unsafe extern "C" fn wait(status: *mut c_int) -> c_int {
    // SAFETY: null or the caller's place for a number.
    unsafe { waitpid(-1, status, 0) }
}

#[cfg(test)]
mod tests {
    use super::illumos_status;

    #[test]
    fn an_exit_status_stays_and_a_signal_is_renumbered() {
        assert_eq!(illumos_status(3 << 8), 3 << 8);
        assert_eq!(illumos_status(libc::SIGBUS | 0x80), 10 | 0x80);
        assert_eq!(illumos_status(libc::SIGSTOP << 8 | 0x7f), 23 << 8 | 0x7f);
        assert_eq!(illumos_status(0xffff), 0xffff);
    }
}

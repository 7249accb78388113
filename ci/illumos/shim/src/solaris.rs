//! Where Solaris differs from illumos.
//!
//! Solaris' headers are not published: these names and numbers are the `libc` crate's, so here a number that is wrong
//! is wrong on both sides, and no test fails.

// UNSAFETY: asks the loader for a name, and exports C functions.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::errno;
use crate::{signal_set, socket, system};
use std::ffi::{c_char, c_int, c_long};
use std::sync::OnceLock;

/// fcntl's requests that have another number on Solaris: Solaris', illumos'. On illumos 47 and 48 are other requests.
const FCNTL_REQUESTS: [(c_int, c_int); 2] = [(47, 37), (48, 36)];

/// Is the program one for Solaris? Then the libraries it was started with have Solaris' names.
pub(crate) fn is_solaris() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        // SAFETY: a NUL-terminated name; whether it is found is all that is asked.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__xnet7_socket".as_ptr()) };
        !found.is_null()
    })
}

/// illumos' number of a request of fcntl.
pub(crate) fn illumos_fcntl_request(request: c_int) -> c_int {
    let solaris = FCNTL_REQUESTS.iter().find(|pair| pair.0 == request);
    solaris.filter(|_| is_solaris()).map_or(request, |pair| pair.1)
}

/// `sysconf` of the standard of 2008.
#[unsafe(export_name = "illumos___sysconf_xpg7")]
extern "C" fn sysconf(name: c_int) -> c_long {
    system::sysconf(name)
}

/// `socket` of the standard of 2008.
#[unsafe(export_name = "illumos___xnet7_socket")]
extern "C" fn xnet7_socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
    socket::socket(family, kind, protocol)
}

/// `pthread_kill` of the standard of 2008.
#[unsafe(export_name = "illumos___pthread_kill_xpg7")]
extern "C" fn pthread_kill(thread: u32, signal: c_int) -> c_int {
    signal_set::pthread_kill(thread, signal)
}

/// `link` that does not follow a symbolic link; nor does the host's.
#[unsafe(export_name = "illumos___link_xpg4")]
unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's paths are NUL-terminated strings that live through the call.
    errno(unsafe { libc::link(from, to) })
}

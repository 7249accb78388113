//! An attach and a detach, beside the bare calls.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use tap_plumb::Config;

use crate::measure::{compare, timed};
use crate::report::{Bound, MICROSECONDS, Report};
use crate::rig::Outcome;

/// An attach waits for the kernel to synchronise, milliseconds long.
const ROUNDS: usize = 31;
const NAME: &[u8] = b"tap9";

pub fn all(report: &mut Report) -> Outcome<()> {
    let mut ours = || {
        timed(|| {
            let tap = Config::new().name(str::from_utf8(NAME).expect("ASCII")).attach().expect("attach");
            tap.detach().expect("detach");
        })
    };
    let mut bare = || timed(|| drop(open_tap().expect("TUNSETIFF")));
    let result = compare(ROUNDS, &mut ours, &mut bare);
    report.line_in(MICROSECONDS, "attach+detach", &result, 1, "open+TUNSETIFF+close", Bound::None);
    Ok(())
}

nix::ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, libc::ifreq);

fn open_tap() -> nix::Result<OwnedFd> {
    let fd = open("/dev/net/tun", OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?;
    // SAFETY: an `ifreq` is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name.iter_mut().zip(NAME).for_each(|(to, from)| *to = *from as libc::c_char);
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
    // SAFETY: the request is an `ifreq` of this frame's, read and written during the call only.
    unsafe { set_interface(fd.as_raw_fd(), &request) }?;
    Ok(fd)
}

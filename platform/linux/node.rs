//! The device node `/dev/net/tun`, of which each open makes a descriptor to bind.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::attach::error::AttachError;

pub(super) const PATH: &str = "/dev/net/tun";

/// Opens it close-on-exec, and non-blocking from the start.
pub(super) fn open() -> Result<OwnedFd, AttachError> {
    let opened = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(PATH);
    opened.map(OwnedFd::from).map_err(|source| AttachError::Open {
        path: Path::new(PATH).to_owned(),
        remedy: remedy(source.raw_os_error()),
        source,
    })
}

fn remedy(errno: Option<i32>) -> &'static str {
    match errno {
        Some(libc::EACCES | libc::EPERM) => {
            "let this user read and write the node (`chmod 0666 /dev/net/tun`, or its group; a udev rule makes it last)"
        }
        Some(libc::ENOENT) => {
            "load the driver (`modprobe tun`), or make the node: `mknod /dev/net/tun c 10 200`"
        }
        Some(libc::ENODEV | libc::ENXIO) => "load the driver (`modprobe tun`)",
        _ => "",
    }
}

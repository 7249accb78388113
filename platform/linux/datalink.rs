//! A macvtap, whose queues are opened by a node of its own: `/dev/tap` and the interface's number (`drivers/net/tap.c`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::super::tap::descriptors::above_standard_streams;
use super::super::tap::settings;
use super::bound::{HEADER, NO_PACKET_INFO, TAP};
use super::interface::Interface;
use super::ioctl::{self, Request};
use super::netdev::NetDevice;
use super::rtnetlink::Rtnetlink;
use super::{adopt, name, remedy};
use crate::attach::{AttachError, Config};

/// Checks the rule for names; a template names nothing that exists.
pub(crate) fn check_name(link: &str) -> Result<(), AttachError> {
    if link.contains('%') {
        return Err(AttachError::BadName { name: link.to_owned(), reason: "an existing link has no '%'" });
    }
    name::check_name(link)
}

/// Opens the macvtap `link`, and prepares it as an inherited one.
pub(super) fn attach(link: &str, config: &Config) -> Result<Interface, AttachError> {
    let index = number_of(link)?;
    let path = format!("/dev/tap{index}");
    let fd = open(&path).map_err(|source| refused(path, source))?;
    set_header(fd.as_fd(), link, config)?;
    let interface = adopt::adopt(fd, config)?;
    check_found(&interface, link)?;
    settings::apply(&interface, config)?;
    Ok(interface)
}

/// The number of a macvtap or an ipvtap; anything else is no data link.
fn number_of(link: &str) -> Result<u32, AttachError> {
    let missing = |source: io::Error| match source.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => AttachError::Missing { name: link.to_owned() },
        _ => AttachError::Request { request: "SIOCGIFINDEX", object: link.to_owned(), remedy: "", source },
    };
    let index = NetDevice::named(link.as_bytes()).and_then(|device| device.index()).map_err(missing)?;
    let kind = Rtnetlink::open().and_then(|netlink| netlink.kind(index)).map_err(|source| {
        AttachError::Request { request: "RTM_GETLINK", object: link.to_owned(), remedy: "", source }
    })?;
    match kind.as_deref() {
        Some("macvtap") => Ok(index),
        Some("ipvtap") => Err(wrong(link, "an ipvtap, which shares one MAC address among its guests")),
        Some("tun") => Err(wrong(link, "a TAP, which Config::name attaches")),
        Some("macvlan" | "ipvlan") => {
            Err(wrong(link, "an interface of the host's own, without a node for frames"))
        }
        _ => Err(wrong(link, "no macvtap")),
    }
}

fn wrong(link: &str, found: &'static str) -> AttachError {
    let remedy = "make a macvtap over a NIC: `ip link add link eth0 name NAME type macvtap mode bridge`";
    AttachError::WrongKind { name: link.to_owned(), found, remedy, source: None }
}

fn open(path: &str) -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    above_standard_streams(file.into())
}

fn refused(path: String, source: io::Error) -> AttachError {
    let remedy = match source.raw_os_error() {
        Some(libc::ENOENT) => {
            "nobody made the node, as udev does on the host and nobody in a container: `mknod` it with the number in \
             /sys/class/net/NAME/tapN/dev"
        }
        Some(libc::EACCES) => remedy::of_closed(
            &path,
            "let this user read and write the node (`chmod`, its group, or a udev rule). If the node's mode allows it already, a policy forbids it: SELinux, AppArmor or Landlock",
        ),
        Some(libc::EPERM) => {
            "the device cgroup, or another policy, forbids the node: allow it (DeviceAllow=)"
        }
        Some(libc::ENXIO | libc::ENODEV) => {
            "the node belongs to a link that is gone: remove it, and `mknod` it with the number in /sys/class/net/NAME/tapN/dev"
        }
        Some(libc::EBUSY) => "all queues of the link are in use: end a process that holds one",
        _ => "",
    };
    AttachError::Open { path: path.into(), remedy, source }
}

/// A fresh queue has a virtio-net header. This function leaves the header only where an offload is asked for, as on a TAP.
/// The request ignores the name.
fn set_header(fd: BorrowedFd<'_>, link: &str, config: &Config) -> Result<(), AttachError> {
    let header = if config.offload.header_len > 0 { HEADER } else { 0 };
    let request = Request::about(link.as_bytes()).with_flags(TAP | NO_PACKET_INFO | header);
    ioctl::SET_IFF.call(fd, request).map(drop).map_err(|source| AttachError::Request {
        request: "TUNSETIFF",
        object: link.to_owned(),
        remedy: "",
        source,
    })
}

/// A node is found by a number alone, and an interface in another network namespace may have the same number.
fn check_found(interface: &Interface, link: &str) -> Result<(), AttachError> {
    let found = interface.name().map_err(|source| AttachError::Request {
        request: "TUNGETIFF",
        object: link.to_owned(),
        remedy: "",
        source,
    })?;
    if found.as_bytes() == link.as_bytes() {
        return Ok(());
    }
    Err(AttachError::Mismatch {
        what: "the link behind the node",
        wanted: link.to_owned(),
        found: found.to_string(),
    })
}

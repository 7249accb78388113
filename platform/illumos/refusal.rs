//! Errors: which step, on what, and what an administrator can do about it.

use std::io;

use super::super::tap::Setting;
use super::abi::{I_LINK, I_PUNLINK, I_PUSH, I_UNLINK, Request, TUNNEWPPA};
use crate::attach::AttachError;

/// What an errno of a request means for whoever runs the process. privileges(7), and the driver's README.
const REMEDIES: [(&[&str], i32, &str); 9] = [
    (&[I_PUSH.name], libc::EPERM, "the process needs PRIV_NET_RAWACCESS"),
    (&[I_PUSH.name], libc::EINVAL, "the kernel has no such module"),
    (&["SIOC", I_LINK.name, I_UNLINK.name, I_PUNLINK.name], libc::EPERM, NEEDS_IP_CONFIG),
    (
        &[TUNNEWPPA.name],
        libc::ENOMEM,
        "the driver's 20 devices are all in use: end a process that holds one; or the kernel has no memory",
    ),
    (
        &["SIOCSLIFNAME"],
        libc::ENXIO,
        "the driver does not know the PPA, or IP does not know the interface: attach again",
    ),
    (&["SIOCSLIFFLAGS"], libc::ENXIO, "the interface has no ARP stream, or its device is gone: attach again"),
    (&["SIOCSLIFMTU"], libc::EINVAL, "IPv4 takes 68 to 1500 bytes here, IPv6 1280 to 1500"),
    (&["SIOCSLIFADDR", "SIOCLIFADDIF"], libc::EADDRNOTAVAIL, "no host can have that address"),
    (&["DL_ATTACH_REQ"], libc::ENXIO, "the driver does not know the PPA: the device is gone, attach again"),
];

const NEEDS_IP_CONFIG: &str =
    "the process needs PRIV_SYS_IP_CONFIG; its zone needs an IP stack of its own (ip-type exclusive)";

/// A request that was refused.
pub(super) fn request(
    name: &'static str,
    object: impl Into<String>,
) -> impl FnOnce(io::Error) -> AttachError {
    let object = object.into();
    move |source| AttachError::Request { request: name, object, remedy: remedy(name, &source), source }
}

/// A request that was refused, known by its number.
pub(super) fn of(request: Request, object: impl Into<String>) -> impl FnOnce(io::Error) -> AttachError {
    self::request(request.name, object)
}

/// A node that could not be opened.
pub(super) fn open(node: &'static str) -> impl FnOnce(io::Error) -> AttachError {
    move |source| AttachError::Open { path: node.into(), remedy: remedy_of_open(&source), source }
}

/// An answer that cannot be right.
pub(super) fn mismatch(what: &'static str, wanted: impl Into<String>, found: impl ToString) -> AttachError {
    AttachError::Mismatch { what, wanted: wanted.into(), found: found.to_string() }
}

/// The errno under an error, where there is one.
pub(super) fn is(error: &io::Error, errno: i32) -> bool {
    error.raw_os_error() == Some(errno)
}

fn remedy(name: &str, source: &io::Error) -> &'static str {
    let fits = |(requests, errno, _): &&(&[&str], i32, &str)| {
        is(source, *errno) && requests.iter().any(|request| name.starts_with(request))
    };
    REMEDIES.iter().find(fits).map_or("", |(.., remedy)| remedy)
}

/// A setting of an interface that somebody else plumbed.
pub(crate) fn of_setting(setting: Setting, source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => NEEDS_IP_CONFIG,
        Some(libc::ENXIO) if matches!(setting, Setting::Address(address) if address.is_ipv6()) => {
            "nobody has plumbed the interface for IPv6; see ipadm(8)"
        }
        Some(libc::ENXIO) => "nobody has plumbed the interface yet, or not for this IP version; see ipadm(8)",
        _ => "",
    }
}

fn remedy_of_open(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOENT) => {
            "install the driver (OmniOS: driver/tuntap; OpenIndiana: driver/network/tap); for a zone, add the device to its configuration (zonecfg(8))"
        }
        Some(libc::EACCES) => {
            "the node belongs to root, mode 0600: run as root, or let root change its mode (add_drv(8), update_drv(8))"
        }
        Some(libc::ENXIO) => "the driver is configured but not loaded; see add_drv(8) and devfsadm(8)",
        _ => "",
    }
}

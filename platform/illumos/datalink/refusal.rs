//! Errors about a link: which step, and what an administrator can do about it.

use std::io;

use super::super::abi::ENOTSUP;
use super::name::LinkName;
use super::primitive::Fault;
use crate::attach::AttachError;

const RAW_ACCESS: &str = "the process needs PRIV_NET_RAWACCESS: a role or a profile that has it (`ppriv`), or the \
                          privileges of its service";

const HEARS_NO_GROUPS: &str = "the NIC below refuses to receive all multicast groups, as some virtual NICs do: take a vnic over an \
                               etherstub or over another NIC";

/// What an errno of a request means; the request is known by the beginning of its name.
const REMEDIES: [(&str, i32, &str); 6] = [
    (
        "DL_SET_PHYS_ADDR_REQ",
        libc::EACCES,
        "link protection (mac-nospoof) forbids another address, or the NIC below has this one: use the link's own, or have \
         the global zone change it",
    ),
    (
        "DL_SET_PHYS_ADDR_REQ",
        ENOTSUP,
        "another link over the same NIC has that address: give this link a different one",
    ),
    ("I_PUSH", libc::EINVAL, "the system has no module bufmod: leave Config::datalink_buffer out"),
    ("I_PUSH", libc::EPERM, RAW_ACCESS),
    (
        "SBIOC",
        libc::EINVAL,
        "the module bufmod is another one than expected: leave Config::datalink_buffer out",
    ),
    (
        "DLIOCRAW",
        libc::EINVAL,
        "the link's driver carries no whole frames: it is not one of the GLDv3 framework; try a vnic over it (`dladm create-vnic`)",
    ),
];

/// The node could not be opened.
pub(super) fn open(link: LinkName) -> impl FnOnce(io::Error) -> AttachError {
    move |source| AttachError::Open { path: link.node().into(), remedy: remedy_of_open(&source), source }
}

fn remedy_of_open(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOENT) => {
            "this zone has no such link: `dladm show-link` names those it has, `dladm create-vnic` makes one (and \
             dlmgmtd must be running)"
        }
        Some(libc::EACCES | libc::EPERM) => RAW_ACCESS,
        Some(libc::EMFILE) => "this process has as many descriptors as it may: raise its limit (`ulimit -n`)",
        _ => "",
    }
}

/// A request that was refused.
pub(super) fn request(name: &'static str, link: LinkName) -> impl FnOnce(io::Error) -> AttachError {
    move |source| {
        let fits = |(request, errno, _): &&(&str, i32, &str)| {
            source.raw_os_error() == Some(*errno) && name.starts_with(request)
        };
        let remedy = REMEDIES.iter().find(fits).map_or("", |(.., remedy)| remedy);
        AttachError::Request { request: name, object: link.node(), remedy, source }
    }
}

/// A primitive that was refused.
pub(super) fn primitive(name: &'static str, link: LinkName) -> impl FnOnce(Fault) -> AttachError {
    move |fault| match fault.errno() {
        Some(libc::EBUSY) => AttachError::Busy {
            name: link.to_string(),
            holder: format!("viona, a bridge or an aggregation ({name})"),
            source: fault.into(),
        },
        _ if name.ends_with("DL_PROMISC_MULTI") && fault.is_refusal() => AttachError::Request {
            request: name,
            object: link.node(),
            remedy: HEARS_NO_GROUPS,
            source: fault.into(),
        },
        _ => request(name, link)(fault.into()),
    }
}

/// Something else than a link that can carry a guest's frames.
pub(super) fn wrong_kind(link: LinkName, found: &'static str, remedy: &'static str) -> AttachError {
    AttachError::WrongKind { name: link.to_string(), found, remedy, source: None }
}

pub(super) fn bad(option: &str, reason: impl Into<String>) -> AttachError {
    AttachError::BadOption { option: option.to_owned(), reason: reason.into() }
}

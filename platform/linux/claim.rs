//! `TUNSETIFF`: binding a descriptor to an interface, and saying why it was refused.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bound::{EXCLUSIVE, MULTI_QUEUE};
use super::ioctl::{self, Request};
use super::netdev::NetDevice;
use super::rtnetlink::Rtnetlink;
use super::{remedy, tun};
use crate::attach::{AttachError, Config};

/// The kernel lets go of a killed owner's interface some milliseconds later; this is the first wait, each next one doubles.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(16);

/// Binds `fd` to the interface `name` (empty: the kernel's choice), which is made when there is none. A busy one is asked
/// for again until its time is over.
pub(super) fn claim(fd: BorrowedFd<'_>, name: &[u8], flags: u16, config: &Config) -> Result<(), AttachError> {
    let request = Request::about(name).with_flags(flags);
    let (start, timeout) = (Instant::now(), config.busy_timeout);
    let mut wait = FIRST_WAIT;
    loop {
        match ioctl::SET_IFF.call(fd, request) {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() < timeout && is_passing(&error, name) => {
                sleep(wait.min(timeout.saturating_sub(start.elapsed())));
                wait = LONGEST_WAIT.min(wait * 2);
            }
            Err(error) => return Err(explain(error, name, flags, config)),
        }
    }
}

/// Whether the name may be free a moment later. Its owner is closing it (`EBUSY`), or its entry in sysfs still exists
/// (`EEXIST`, seen on Linux 7.3). While an owner closes a TUN device, or a TAP with another number of queues, the kernel
/// answers `EINVAL`.
fn is_passing(error: &io::Error, name: &[u8]) -> bool {
    match error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => true,
        Some(libc::EINVAL) => match driver(name) {
            Ok((driver, _)) => driver == "tun",
            Err(error) => error.raw_os_error() == Some(libc::ENODEV),
        },
        _ => false,
    }
}

fn driver(name: &[u8]) -> io::Result<(String, String)> {
    NetDevice::named(name)?.driver()
}

fn explain(source: io::Error, name: &[u8], flags: u16, config: &Config) -> AttachError {
    let text = String::from_utf8_lossy(name).into_owned();
    match source.raw_os_error() {
        Some(libc::EBUSY) if flags & EXCLUSIVE != 0 => AttachError::Exists { name: text, source },
        Some(libc::EBUSY) => {
            let holder = if config.name_holder { holders(name) } else { String::new() };
            AttachError::Busy { holder, name: text, source }
        }
        Some(libc::EINVAL) => wrong_kind(source, name, text, flags),
        Some(libc::ENOTTY) => no_node(source),
        _ => {
            let remedy = remedy::of_claim(&source, name);
            AttachError::Request { request: "TUNSETIFF", object: text, remedy, source }
        }
    }
}

/// Something else stands where the node should be.
fn no_node(source: io::Error) -> AttachError {
    AttachError::WrongKind {
        name: tun::NODE.to_owned(),
        found: "not the device node of the TUN driver",
        remedy: "remove it, and make the node: `mknod /dev/net/tun c 10 200`",
        source: Some(source),
    }
}

/// EINVAL has several causes that only the interface itself tells apart.
fn wrong_kind(source: io::Error, name: &[u8], text: String, flags: u16) -> AttachError {
    if is_macvtap(name) {
        let found = "a macvtap, which has a device node of its own";
        let remedy = "attach it with Config::datalink";
        return AttachError::WrongKind { name: text, found, remedy, source: Some(source) };
    }
    let (found, remedy) = match driver(name).as_ref().map(|(driver, bus)| (driver.as_str(), bus.as_str())) {
        Ok(("tun", "tap")) if flags & MULTI_QUEUE != 0 => (
            "a TAP with a single queue",
            "ask for one queue; or remove it, and make it with `ip tuntap add NAME mode tap multi_queue`",
        ),
        Ok(("tun", "tap")) => (
            "a TAP with several queues",
            "ask for two queues or more; or remove it, and make it without `multi_queue`",
        ),
        Ok(("tun", _)) => (
            "a TUN device, which carries IP packets",
            "choose another name; or remove it, and make it with `ip tuntap add NAME mode tap`",
        ),
        Ok(_) => ("an interface of another kind, no TAP", "choose another name"),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            ("an interface of another kind, no TAP", "choose another name")
        }
        Err(_) => return AttachError::Request { request: "TUNSETIFF", object: text, remedy: "", source },
    };
    AttachError::WrongKind { name: text, found, remedy, source: Some(source) }
}

/// The driver of a macvtap reports the name of the macvlan driver, but the interface's kind tells a macvtap.
fn is_macvtap(name: &[u8]) -> bool {
    let index = NetDevice::named(name).and_then(|device| device.index());
    let kind = index.and_then(|index| Rtnetlink::open()?.kind(index));
    kind.is_ok_and(|kind| kind.as_deref() == Some("macvtap"))
}

/// Names the processes that hold a queue of the interface `name` in this network namespace, as far as they can be read.
/// Root reads all, another user those that are its own.
fn holders(name: &[u8]) -> String {
    let Ok(processes) = fs::read_dir("/proc") else { return String::new() };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let found: Vec<String> = ids.filter(|id| holds(*id, name)).map(title).collect();
    found.join(" and ")
}

fn holds(id: u32, name: &[u8]) -> bool {
    // A thread can be in another namespace than its process. In our own process, the namespace of the thread that asks
    // counts.
    let ours = id == std::process::id();
    let process = if ours { "/proc/thread-self".into() } else { Path::new("/proc").join(id.to_string()) };
    let same_namespace =
        fs::read_link(process.join("ns/net")).ok() == fs::read_link("/proc/thread-self/ns/net").ok();
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    same_namespace
        && descriptors.flatten().any(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(tun::NODE))
                && is_bound(&process.join("fdinfo").join(entry.file_name()), name)
        })
}

/// Since Linux 3.13 the descriptor's information has the line `iff:<tab>NAME`.
fn is_bound(information: &Path, name: &[u8]) -> bool {
    let Ok(text) = fs::read(information) else { return false };
    text.split(|byte| *byte == b'\n').any(|line| line.strip_prefix(b"iff:\t") == Some(name))
}

fn title(id: u32) -> String {
    if id == std::process::id() {
        return "this process".to_owned();
    }
    let command = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    format!("process {id} ({})", command.trim_end())
}

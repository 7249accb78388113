//! What an inherited character device is, and making it ready.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::stat::{fstat, major, minor};

use super::super::tap::Refusal;
use super::bound::{Bound, DETACHED, HEADER, MULTI_QUEUE, PAGES_ONLY, TUN};
use super::interface::Interface;
use super::ioctl;
use super::state::{self, Cause, Failure, State};
use crate::attach::{AdoptError, Config};
use crate::wire::Offload;

/// The device numbers of `/dev/net/tun`.
const TUN_DEVICE: (u64, u64) = (10, 200);

/// The header that a TAP in header mode is given when none was asked for: that of virtio 1.
const DEFAULT_HEADER: usize = 12;

/// Prepares a character device that is a TAP or a macvtap, and refuses any other.
pub(super) fn adopt(fd: OwnedFd, config: &Config) -> Result<Interface, AdoptError> {
    match prepare(fd.as_fd(), config) {
        Ok((state, multi_queue)) => {
            let silent = !is_tun_device(fd.as_fd());
            let interface = Interface::new(fd, state, multi_queue, false);
            Ok(if silent { interface.ending_silently() } else { interface })
        }
        Err(refusal) => Err(refusal.give_back(fd)),
    }
}

fn prepare(fd: BorrowedFd<'_>, config: &Config) -> Result<(State, bool), Refusal> {
    let bound = Bound::of(fd).map_err(|source| no_tap(fd, source))?;
    check_mode(fd, &bound)?;
    let wanted = wanted(&bound, config.offload)?;
    let state = if config.keep_state {
        keep(fd, &bound, wanted, config.offload.header_len)
    } else {
        reset(fd, &bound, wanted)
    };
    state.map(|state| (state, bound.has(MULTI_QUEUE)))
}

fn reset(fd: BorrowedFd<'_>, bound: &Bound, wanted: Offload) -> Result<State, Refusal> {
    let old_header = ioctl::GET_HEADER_LEN.get(fd).ok();
    state::reset(fd, wanted).map_err(|failure| {
        // The caller gets the descriptor back as it was, as far as the kernel lets us.
        if let Some(len) = old_header {
            let _ = ioctl::SET_HEADER_LEN.set(fd, len);
        }
        refuses(bound, failure)
    })
}

/// Somebody else may be using the TAP, so that not even the header can change.
fn keep(fd: BorrowedFd<'_>, bound: &Bound, wanted: Offload, asked_len: usize) -> Result<State, Refusal> {
    let mut wanted = wanted;
    if wanted.header_len > 0 {
        let found = state::header_len(fd).map_err(|failure| refuses(bound, failure))?;
        if !matches!(found, 10 | 12) || asked_len > 0 && asked_len != found {
            return Err(Refusal {
                found: format!("{} with a virtio-net header of {found} bytes", title(bound)),
                remedy: "ask for an offload with that header, of 10 or 12 bytes, or do not keep its state",
                source: None,
            });
        }
        wanted.header_len = found;
    }
    state::keep(fd, wanted).map_err(|failure| refuses(bound, failure))
}

fn check_mode(fd: BorrowedFd<'_>, bound: &Bound) -> Result<(), Refusal> {
    let refuse = |found: String, remedy| Err(Refusal { found, remedy, source: None });
    if bound.has(TUN) {
        return refuse(
            format!("the TUN device {}, which carries IP packets", bound.name),
            "open it with IFF_TAP",
        );
    }
    if bound.has(DETACHED) {
        return refuse(format!("a detached queue of {}", title(bound)), "attach it first (TUNSETQUEUE)");
    }
    if bound.has(PAGES_ONLY) {
        return refuse(
            format!("{} with IFF_NAPI_FRAGS, which takes no slice longer than a page", title(bound)),
            "open it without IFF_NAPI_FRAGS",
        );
    }
    if !is_tun_device(fd) {
        // A macvtap has no packet-info.
        return Ok(());
    }
    match bound.packet_info(fd) {
        Ok(false) => Ok(()),
        Ok(true) => {
            refuse(format!("{} with packet-info before each frame", title(bound)), "open it with IFF_NO_PI")
        }
        Err(failure) => Err(refuses(bound, failure)),
    }
}

fn refuses(bound: &Bound, failure: Failure) -> Refusal {
    let source = if let Cause::Refused(source) = failure.cause { Some(source) } else { None };
    // Before Linux 5.1 a write on an interface that is down says so before it says anything else.
    let down = source.as_ref().is_some_and(|source| source.raw_os_error() == Some(libc::EIO));
    Refusal {
        found: format!("{}, which refuses {}", title(bound), failure.request),
        remedy: if down { "bring the interface up first" } else { "" },
        source,
    }
}

/// The flag of the header cannot change on a bound descriptor; its length can.
fn wanted(bound: &Bound, asked: Offload) -> Result<Offload, Refusal> {
    match (bound.has(HEADER), asked.header_len) {
        (false, 0) => Ok(Offload::NONE),
        (false, _) => Err(Refusal {
            found: format!("{} without virtio-net headers", title(bound)),
            remedy: "open it with IFF_VNET_HDR, or ask for no offload",
            source: None,
        }),
        (true, 0) => Ok(Offload { header_len: DEFAULT_HEADER, ..Offload::NONE }),
        (true, _) => Ok(asked),
    }
}

fn title(bound: &Bound) -> String {
    format!("the TAP {}", bound.name)
}

fn no_tap(fd: BorrowedFd<'_>, source: io::Error) -> Refusal {
    let (found, remedy) = match source.raw_os_error() {
        Some(libc::EBADFD) => (
            "a TUN/TAP descriptor bound to no interface: it never was, or the interface was removed"
                .to_owned(),
            "bind it first (TUNSETIFF)",
        ),
        Some(libc::ENOLINK) => ("a macvtap whose interface was removed".to_owned(), ""),
        _ => (format!("the character device {}, no TAP", path(fd)), ""),
    };
    Refusal { found, remedy, source: Some(source) }
}

fn path(fd: BorrowedFd<'_>) -> String {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    fs::read_link(link).map_or_else(|_| "of unknown path".to_owned(), |path| path.display().to_string())
}

fn is_tun_device(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|status| (major(status.st_rdev), minor(status.st_rdev)) == TUN_DEVICE)
}

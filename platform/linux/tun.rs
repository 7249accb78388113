//! Making or opening an interface by `/dev/net/tun`, queue by queue, and binding it again after its removal.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::tap::descriptors::above_standard_streams;
use super::bound::{Bound, EXCLUSIVE, HEADER, MULTI_QUEUE, NO_PACKET_INFO, PERSISTENT, TAP};
use super::claim::claim;
use super::interface::Interface;
use super::ioctl::{self, Request};
use super::name::{check_name, is_template};
use super::netdev::{self, NetDevice};
use super::remedy;
use super::state::{self, Cause, Failure, State};
use crate::attach::{AttachError, Config, Creation, Owner, Source};
use crate::wire::Offload;

/// The device node, of which each open makes a descriptor to bind.
pub(super) const NODE: &str = "/dev/net/tun";

/// Makes or opens the interface `name` (`None`: the kernel's choice; `tap%d`: the kernel's number) with `queues` descriptors.
pub(super) fn attach(
    name: Option<&str>,
    config: &Config,
    queues: u16,
) -> Result<Vec<Interface>, AttachError> {
    let plan = Plan::new(name, config, queues > 1)?;
    let node = open()?;
    let (bound, created) = plan.make_or_take(node.as_fd())?;
    let state = plan.set_state(node.as_fd(), &bound, created)?;
    let multi_queue = queues > 1;
    let mut taps = vec![Interface::new(node, state, multi_queue, created)];
    for _ in 1..queues {
        let queue = plan.join(taps[0].as_fd(), bound.name.as_bytes())?;
        taps.push(Interface::new(queue, state, multi_queue, created));
    }
    Ok(taps)
}

/// Opens one more queue of the interface that `first` is bound to, whose state is that of the interface.
pub(super) fn add_queue(first: BorrowedFd<'_>, state: State) -> Result<Interface, AttachError> {
    let bound = Bound::of(first).map_err(|source| refused("TUNGETIFF", b"the descriptor", source))?;
    // In a network namespace without the first queue's interface, its name means another interface or none.
    NetDevice::of(first).map_err(|source| refused("TUNGETDEVNETNS", bound.name.as_bytes(), source))?;
    let config = Config::new().offload(state.granted);
    let queue = Plan::new(None, &config, true)?.join(first, bound.name.as_bytes())?;
    Ok(Interface::new(queue, state, true, false))
}

/// Makes the interface outlive its descriptors. The owner is set first, so that at no moment anybody may attach to the
/// interface.
pub(super) fn persist(fd: BorrowedFd<'_>, owner: Owner) -> Result<(), AttachError> {
    let steps = [
        (owner.user, ioctl::SET_OWNER, "TUNSETOWNER"),
        (owner.group, ioctl::SET_GROUP, "TUNSETGROUP"),
        (Some(1), ioctl::SET_PERSISTENT, "TUNSETPERSIST"),
    ];
    for (value, call, request) in steps {
        let Some(value) = value else { continue };
        call.call(fd, value).map_err(|source| {
            let object =
                netdev::name(fd).map_or_else(|_| "the descriptor".to_owned(), |name| name.to_string());
            AttachError::Request { request, object, remedy: remedy::of_persist(&source), source }
        })?;
    }
    Ok(())
}

/// Binds the descriptor of a removed interface again; it stays the same one to a poller. A descriptor that is bound already
/// (an earlier try failed after that step) only gets its state set.
pub(super) fn bind_again(
    fd: BorrowedFd<'_>,
    config: &Config,
    multi_queue: bool,
) -> Result<Offload, AttachError> {
    let name = match &config.source {
        Source::Name(name) => Some(name.as_str()),
        Source::Datalink(_) => return Err(AttachError::Unsupported { what: "re-attaching a data link" }),
        _ => None,
    };
    let plan = Plan::new(name, config, multi_queue)?;
    let bound = match Bound::of(fd) {
        Ok(bound) => plan.same_name(bound)?,
        Err(error) if error.raw_os_error() == Some(libc::EBADFD) => {
            // Another queue may have made the interface a moment ago. So only a single queue can ask for a new interface.
            let exclusive = if multi_queue { 0 } else { plan.exclusive() };
            let bound = plan.bind(fd, plan.name.as_bytes(), plan.flags | exclusive)?;
            plan.compare_packet_info(fd, &bound).map(|()| bound)?
        }
        Err(_) => return Err(AttachError::Unsupported { what: "re-attaching a device that is not a TAP" }),
    };
    // The descriptor may have state from its earlier use, even where the interface is new.
    plan.set_state(fd, &bound, false).map(|state| state.granted)
}

/// Opens the node close-on-exec, and non-blocking from the start.
fn open() -> Result<OwnedFd, AttachError> {
    let opened = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(NODE);
    opened.map(OwnedFd::from).and_then(above_standard_streams).map_err(|source| AttachError::Open {
        path: Path::new(NODE).to_owned(),
        remedy: remedy::of_open(&source),
        source,
    })
}

/// What the attach asks of the kernel. It is checked before the first request.
struct Plan<'a> {
    name: &'a str,
    flags: u16,
    config: &'a Config,
}

impl<'a> Plan<'a> {
    fn new(name: Option<&'a str>, config: &'a Config, multi_queue: bool) -> Result<Self, AttachError> {
        name.map_or(Ok(()), check_name)?;
        let name = name.unwrap_or_default();
        if config.creation == Creation::MustExist && (name.is_empty() || is_template(name)) {
            let reason =
                "only the name of one interface says which must exist: give one by Config::name, no template"
                    .to_owned();
            return Err(AttachError::BadOption { option: "must_exist".to_owned(), reason });
        }
        let header = if config.offload.header_len > 0 { HEADER } else { 0 };
        let queues = if multi_queue { MULTI_QUEUE } else { 0 };
        Ok(Self { name, flags: TAP | NO_PACKET_INFO | header | queues, config })
    }

    fn exclusive(&self) -> u16 {
        if self.config.creation == Creation::Exclusive { EXCLUSIVE } else { 0 }
    }

    /// Binds a fresh descriptor; `true` when that made the interface.
    fn make_or_take(&self, fd: BorrowedFd<'_>) -> Result<(Bound, bool), AttachError> {
        let name = self.name.as_bytes();
        let is_named = !name.is_empty() && !is_template(self.name);
        let shared = self.flags & MULTI_QUEUE != 0;
        // Several processes may open a multi-queue interface. The kernel tells whether it is new only to a caller that asks
        // for a new one.
        if shared && is_named && self.config.creation == Creation::Either {
            let request = Request::about(name).with_flags(self.flags | EXCLUSIVE);
            if ioctl::SET_IFF.call(fd, request).is_ok() {
                let bound = Bound::of(fd).map_err(|source| refused("TUNGETIFF", name, source))?;
                return self.compare(&bound).map(|()| (bound, true));
            }
        }
        let bound = self.bind(fd, name, self.flags | self.exclusive())?;
        let created = match self.config.creation {
            Creation::MustExist => false,
            Creation::Exclusive => true,
            // An interface that is not persistent exists only while somebody has it open. Nobody else can have one with a
            // single queue open.
            Creation::Either => !is_named || !shared && !bound.has(PERSISTENT),
        };
        if !created {
            self.compare_packet_info(fd, &bound)?;
        }
        Ok((bound, created))
    }

    /// Binds `fd` to `name` and reads back what came of it.
    fn bind(&self, fd: BorrowedFd<'_>, name: &[u8], flags: u16) -> Result<Bound, AttachError> {
        let before = if self.config.creation == Creation::MustExist { Some(index_of(name)?) } else { None };
        claim(fd, name, flags, self.config)?;
        let bound = Bound::of(fd).map_err(|source| refused("TUNGETIFF", name, source))?;
        // The interface may have gone between the two calls. The second call then made a new interface, which goes when the
        // descriptor is closed.
        if before.is_some_and(|before| index_of(name).ok() != Some(before)) {
            return Err(missing(name));
        }
        self.compare(&bound)?;
        Ok(bound)
    }

    /// Refuses the interface that is still there when it is not the one that was asked for.
    fn same_name(&self, bound: Bound) -> Result<Bound, AttachError> {
        if self.name.is_empty() || is_template(self.name) || self.name.as_bytes() == bound.name.as_bytes() {
            return Ok(bound);
        }
        Err(AttachError::Mismatch {
            what: "re-attach: the name of the interface that is still attached",
            wanted: self.name.to_owned(),
            found: bound.name.to_string(),
        })
    }

    /// Compares the mode with what was asked for: the kernel silently gives a further queue the mode of the first.
    fn compare(&self, bound: &Bound) -> Result<(), AttachError> {
        let relevant = TAP | HEADER | MULTI_QUEUE;
        if bound.flags & relevant != self.flags & relevant {
            return Err(AttachError::Mismatch {
                what: "the mode (flags of TUNGETIFF)",
                wanted: format!("{:#06x}", self.flags & relevant),
                found: format!("{:#06x}", bound.flags & relevant),
            });
        }
        Ok(())
    }

    fn compare_packet_info(&self, fd: BorrowedFd<'_>, bound: &Bound) -> Result<(), AttachError> {
        let shared = bound.has(MULTI_QUEUE);
        if shared && bound.packet_info(fd).map_err(|failure| describe(failure, bound.name.as_bytes()))? {
            return Err(AttachError::Mismatch {
                what: "the packet-info header",
                wanted: "off".to_owned(),
                found: "on".to_owned(),
            });
        }
        Ok(())
    }

    /// Opens one more queue of the interface that `first` is bound to. All the state is the interface's, and is set.
    fn join(&self, first: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, AttachError> {
        let node = open()?;
        claim(node.as_fd(), name, self.flags, self.config)?;
        let bound = Bound::of(node.as_fd()).map_err(|source| refused("TUNGETIFF", name, source))?;
        self.compare(&bound)?;
        // Two interfaces cannot bear one name at one time, so equal names are one interface. Unequal ones mean that the first
        // was renamed meanwhile and this is a new one.
        let current = Bound::of(first).map_err(|source| refused("TUNGETIFF", name, source))?;
        if current.name != bound.name {
            let (wanted, found) = (current.name.to_string(), bound.name.to_string());
            return Err(AttachError::Mismatch { what: "the interface of a further queue", wanted, found });
        }
        Ok(node)
    }

    /// Undoes what an earlier owner left, if there may have been an earlier owner.
    fn set_state(&self, fd: BorrowedFd<'_>, bound: &Bound, fresh: bool) -> Result<State, AttachError> {
        let wanted = self.config.offload;
        let set = || match (fresh, self.config.keep_state) {
            (true, _) => state::of_fresh(fd, wanted),
            (false, true) => state::keep(fd, wanted),
            (false, false) => state::clear_filters(fd).and_then(|()| state::reset(fd, wanted)),
        };
        set().map_err(|failure| describe(failure, bound.name.as_bytes()))
    }
}

fn index_of(name: &[u8]) -> Result<u32, AttachError> {
    match NetDevice::named(name).and_then(|device| device.index()) {
        Ok(index) => Ok(index),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Err(missing(name)),
        Err(source) => Err(refused("SIOCGIFINDEX", name, source)),
    }
}

fn missing(name: &[u8]) -> AttachError {
    AttachError::Missing { name: String::from_utf8_lossy(name).into_owned() }
}

fn refused(request: &'static str, name: &[u8], source: io::Error) -> AttachError {
    AttachError::Request { request, object: String::from_utf8_lossy(name).into_owned(), remedy: "", source }
}

fn describe(failure: Failure, name: &[u8]) -> AttachError {
    match failure.cause {
        Cause::Refused(source) => refused(failure.request, name, source),
        Cause::ReadBack { wanted, found } => AttachError::Mismatch {
            what: "the header's length (TUNGETVNETHDRSZ)",
            wanted: wanted.to_string(),
            found: found.to_string(),
        },
    }
}

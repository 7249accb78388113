//! The multiplexor and the links below it.
//!
//! `/dev/udp` carries none of the packets: it only holds the links, as ifconfig(8) and libipadm use it. A link made with
//! `I_LINK` goes when the multiplexor's last descriptor closes, at the latest when the process ends, however it ends.

use std::ffi::c_int;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use log::warn;

use super::abi::{I_LINK, I_POP, I_PUSH, I_UNLINK};
use super::name::TapName;
use super::{refusal, streams};
use crate::attach::{AttachError, DetachError};

/// More modules than the kernel lets a stream have (`nstrpush`).
const TOO_MANY_MODULES: usize = 10;

/// What the kernel calls a link: above 0.
///
/// 0 names none, and -1 would name them all: of the whole machine, in `I_PUNLINK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MuxId(c_int);

impl MuxId {
    pub(super) fn new(number: c_int) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    pub(super) fn number(self) -> c_int {
        self.0
    }
}

/// The IP version that a multiplexor serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Tools that unplumb an interface look for its links below this driver.
    pub(super) fn node(self) -> &'static str {
        match self {
            Self::V4 => "/dev/udp",
            Self::V6 => "/dev/udp6",
        }
    }
}

/// An open multiplexor. The links below it share its descriptor, which closes after the last of them.
#[derive(Clone, Debug)]
pub(super) struct Mux {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) family: Family,
}

impl Mux {
    /// Opens the driver alone, as questions about an interface need it.
    pub(super) fn open(family: Family) -> Result<Self, AttachError> {
        let fd = streams::open(family.node()).map_err(refusal::open(family.node()))?;
        Ok(Self { fd: Arc::new(fd), family })
    }

    /// Opens the driver again under the same number; the links below the former one go.
    pub(super) fn renew(&self) -> Result<(), AttachError> {
        let fresh = streams::open(self.family.node()).map_err(refusal::open(self.family.node()))?;
        streams::replace(self.fd.as_fd(), &fresh).map_err(refusal::request("dup3", self.family.node()))
    }

    /// Puts `arp` in the place of whatever autopush(8) put above the driver. illumos gains nothing by it; older Solaris
    /// opens `/dev/udp` with a module that must give way.
    pub(super) fn prepare(&self) -> Result<(), AttachError> {
        let node = self.family.node();
        for _ in 0..TOO_MANY_MODULES {
            match streams::pop(&self.fd) {
                Ok(()) => {}
                Err(error) if refusal::is(&error, libc::EINVAL) => {
                    return streams::push(&self.fd, c"arp")
                        .map_err(refusal::of(I_PUSH, format!("arp above {node}")));
                }
                Err(error) => return Err(refusal::of(I_POP, node)(error)),
            }
        }
        Err(refusal::mismatch("I_POP: modules above the multiplexor", "9 at most", "more than 9"))
    }

    /// Links `lower`. Its own descriptor can close then: the link keeps the stream.
    pub(super) fn link(
        &self,
        lower: &OwnedFd,
        module: &'static str,
        name: TapName,
    ) -> Result<MuxLink, AttachError> {
        let object = || format!("the {module} stream of {name} below {}", self.family.node());
        let number = streams::link(&self.fd, lower).map_err(refusal::of(I_LINK, object()))?;
        let id = MuxId::new(number).ok_or_else(|| {
            refusal::mismatch("I_LINK: the muxid", format!("above 0 for {}", object()), number)
        })?;
        Ok(MuxLink { mux: Arc::clone(&self.fd), id, module, name, linked: true })
    }
}

/// One link. Dropping it unlinks.
#[derive(Debug)]
pub(super) struct MuxLink {
    mux: Arc<OwnedFd>,
    id: MuxId,
    module: &'static str,
    name: TapName,
    linked: bool,
}

impl MuxLink {
    pub(super) fn id(&self) -> MuxId {
        self.id
    }

    /// Unlinks, and tells what the kernel said. A link that it refuses to undo goes when the multiplexor closes.
    pub(super) fn unlink(mut self) -> Result<(), DetachError> {
        self.release().map_err(|source| DetachError::Request {
            request: I_UNLINK.name,
            object: self.to_string(),
            source,
        })
    }

    fn release(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.linked) {
            return Ok(());
        }
        streams::unlink(&self.mux, self.id)
    }
}

impl Drop for MuxLink {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            warn!("I_UNLINK on {self}: {error}; the multiplexor's close unlinks it");
        }
    }
}

impl fmt::Display for MuxLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} stream of {}, muxid {}", self.module, self.name, self.id.number())
    }
}

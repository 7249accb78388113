//! An existing data link, a vnic as a rule, as the guest's end of the cable. dlpi(4P), bufmod(4M)
//!
//! One bound stream of its node carries whole frames; another one asks, sets and is told. Closing both undoes everything
//! but the link's address, which is put back first. Facts: illumos' `uts/common/io/dld`, `dls`, `mac`, `bufmod.c`.
//!
//! - `open` is the sequence; `adopt` takes a stream from somebody else; `primitive` one request and its answer; `control` the second stream.

mod adopt;
mod control;
mod name;
mod open;
mod primitive;
mod refusal;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::tap::{FrameLimits, Tags};
use crate::attach::{AttachError, Config, DetachError, InterfaceName};
use control::{Control, Info};
use name::LinkName;

pub(crate) use adopt::{adopt, is_one};
pub(crate) use name::check_name;

const ETHERNET_HEADER: usize = 14;
const TAG: usize = 4;
/// Between links of one host nobody pads.
const SHORTEST: usize = 60;
/// The head of a stream cuts a longer write into several frames.
const LONGEST_WRITE: usize = 65536;

/// What an attach has made. It is dropped in this order: the address must be put back while the link is still ours.
#[derive(Debug)]
pub(crate) struct Datalink {
    link: LinkName,
    control: Control,
    frames: OwnedFd,
    known: Mutex<Known>,
}

/// What was last read of a link, for when it cannot be read: without an address others' frames would be the guest's.
#[derive(Clone, Copy, Debug)]
struct Known {
    info: Info,
    address: [u8; 6],
}

impl Datalink {
    fn new(link: LinkName, control: Control, frames: OwnedFd, known: Known) -> Self {
        Self { link, control, frames, known: Mutex::new(known) }
    }

    pub(super) fn attach(name: &str, config: &Config) -> Result<Self, AttachError> {
        open::attach(LinkName::parse(name)?, config)
    }

    /// Says what failed on the way; the streams close all the same.
    pub(super) fn detach(self) -> Result<(), DetachError> {
        self.control.restore().map_err(|error| DetachError::Request {
            request: "DL_SET_PHYS_ADDR_REQ",
            object: self.link.node(),
            source: error.into(),
        })
    }

    /// Gives out the descriptor of an adopted stream, unless an address depends on it.
    pub(super) fn into_fd(self: Box<Self>) -> Result<OwnedFd, Box<Self>> {
        let is_all = self.link == LinkName::UNTOLD && !self.control.has_set_address();
        if is_all { Ok(self.frames) } else { Err(self) }
    }

    pub(super) fn name(&self) -> io::Result<InterfaceName> {
        let untold =
            || io::Error::new(io::ErrorKind::Unsupported, "a data link's stream does not tell its name");
        self.link.text().ok_or_else(untold)
    }

    /// As the link is now: over an etherstub its MTU can change at any time.
    pub(super) fn limits(&self) -> FrameLimits {
        let read = self.control.info();
        let mut known = self.known();
        known.info = read.unwrap_or(known.info);
        let info = known.info;
        let longest = (info.mtu + ETHERNET_HEADER).min(LONGEST_WRITE - TAG);
        let tags = if info.in_vlan { Tags::PriorityAlone } else { Tags::Meaningful };
        FrameLimits { shortest: SHORTEST, padded_from: ETHERNET_HEADER, longest, tags, ends_silently: false }
    }

    pub(super) fn mtu(&self) -> io::Result<u32> {
        let mtu = self.control.info()?.mtu;
        u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// The guest's address.
    pub(super) fn station(&self) -> [u8; 6] {
        let read = self.control.address();
        let mut known = self.known();
        known.address = read.unwrap_or(known.address);
        known.address
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hardware_address(&self) -> io::Result<[u8; 6]> {
        Ok(self.control.address()?)
    }

    pub(super) fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        Ok(self.control.set_address(address)?)
    }

    pub(super) fn news_fd(&self) -> Option<BorrowedFd<'_>> {
        self.control.news_fd()
    }

    pub(super) fn take_news(&self) -> io::Result<Option<bool>> {
        self.control.take_news()
    }

    pub(super) fn clear_way(&self) -> io::Result<()> {
        self.control.clear_way(self.as_fd())
    }
}

impl AsFd for Datalink {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.frames.as_fd()
    }
}

//! The second stream of a link, which is never bound: it asks and sets, so that the frames' stream carries frames alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::warn;
use nix::poll::PollFlags;

use super::super::abi::{
    DL_ETHER, DL_IDLE, DL_NOTE_LINK_DOWN, DL_NOTE_LINK_UP, DL_NOTE_PHYS_ADDR, DL_NOTE_SDU_SIZE,
    DL_NOTIFY_ACK, DL_NOTIFY_IND, DL_NOTIFY_REQ, DL_STYLE1, DL_STYLE2, DL_UNBOUND,
};
use super::super::answer::{self, Answer};
use super::super::{options, streams};
use super::name::LinkName;
use super::primitive::{self, Fault, Primitive};
use super::refusal;
use crate::attach::AttachError;

/// The changes that the driver is to report.
const NEWS: u32 = DL_NOTE_LINK_UP | DL_NOTE_LINK_DOWN | DL_NOTE_SDU_SIZE | DL_NOTE_PHYS_ADDR;

/// What `DL_INFO_ACK` says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Info {
    /// The longest payload of a frame, in bytes.
    pub(super) mtu: usize,
    /// The link is in a VLAN of its own, whose tags the system adds and removes.
    pub(super) in_vlan: bool,
}

/// The address before this process set one, and all that it has set since. A request that seems to fail leaves open which of
/// them is in force.
#[derive(Clone, Debug)]
struct Borrowed {
    former: [u8; 6],
    ours: Vec<[u8; 6]>,
}

/// Dropping it puts the address back.
#[derive(Debug)]
pub(super) struct Control {
    link: LinkName,
    /// Held while a request waits for its answer. The address is noted before it is set.
    asking: Mutex<Option<Borrowed>>,
    stream: OwnedFd,
    /// The stream is the one that carries the frames, and the driver must report nothing among them.
    beside_frames: bool,
}

impl Control {
    pub(super) fn open(link: LinkName) -> Result<Self, AttachError> {
        let stream = streams::open_non_blocking(&link.node()).map_err(refusal::open(link))?;
        let control = Self { link, asking: Mutex::new(None), stream, beside_frames: false };
        control.subscribe().map_err(refusal::primitive("DL_NOTIFY_REQ", link))?;
        Ok(control)
    }

    /// Of a link whose one stream carries the frames; `stream` is a duplicate of it.
    pub(super) fn beside(stream: OwnedFd) -> Self {
        Self { link: LinkName::UNTOLD, asking: Mutex::new(None), stream, beside_frames: true }
    }

    /// Asks to be told. Other than the rest, the answer comes as an ordinary message.
    fn subscribe(&self) -> Result<(), Fault> {
        let mut request: Vec<u8> =
            [DL_NOTIFY_REQ, NEWS, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        streams::put_priority(&self.stream, &mut request)?;
        answer::await_message(&self.stream, PollFlags::POLLIN | PollFlags::POLLPRI)?;
        let answer = Answer::take_any(self.stream.as_fd())?;
        answer.require(DL_NOTIFY_ACK).map(drop).map_err(Fault::Unwanted)
    }

    pub(super) fn info(&self) -> Result<Info, AttachError> {
        let answer = self.ask(primitive::INFO)?;
        read_info(&answer, self.link, None)
    }

    /// What a link is whose stream has to be bound.
    pub(super) fn info_of_bound(&self) -> Result<Info, AttachError> {
        read_info(&self.ask(primitive::INFO)?, self.link, Some(DL_IDLE))
    }

    pub(super) fn address(&self) -> Result<[u8; 6], AttachError> {
        let held = self.lock();
        self.read_address(&held)
    }

    /// Sets the address, which is put back in the end.
    pub(super) fn set_address(&self, address: [u8; 6]) -> Result<(), AttachError> {
        if !options::is_station_address(address) {
            return Err(refusal::bad("hardware_address", options::NO_STATION_ADDRESS));
        }
        let mut held = self.lock();
        let current = self.read_address(&held)?;
        if current == address {
            return Ok(());
        }
        let before = held.take();
        // An address that this process did not set is one that the administrator has set since. That address is put back in
        // the end.
        let known = before.clone().filter(|borrowed| borrowed.ours.contains(&current));
        let mut borrowed = known.unwrap_or(Borrowed { former: current, ours: Vec::new() });
        borrowed.ours.push(address);
        // Noted first: a request that seems to fail may have been carried out.
        *held = Some(borrowed);
        self.write_address(&held, address).inspect_err(|_| {
            // If the request was not carried out, the earlier note still holds: an address of ours, or none.
            if self.read_address(&held).is_ok_and(|now| now == current) {
                *held = before;
            }
        })
    }

    /// Puts the former address back, unless somebody else has set another one since.
    pub(super) fn restore(&self) -> Result<(), AttachError> {
        let mut held = self.lock();
        let Some(borrowed) = held.take() else { return Ok(()) };
        match self.read_address(&held) {
            Ok(current) if !borrowed.ours.contains(&current) => Ok(()),
            // A signal or a shortage of a moment must not cost the link its address.
            _ => self
                .write_address(&held, borrowed.former)
                .or_else(|_| self.write_address(&held, borrowed.former)),
        }
    }

    fn read_address(&self, held: &MutexGuard<'_, Option<Borrowed>>) -> Result<[u8; 6], AttachError> {
        let answer = self.ask_holding(held, primitive::ADDRESS)?;
        answer.address().ok_or_else(|| {
            super::super::refusal::mismatch("DL_PHYS_ADDR_ACK: its address", "6 bytes", "another length")
        })
    }

    fn write_address(
        &self,
        held: &MutexGuard<'_, Option<Borrowed>>,
        address: [u8; 6],
    ) -> Result<(), AttachError> {
        self.ask_holding(held, primitive::set_address(&address)).map(drop)
    }

    fn ask(&self, primitive: Primitive<'_>) -> Result<Answer, AttachError> {
        self.ask_holding(&self.lock(), primitive)
    }

    /// Asks once more if the answer belonged to an earlier request, for which nobody waited any more.
    fn ask_holding(
        &self,
        _: &MutexGuard<'_, Option<Borrowed>>,
        primitive: Primitive<'_>,
    ) -> Result<Answer, AttachError> {
        let ask = || {
            primitive::discard_late(&self.stream)?;
            primitive::ask(&self.stream, primitive)
        };
        let answer = match ask() {
            Err(fault) if fault.is_astray() => ask(),
            outcome => outcome,
        };
        answer.map_err(refusal::primitive(primitive.name, self.link))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Borrowed>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an address of ours is on the link, which is to be put back.
    pub(super) fn has_set_address(&self) -> bool {
        self.lock().is_some()
    }

    /// Becomes readable when something is told.
    pub(super) fn news_fd(&self) -> Option<BorrowedFd<'_>> {
        if self.beside_frames { None } else { Some(self.stream.as_fd()) }
    }

    /// Takes a message of the driver's that stands before the `frames`, which a read cannot pass. An answer that somebody waits
    /// for is left to them.
    pub(super) fn clear_way(&self, frames: BorrowedFd<'_>) -> io::Result<()> {
        let _held = self.lock();
        let (mut control, mut data) = ([0; 512], [0; 2048]);
        // If somebody has taken the message meanwhile, nothing may be there, or a frame. A frame stays, because the call
        // offers no room for data.
        let first = match streams::get_message(frames, &mut control, &mut []) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            first => first?,
        };
        let mut more = first.control.is_some() && first.more;
        while more {
            more = streams::get_message(frames, &mut control, &mut data)?.more;
        }
        Ok(())
    }

    /// Takes what the driver has reported. Returns `true` or `false` if the last report about the link was that it is up, or
    /// down.
    pub(super) fn take_news(&self) -> io::Result<Option<bool>> {
        if self.beside_frames {
            return Ok(None);
        }
        let _held = self.lock();
        let mut state = None;
        loop {
            match Answer::take_any(self.stream.as_fd()) {
                // The end of the stream, which is told for ever.
                Ok(told) if told.word(0).is_none() => return Err(io::Error::from_raw_os_error(libc::ENXIO)),
                Ok(told) => state = link_state(&told).or(state),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(state),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            warn!(
                "{} keeps the MAC address that the attach set, since the former one could not be put back: {error}",
                self.link
            );
        }
    }
}

fn link_state(told: &Answer) -> Option<bool> {
    match (told.word(0), told.word(1)) {
        (Some(DL_NOTIFY_IND), Some(DL_NOTE_LINK_UP)) => Some(true),
        (Some(DL_NOTIFY_IND), Some(DL_NOTE_LINK_DOWN)) => Some(false),
        _ => None,
    }
}

/// Reads what a link is, and refuses what carries no Ethernet frames, or whose stream is in another state than it has to be.
pub(super) fn read_info(answer: &Answer, link: LinkName, state: Option<u32>) -> Result<Info, AttachError> {
    /// Bytes of an address with the Ethernet type behind it, which is what the negative length says.
    const ADDRESS: u32 = 8;
    const TYPE_BEHIND: u32 = (-2_i32).cast_unsigned();
    if answer.word(4) != Some(DL_ETHER) {
        let remedy = "a vnic over an Ethernet NIC or an etherstub is needed";
        return Err(refusal::wrong_kind(link, "it carries no Ethernet frames", remedy));
    }
    // A bound stream is attached, whichever way its style came to that.
    let styled = match answer.word(13) {
        Some(DL_STYLE1) => true,
        Some(DL_STYLE2) => state != Some(DL_UNBOUND),
        _ => false,
    };
    let framework = (answer.word(3), answer.word(7)) == (Some(ADDRESS), Some(TYPE_BEHIND)) && styled;
    let unready = state.is_some() && answer.word(6) != state;
    if framework && unready && state == Some(DL_IDLE) {
        let found = "its stream is not bound";
        return Err(refusal::wrong_kind(
            link,
            found,
            "bind it (DL_BIND_REQ), or name the link in Config::datalink",
        ));
    }
    if !framework || unready {
        let found = "its driver is not one of the GLDv3 framework";
        return Err(refusal::wrong_kind(link, found, "try a vnic over it (`dladm create-vnic`)"));
    }
    let mtu = answer.word(1).and_then(|mtu| usize::try_from(mtu).ok()).unwrap_or(0);
    Ok(Info { mtu, in_vlan: answer.word(9).is_some_and(|len| len > 0) })
}

//! What a data link of the host needs beyond a TAP: frames filled up, tags looked at, others' frames dropped, checksums
//! of neighbours finished. Nothing of it is on the way of a TAP's frame.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

use super::Backend;
use super::error::{ReceiveError, TransmitError};
use super::generation::Generation;
use super::link::LinkState;
use crate::memory::{FrameMemory, FrameSlice, ReceiveMemory, with_slices};
use crate::platform::{FrameLimits, Tags, frame_io};
use crate::wire::RejectReason;
use crate::wire::headers::ethernet;

/// The longest filling: no system fills a frame up beyond the shortest one of Ethernet.
const ZEROS: [u8; 60] = [0; 60];
/// A stream's head never holds more frames; it bounds a search while others keep sending.
const MOST_FOREIGN: usize = 65536;
/// Marks an address, none of which has more than 48 bits.
const SOME: u64 = 1 << 48;

/// Below which length a frame is looked at before it is sent: on a data link each one is.
pub(super) fn looked_at_below(limits: FrameLimits) -> usize {
    if limits.tags == Tags::Unchecked { limits.padded_from } else { usize::MAX }
}

/// What the engine keeps of a station's address: one number, which is never 0.
pub(super) fn station_number([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    SOME | u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// What a data link tells, for a loop of one's own.
impl Backend {
    /// A second descriptor, which becomes readable when a [data link](crate::Config::datalink) tells that its MTU, its address
    /// or its carrier has changed; `None` where nothing tells. [`Threads`](crate::Threads) poll it themselves.
    ///
    /// Poll it for `POLLIN` and `POLLPRI`. A late answer of the link's driver may be queued before the news, and `POLLPRI`
    /// alone reports such an answer.
    #[must_use]
    pub fn link_events(&self) -> Option<BorrowedFd<'_>> {
        self.tap.news_fd()
    }

    /// Takes everything that [`link_events`](Self::link_events) tells, after which lengths and address are up to date.
    /// Returns the carrier of the host's side, if the link reported it. The device can pass that on to the guest;
    /// [`set_link_state`](Self::set_link_state) is not called.
    ///
    /// # Errors
    /// The system's error.
    pub fn take_link_events(&self) -> io::Result<Option<LinkState>> {
        let carrier = self.tap.take_news()?;
        self.refresh_mtu();
        Ok(carrier.map(|up| if up { LinkState::Up } else { LinkState::Down }))
    }
}

impl Backend {
    /// Refuses a frame that is too short, or that a link would drop for its tag without a word.
    #[inline(never)]
    pub(super) fn look_at(&self, memory: &FrameMemory<'_>, len: usize) -> Result<(), TransmitError> {
        if len < self.limits.padded_from {
            return Err(TransmitError::Runt { len, limit: self.limits.padded_from });
        }
        if self.limits.tags != Tags::Unchecked
            && let Some(reason) = self.bad_tag(memory)
        {
            return Err(reason.into());
        }
        Ok(())
    }

    /// Refuses a frame that a link would drop without a word, or that its stream would cut.
    #[inline(always)]
    pub(super) fn check_verbatim(&self, frame: &FrameMemory<'_>) -> Result<(), TransmitError> {
        if self.limits.tags == Tags::Unchecked { Ok(()) } else { self.check_for_link(frame) }
    }

    #[inline(never)]
    fn check_for_link(&self, frame: &FrameMemory<'_>) -> Result<(), TransmitError> {
        let (len, limit) = (frame.len(), self.longest_sent.load(Ordering::Relaxed));
        self.look_at(frame, len)?;
        let headers = ethernet::LEN + if is_tagged(frame) { ethernet::TAG_LEN } else { 0 };
        if len <= headers {
            // Nothing fills such a frame up, and a frame of headers alone vanishes between the links of one host.
            return Err(TransmitError::Runt { len, limit: headers + 1 });
        }
        if len > limit && !self.is_longer_by_its_tag(frame, len) {
            return Err(TransmitError::Oversize { len, limit });
        }
        Ok(())
    }

    fn bad_tag(&self, memory: &FrameMemory<'_>) -> Option<RejectReason> {
        let mut front = [0; ethernet::LEN + 2];
        let filled = memory.copy_front(&mut front);
        let word = |at: usize| u16::from_be_bytes([front[at], front[at + 1]]);
        if word(ethernet::TYPE) != ethernet::VLAN {
            return None;
        }
        let (priority, vlan) = (word(ethernet::LEN) >> 13, word(ethernet::LEN) & 0x0fff);
        let whole = filled == front.len() && memory.len() >= ethernet::LEN + ethernet::TAG_LEN;
        let taken = match self.limits.tags {
            Tags::Unchecked => true,
            Tags::Meaningful => vlan != 0 || priority != 0,
            Tags::PriorityAlone => vlan == 0 && priority != 0,
        };
        (!whole || !taken).then_some(RejectReason::VlanTag)
    }

    /// Writes a frame whose length or number of slices is not the usual one, where the host takes it all the same.
    #[cold]
    #[inline(never)]
    pub(super) fn write_unusual(
        &self,
        slices: &[FrameSlice<'_>],
        len: usize,
        sent: u32,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        let limit = self.longest_sent.load(Ordering::Relaxed);
        if slices.len() > self.most_slices {
            return Err(TransmitError::TooManySlices { slices: slices.len(), limit: self.most_slices });
        }
        if len < self.limits.shortest {
            return self.write_filled_up(slices, len, sent, generation);
        }
        if len > limit && !self.is_longer_by_its_tag(&FrameMemory::shared(slices), len) {
            return Err(TransmitError::Oversize { len, limit });
        }
        self.write_again(frame_io::write(self.tap.as_fd(), slices), slices, len, sent, generation)
    }

    /// Zeros of our own stand behind the frame, so that nothing is copied.
    fn write_filled_up(
        &self,
        slices: &[FrameSlice<'_>],
        len: usize,
        sent: u32,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        let (whole, count) = (self.limits.shortest, slices.len() + 1);
        if count > self.most_slices {
            return Err(TransmitError::TooManySlices { slices: count, limit: self.most_slices });
        }
        with_slices(slices, &ZEROS[..(whole - len).min(ZEROS.len())], |slices| {
            self.write_again(frame_io::write(self.tap.as_fd(), slices), slices, whole, sent, generation)
        })
    }

    /// A link takes its longest frame with a tag, too.
    fn is_longer_by_its_tag(&self, frame: &FrameMemory<'_>, len: usize) -> bool {
        let limit = self.longest_sent.load(Ordering::Relaxed) + ethernet::TAG_LEN;
        self.limits.tags != Tags::Unchecked && len <= limit && is_tagged(frame)
    }

    /// Drops frames for other stations, from the one of `len` bytes that was read into `room` on, until one is the guest's.
    /// Gives its length; `None` when nothing is queued any more.
    #[inline(never)]
    pub(super) fn sift(
        &self,
        room: &ReceiveMemory<'_>,
        mut len: usize,
    ) -> Result<Option<usize>, ReceiveError> {
        for _ in 0..MOST_FOREIGN {
            let mut destination = [0; 6];
            room.copy_front(&mut destination);
            if destination[0] & 1 == 1 {
                // A neighbour, another station on the same NIC, leaves the checksum to the NIC. The NIC finishes it only for
                // frames that go to the wire.
                room.finish_checksum(len);
                return Ok(Some(len));
            }
            if self.is_for_guest(destination) {
                return Ok(Some(len));
            }
            self.count_received(len);
            self.counters.receive.foreign.one();
            match self.read(room, &mut [], 0)? {
                Some(next) => len = next,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn is_for_guest(&self, destination: [u8; 6]) -> bool {
        station_number(destination) == self.station.load(Ordering::Relaxed)
            || self.promiscuous.load(Ordering::Relaxed)
    }
}

fn is_tagged(frame: &FrameMemory<'_>) -> bool {
    let mut front = [0; ethernet::LEN];
    let filled = frame.copy_front(&mut front);
    filled == front.len() && front[ethernet::TYPE..] == ethernet::VLAN.to_be_bytes()
}

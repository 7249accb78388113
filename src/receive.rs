//! Frames from the host to the guest.

use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use log::debug;
use nix::errno::Errno;
use nix::unistd::read;

use crate::backend::Backend;
use crate::error::ReceiveError;
use crate::frame::Checksum;
use crate::gso::Gso;
use crate::platform::{self, ReadFault};
use crate::presence::Attachment;
use crate::reject::RejectReason;
use crate::slices::Room;
use crate::statistics::Counter;
use crate::straight::{Call, Straight, aside};
use crate::vnet_header;

/// Ethernet destination, source and type.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// A kernel queue is never longer; it bounds a drain while the host keeps sending.
const MOST_DISCARDED: u64 = 65536;

/// A received frame, in the caller's slices from their first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Bytes of the frame, with the Ethernet header, without FCS and virtio-net header.
    pub len: usize,
    /// Set for a frame that is larger than the MTU and still to be segmented.
    pub gso: Option<Gso>,
    /// What is left to do on the transport checksum.
    pub checksum: Checksum,
}

impl Received {
    /// A frame of which nothing is left to be done.
    #[inline]
    fn whole(len: usize) -> Self {
        Self { len, gso: None, checksum: Checksum::Complete }
    }
}

impl Backend {
    /// Takes one frame from the host into `slices`, or `None` when nothing is queued. Call it until it gives `None`
    /// before waiting again.
    ///
    /// Cheapest with one slice of at least [`receive_buffer_len`](Self::receive_buffer_len) bytes. While the guest's
    /// link is down, everything queued is dropped and counted.
    ///
    /// # Errors
    /// [`ReceiveError`]: the frame was too long for `slices` or malformed (it is consumed and counted; go on), or the
    /// interface is gone.
    #[inline(always)]
    pub fn receive(&self, slices: &mut [IoSliceMut<'_>]) -> Result<Option<Received>, ReceiveError> {
        self.receive_into(slices)
    }

    /// Takes one frame with its virtio-net header, untouched, into `slices`; gives the bytes of both together.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); [`ReceiveError::Unsupported`] when the TAP has no header.
    pub fn receive_with_header(&self, slices: &mut [IoSliceMut<'_>]) -> Result<Option<usize>, ReceiveError> {
        self.receive_into_with_header(slices)
    }

    /// Drops what the host has queued, counts it as stale and says how many frames it was. For a loop of your own,
    /// after a pause.
    pub fn discard_queued(&self) -> u64 {
        self.discard(&self.counters.receive.stale)
    }

    #[inline(always)]
    pub(crate) fn receive_into(&self, mut room: impl Room) -> Result<Option<Received>, ReceiveError> {
        if self.header_len == 0 {
            match self.take_straight(&mut room, &mut [], 0) {
                Straight::Done(len) => {
                    self.count_direct(len);
                    Ok(Some(Received::whole(len)))
                }
                Straight::Unusual(call) => Ok(self.receive_unusual(room, call)?.map(Received::whole)),
            }
        } else {
            aside();
            self.receive_behind_header(room)
        }
    }

    /// Gives the length only: what the usual way gives then needs no place in memory.
    #[cold]
    #[inline(never)]
    fn receive_unusual(
        &self,
        mut room: impl Room,
        call: Option<Call>,
    ) -> Result<Option<usize>, ReceiveError> {
        let taken = self.take_unusual(&mut room, &mut [], 0, call)?;
        Ok(taken.inspect(|len| self.count_direct(*len)))
    }

    #[inline(never)]
    fn receive_behind_header(&self, room: impl Room) -> Result<Option<Received>, ReceiveError> {
        let taken = self.take_behind_header(room)?;
        Ok(taken.inspect(|received| self.count_direct(received.len)))
    }

    pub(crate) fn receive_into_with_header(
        &self,
        mut room: impl Room,
    ) -> Result<Option<usize>, ReceiveError> {
        if self.header_len == 0 {
            return Err(ReceiveError::Unsupported { what: "a virtio-net header on this TAP" });
        }
        let taken = self.take_whole(&mut room, &mut [], self.header_len)?;
        Ok(taken.inspect(|len| self.count_direct(*len)).map(|len| len + self.header_len))
    }

    /// [`receive`](Self::receive) without counting the frame that it gives.
    #[inline(always)]
    pub(crate) fn take(&self, mut room: impl Room) -> Result<Option<Received>, ReceiveError> {
        if self.header_len == 0 {
            Ok(self.take_whole(&mut room, &mut [], 0)?.map(Received::whole))
        } else {
            self.take_behind_header(room)
        }
    }

    #[inline(always)]
    fn take_behind_header(&self, mut room: impl Room) -> Result<Option<Received>, ReceiveError> {
        let mut header = [0; vnet_header::LONGEST];
        let header = &mut header[..self.header_len];
        let Some(len) = self.take_whole(&mut room, header, 0)? else { return Ok(None) };
        if vnet_header::is_inert(header) {
            return Ok(Some(Received::whole(len)));
        }
        match room.interpret(header, len) {
            Ok((gso, checksum)) => Ok(Some(Received { len, gso, checksum })),
            Err(reason) => Err(self.reject_received(reason, len)),
        }
    }

    /// Takes a frame as [`read_frame`](Self::read_frame) reads it.
    #[inline(always)]
    fn take_whole(
        &self,
        room: &mut impl Room,
        header: &mut [u8],
        inside: usize,
    ) -> Result<Option<usize>, ReceiveError> {
        match self.take_straight(room, header, inside) {
            Straight::Done(len) => Ok(Some(len)),
            Straight::Unusual(call) => self.take_unusual(room, header, inside, call),
        }
    }

    /// Goes on with a frame for which a system call may have been made.
    #[cold]
    fn take_unusual(
        &self,
        room: &mut impl Room,
        header: &mut [u8],
        inside: usize,
        call: Option<Call>,
    ) -> Result<Option<usize>, ReceiveError> {
        match call {
            Some(Call { outcome, len, seen }) if outcome != Err(Errno::EINTR) => {
                self.read_outcome(outcome, header.len() + inside, len, room, seen)
            }
            _ => self.timed_receive(|| self.read_frame(header, room, inside)),
        }
    }

    #[cold]
    fn reject_received(&self, reason: RejectReason, len: usize) -> ReceiveError {
        self.count_received(len);
        self.counters.reject_received(reason);
        ReceiveError::Rejected(reason)
    }

    /// Reads one frame: `header` and `room` in one call, of which `inside` bytes of header lie in the room. Gives the
    /// length of the frame alone.
    #[inline(always)]
    fn read_frame(
        &self,
        header: &mut [u8],
        room: &mut impl Room,
        inside: usize,
    ) -> Result<Option<usize>, ReceiveError> {
        let Some(seen) = self.presence.seen() else { return Err(ReceiveError::Gone) };
        if !self.link.is_up() {
            self.discard(&self.counters.receive.link_down);
            return if self.is_gone() { Err(ReceiveError::Gone) } else { Ok(None) };
        }
        let bytes = header.len() + room.bytes();
        let spare = bytes > self.header_len + self.largest.load(Ordering::Relaxed);
        let count = room.count() + usize::from(!header.is_empty()) + usize::from(!spare);
        if count > self.most_slices {
            return Err(ReceiveError::TooManySlices { slices: count, limit: self.most_slices });
        }
        loop {
            let outcome = room.read(self.tap.as_fd(), header, spare);
            if outcome != Err(Errno::EINTR) {
                return self.read_outcome(outcome, header.len() + inside, bytes, room, seen);
            }
        }
    }

    #[inline(always)]
    fn read_outcome(
        &self,
        outcome: Result<usize, Errno>,
        ahead: usize,
        bytes: usize,
        room: &impl Room,
        seen: Attachment,
    ) -> Result<Option<usize>, ReceiveError> {
        match outcome {
            Ok(0) => Err(self.found_gone(seen)),
            Ok(len) => self.check_frame(len, ahead, bytes, room).map(Some),
            Err(errno) => self.read_failed(errno, seen),
        }
    }

    #[inline(always)]
    fn check_frame(
        &self,
        len: usize,
        ahead: usize,
        bytes: usize,
        room: &impl Room,
    ) -> Result<usize, ReceiveError> {
        let frame_len = len.min(bytes).saturating_sub(ahead);
        if len > bytes {
            return Err(self.truncated(frame_len, bytes.saturating_sub(ahead)));
        }
        if frame_len < ETHERNET_HEADER {
            return Err(self.runt(frame_len));
        }
        self.log.receive(room, len);
        Ok(frame_len)
    }

    #[cold]
    fn truncated(&self, len: usize, room: usize) -> ReceiveError {
        self.count_received(len);
        self.counters.receive.truncated.one();
        self.look_up_largest();
        ReceiveError::Truncated { room }
    }

    #[cold]
    fn runt(&self, len: usize) -> ReceiveError {
        self.count_received(len);
        self.counters.receive.runt.one();
        ReceiveError::Runt { len }
    }

    #[cold]
    fn read_failed<T>(&self, errno: Errno, seen: Attachment) -> Result<Option<T>, ReceiveError> {
        match platform::read_fault(errno as i32) {
            ReadFault::Empty | ReadFault::Interrupted => Ok(None),
            ReadFault::Gone => Err(self.found_gone(seen)),
            ReadFault::Other => {
                self.counters.receive.io_error.one();
                Err(ReceiveError::Io { source: io::Error::from(errno) })
            }
        }
    }

    #[cold]
    fn found_gone(&self, seen: Attachment) -> ReceiveError {
        self.mark_gone(seen);
        ReceiveError::Gone
    }

    /// Reads and drops what is queued. The kernel cuts each frame to the small buffer and forgets the rest.
    #[cold]
    pub(crate) fn discard(&self, cause: &Counter) -> u64 {
        let Some(seen) = self.presence.seen() else { return 0 };
        let mut count = 0;
        while count < MOST_DISCARDED
            && let Some(len) = self.drop_one(seen)
        {
            self.count_received(len.saturating_sub(self.header_len));
            cause.one();
            count += 1;
        }
        if count > 0 {
            debug!("dropped {count} queued frames of {:?}", self.tap);
        }
        count
    }

    /// Gives the bytes that were read, or `None` when nothing more comes. That the interface is gone is noted: some
    /// systems tell it once, and then that nothing is queued.
    fn drop_one(&self, seen: Attachment) -> Option<usize> {
        let mut scratch = [0; 64];
        loop {
            match read(&self.tap, &mut scratch) {
                Ok(0) => self.mark_gone(seen),
                Ok(len) => return Some(len),
                Err(Errno::EINTR) => continue,
                Err(errno) if platform::read_fault(errno as i32) == ReadFault::Gone => self.mark_gone(seen),
                Err(_) => {}
            }
            return None;
        }
    }

    /// Counts a frame whose fate is still open, or was a drop.
    pub(crate) fn count_received(&self, len: usize) {
        let counters = &self.counters.receive;
        counters.frames_received.one();
        counters.bytes_received.add(len as u64);
    }

    /// Counts a frame that was received and delivered by one call. Five counters move by it; the snapshot sees to that.
    #[inline]
    fn count_direct(&self, len: usize) {
        self.counters.direct.one(len);
    }

    pub(crate) fn count_delivered(&self, len: usize, segments: u64) {
        let counters = &self.counters.receive;
        counters.frames_delivered.one();
        counters.bytes_delivered.add(len as u64);
        counters.segments_delivered.add(segments);
    }

    /// Runs `act`, on the clock when that was asked for. A call that finds nothing is not counted.
    #[inline(always)]
    fn timed_receive<T>(
        &self,
        act: impl FnOnce() -> Result<Option<T>, ReceiveError>,
    ) -> Result<Option<T>, ReceiveError> {
        let start = self.clock();
        let result = act();
        if start.is_some() && matches!(result, Ok(Some(_))) {
            self.count_receive_time(start);
        }
        result
    }
}

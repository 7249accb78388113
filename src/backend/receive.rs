//! Frames from the host to the guest.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use super::Backend;
use super::error::ReceiveError;
use super::generation::Generation;
use crate::memory::{COMMON_SLICES, List, MOST_SLICES, ReceiveMemory, Slots};
use crate::platform::{ReadFault, frame_io, is_refusal};
use crate::wire::{Checksum, Gso, RejectReason, virtio};

/// Ethernet destination, source and type.
const ETHERNET_HEADER: usize = 14;
/// A header before the caller's slices, and a byte behind them.
const ENDS: usize = 2;

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
    /// The host has verified the transport checksum (`VIRTIO_NET_HDR_F_DATA_VALID`).
    pub checksum_valid: bool,
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
        self.receive_into(&ReceiveMemory::borrowed(slices))
    }

    /// Takes one frame with its virtio-net header into `slices`; gives the bytes of both together. The header is the host's,
    /// except that the number of buffers in bytes 10 and 11 of a header of 12 is set to 1. Kernels leave any value there, and
    /// virtio wants 1 for a frame in one chain (virtio 1.2, 5.1.6.4). A caller that spreads a frame over several chains
    /// stores their number.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); [`ReceiveError::Unsupported`] when the TAP has no header.
    #[inline(always)]
    pub fn receive_with_header(&self, slices: &mut [IoSliceMut<'_>]) -> Result<Option<usize>, ReceiveError> {
        self.receive_into_with_header(&ReceiveMemory::borrowed(slices))
    }

    /// Takes a frame and counts it as delivered.
    #[inline(always)]
    pub(super) fn receive_into(&self, room: &ReceiveMemory<'_>) -> Result<Option<Received>, ReceiveError> {
        let received = self.take(room)?;
        if let Some(received) = &received {
            self.counters.direct.one(received.len);
        }
        Ok(received)
    }

    #[inline(always)]
    pub(super) fn receive_into_with_header(
        &self,
        room: &ReceiveMemory<'_>,
    ) -> Result<Option<usize>, ReceiveError> {
        if self.vnet_len == 0 {
            return Err(ReceiveError::Unsupported { what: "a virtio-net header on this TAP" });
        }
        let Some(len) = self.read(room, &mut [], self.vnet_len)? else { return Ok(None) };
        if self.vnet_len == virtio::LONGEST {
            room.put(virtio::FIELDS, 1_u16.to_le_bytes());
        }
        self.counters.direct.one(len);
        Ok(Some(len + self.vnet_len))
    }

    /// Takes a frame; whether it is delivered is the caller's to count.
    #[inline(always)]
    pub(crate) fn take(&self, room: &ReceiveMemory<'_>) -> Result<Option<Received>, ReceiveError> {
        let mut header = [0; virtio::LONGEST];
        let header = &mut header[..self.vnet_len];
        let Some(mut len) = self.read(room, header, 0)? else { return Ok(None) };
        if self.station.load(Ordering::Relaxed) != 0 {
            let Some(kept) = self.sift(room, len)? else { return Ok(None) };
            len = kept;
        }
        let Some(checksum) = virtio::left_of_whole(header, len) else {
            return self.interpret(room, header, len).map(Some);
        };
        Ok(Some(Received { len, gso: None, checksum, checksum_valid: virtio::is_checksum_valid(header) }))
    }

    /// Looks at the headers of a frame that is to be cut, or that its virtio-net header contradicts.
    #[cold]
    fn interpret(
        &self,
        room: &ReceiveMemory<'_>,
        header: &[u8],
        len: usize,
    ) -> Result<Received, ReceiveError> {
        let checksum_valid = virtio::is_checksum_valid(header);
        match room.interpret(header, len) {
            Ok((gso, checksum)) => Ok(Received { len, gso, checksum, checksum_valid }),
            Err(reason) => Err(self.reject_received(reason, len)),
        }
    }

    #[cold]
    fn reject_received(&self, reason: RejectReason, len: usize) -> ReceiveError {
        self.count_received(len);
        self.count_rejected(reason);
        ReceiveError::Rejected(reason)
    }

    /// Reads one frame: `header` and `room` in one call, of which `inside` bytes of header lie in the room. Gives the
    /// length of the frame alone.
    #[inline(always)]
    pub(super) fn read(
        &self,
        room: &ReceiveMemory<'_>,
        header: &mut [u8],
        inside: usize,
    ) -> Result<Option<usize>, ReceiveError> {
        let (ahead, bytes) = (header.len() + inside, room.len().saturating_add(header.len()));
        let spare = bytes > self.vnet_len + self.longest.usual();
        let count = room.count() + usize::from(!header.is_empty()) + usize::from(!spare);
        let generation = match self.ready() {
            Some(generation) => generation,
            None => match self.ready_after_all()? {
                Some(generation) => generation,
                None => return Ok(None),
            },
        };
        if count > self.most_slices {
            return Err(ReceiveError::TooManySlices { slices: count, limit: self.most_slices });
        }
        let start = self.clock();
        let outcome = self.read_once(room, header, spare);
        // If room with a byte to spare is full, the frame was longer than the room without that byte.
        let most = bytes - usize::from(spare);
        let len = match outcome {
            Ok(taken) if (ahead + ETHERNET_HEADER..=most).contains(&taken) => taken - ahead,
            outcome => match self.read_again(outcome, room, header, spare, ahead..most, generation)? {
                Some(len) => len,
                None => return Ok(None),
            },
        };
        self.log.receive(room, len + inside);
        if let Some(start) = start {
            self.count_time(&self.counters.receive_nanos, start);
        }
        Ok(Some(len))
    }

    /// Makes one system call: `header`, where that is not empty, the room, and a byte of its own unless there is one to `spare`.
    #[inline(always)]
    fn read_once(&self, room: &ReceiveMemory<'_>, header: &mut [u8], spare: bool) -> Result<usize, i32> {
        if header.is_empty() && spare {
            frame_io::read(self.tap.as_fd(), room.slices())
        } else if room.count() + ENDS <= COMMON_SLICES {
            self.read_list::<COMMON_SLICES>(room, header, spare)
        } else {
            self.read_scattered(room, header, spare)
        }
    }

    /// Kept apart, so that a long list on the stack burdens nobody who needs none.
    #[cold]
    #[inline(never)]
    fn read_scattered(&self, room: &ReceiveMemory<'_>, header: &mut [u8], spare: bool) -> Result<usize, i32> {
        self.read_list::<MOST_SLICES>(room, header, spare)
    }

    #[inline(always)]
    fn read_list<const ROOM: usize>(
        &self,
        room: &ReceiveMemory<'_>,
        header: &mut [u8],
        spare: bool,
    ) -> Result<usize, i32> {
        let mut overflow = [0; 1];
        let mut slots: Slots<_, ROOM> = [const { MaybeUninit::uninit() }; ROOM];
        let mut list = List::new(&mut slots);
        room.list(&mut list, header, if spare { &mut [] } else { &mut overflow });
        // The caller has compared the number of slices with the host's limit, which is no larger than the longest list.
        frame_io::read(self.tap.as_fd(), list.slices().unwrap_or_default())
    }

    /// Gives the outcome of a read that brought no frame, or no frame to deliver. Repeats the read after a signal.
    #[cold]
    fn read_again(
        &self,
        mut outcome: Result<usize, i32>,
        room: &ReceiveMemory<'_>,
        header: &mut [u8],
        spare: bool,
        place: Range<usize>,
        generation: Generation,
    ) -> Result<Option<usize>, ReceiveError> {
        while let Err(errno) = outcome
            && self.tap.read_fault(errno) == ReadFault::Interrupted
        {
            outcome = self.read_once(room, header, spare);
        }
        match outcome {
            Ok(0) if self.tap.nothing_is_the_end() => Err(self.found_gone(generation)),
            Ok(taken) => self.check_length(taken, place).map(Some),
            // Where the header finds no room, a TAP consumes the frame all the same, and returns such an errno.
            Err(errno) if place.is_empty() && is_refusal(&io::Error::from_raw_os_error(errno)) => {
                self.check_length(usize::MAX, place).map(Some)
            }
            Err(errno) => self.read_failed(errno, generation),
        }
    }

    /// `place` is the range of the longest frame that fits, within what was read.
    fn check_length(&self, taken: usize, place: Range<usize>) -> Result<usize, ReceiveError> {
        let len = taken.min(place.end).saturating_sub(place.start);
        if taken > place.end {
            self.count_received(len);
            self.counters.receive.truncated.one();
            self.longest.doubt();
            return Err(ReceiveError::Truncated { room: len });
        }
        if len < ETHERNET_HEADER {
            self.count_received(len);
            self.counters.receive.runt.one();
            return Err(ReceiveError::Runt { len });
        }
        Ok(len)
    }

    fn read_failed<T>(&self, errno: i32, generation: Generation) -> Result<Option<T>, ReceiveError> {
        match self.tap.read_fault(errno) {
            ReadFault::Empty | ReadFault::Interrupted => Ok(None),
            ReadFault::Gone => Err(self.found_gone(generation)),
            ReadFault::Other => {
                self.counters.receive.io_error.one();
                Err(ReceiveError::Io { source: io::Error::from_raw_os_error(errno) })
            }
        }
    }

    fn found_gone(&self, generation: Generation) -> ReceiveError {
        self.mark_gone(generation);
        ReceiveError::Gone
    }

    /// Counts a frame that was dropped, or of which it is not yet known whether it will be delivered.
    pub(crate) fn count_received(&self, len: usize) {
        let counters = &self.counters.receive;
        counters.frames_received.one();
        counters.bytes_received.add(len as u64);
    }

    pub(crate) fn count_delivered(&self, len: usize, segments: u64) {
        let counters = &self.counters.receive;
        counters.frames_delivered.one();
        counters.bytes_delivered.add(len as u64);
        counters.segments_delivered.add(segments);
    }
}

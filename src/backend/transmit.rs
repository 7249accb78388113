//! Frames from the guest to the host.

use std::io;
use std::mem::{MaybeUninit, replace};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use log::warn;

use super::Backend;
use super::error::TransmitError;
use super::generation::Generation;
use super::transmit_lock::Debt;
use crate::memory::{COMMON_SLICES, Cursor, FrameList, FrameMemory, FrameSlice, MOST_SLICES, Slots};
use crate::platform::{self, WriteFault, frame_io};
use crate::segmentation::{CarveError, HostCapabilities, Output, OwnBytes, Prepared, carve, prepare};
use crate::wire::{Checksum, RejectReason, Request, checksum_field, virtio};

impl Backend {
    /// Sends a frame from segment `first` on, and counts what came of it. The caller holds the transmit session.
    #[inline(always)]
    pub(super) fn send(
        &self,
        memory: FrameMemory<'_>,
        request: &Request,
        first: u32,
    ) -> Result<(), TransmitError> {
        let start = self.clock();
        let len = memory.len();
        let result = self.try_send(&memory, len, request, first);
        self.count_transmitted(&result, len);
        if let Some(start) = start {
            self.count_time(&self.counters.transmit_nanos, start);
        }
        result
    }

    /// [`send`](Self::send) for a frame whose first `header_len` bytes are a virtio driver's header.
    #[inline(always)]
    pub(super) fn send_behind_header(
        &self,
        memory: FrameMemory<'_>,
        header_len: usize,
        first: u32,
    ) -> Result<(), TransmitError> {
        let frame = memory.without_front(header_len);
        let mut header = [0; virtio::LONGEST];
        let header = &mut header[..header_len.min(virtio::LONGEST)];
        let filled = memory.copy_front(header);
        match virtio::request(&header[..filled]) {
            Ok(request) => self.send(frame, &request, first),
            Err(reason) => self.refuse(frame.len(), reason),
        }
    }

    /// Counts a frame that cannot be sent. If it would have been dropped in any case, for another reason, that reason is
    /// counted instead.
    #[cold]
    fn refuse(&self, len: usize, reason: RejectReason) -> Result<(), TransmitError> {
        let result = Err(if self.ready().is_some() { reason.into() } else { self.not_ready() });
        self.count_transmitted(&result, len);
        result
    }

    #[inline(always)]
    fn try_send(
        &self,
        memory: &FrameMemory<'_>,
        len: usize,
        request: &Request,
        first: u32,
    ) -> Result<(), TransmitError> {
        let Some(generation) = self.ready() else { return Err(self.not_ready()) };
        if len < self.looked_at_below {
            self.look_at(memory, len)?;
        }
        self.log.transmit(memory, len);
        if self.vnet_len == 0
            && request.is_nothing()
            && first == 0
            && let Some(slices) = memory.whole()
        {
            return self.write(slices, len, 0, generation);
        }
        let mut own = OwnBytes::new();
        let host = if first == 0 { self.host() } else { HostCapabilities::NONE };
        match prepare(memory, request, self.vnet_len, host, &mut own)? {
            Prepared::Whole { own, rest, asked } if first == 0 => {
                let written = self.write_whole(memory, own, rest, len, generation);
                if asked == HostCapabilities::NONE || written.is_ok() {
                    return written;
                }
                self.reconsider(written, memory, request, asked, generation)
            }
            _ => self.send_in_software(memory, request, first, generation),
        }
    }

    /// Writes bytes of our own and the frame from byte `rest` on, which makes a frame of `len` bytes.
    #[inline(always)]
    fn write_whole(
        &self,
        memory: &FrameMemory<'_>,
        own: &[u8],
        rest: usize,
        len: usize,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        if memory.count() < COMMON_SLICES {
            self.write_list::<COMMON_SLICES>(memory, own, rest, len, generation)
        } else {
            self.write_scattered(memory, own, rest, len, generation)
        }
    }

    /// Kept apart, so that a long list on the stack burdens nobody who needs none.
    #[cold]
    #[inline(never)]
    fn write_scattered(
        &self,
        memory: &FrameMemory<'_>,
        own: &[u8],
        rest: usize,
        len: usize,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        self.write_list::<MOST_SLICES>(memory, own, rest, len, generation)
    }

    #[inline(always)]
    fn write_list<const ROOM: usize>(
        &self,
        memory: &FrameMemory<'_>,
        own: &[u8],
        rest: usize,
        len: usize,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        let mut slots: Slots<_, ROOM> = [const { MaybeUninit::uninit() }; ROOM];
        let mut list = FrameList::new(&mut slots);
        let held = memory.holding(own, rest);
        if held.is_none() {
            list.own(own);
            let mut cursor = Cursor::default();
            cursor.skip(memory, rest);
            list.frame(memory, &mut cursor, usize::MAX);
        }
        match held.map_or_else(|| list.within(self.most_slices), Ok) {
            Ok(slices) => self.write(slices, len, 0, generation),
            Err(slices) => Err(TransmitError::TooManySlices { slices, limit: self.most_slices }),
        }
    }

    /// Writes one frame of `len` bytes, behind its virtio-net header if the TAP has one; it is taken whole or not at all.
    /// `sent` segments went out before it.
    #[inline(always)]
    fn write(
        &self,
        slices: &[FrameSlice<'_>],
        len: usize,
        sent: u32,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        let lengths = self.limits.shortest..=self.longest_sent.load(Ordering::Relaxed);
        if !lengths.contains(&len) || slices.len() > self.most_slices {
            return self.write_unusual(slices, len, sent, generation);
        }
        match frame_io::write(self.tap.as_fd(), slices) {
            Ok(written) if written == self.vnet_len + len => {
                self.counters.transmit.segments_sent.one_unshared();
                Ok(())
            }
            outcome => self.write_again(outcome, slices, len, sent, generation),
        }
    }

    /// Repeats a write after a signal. Repeats it once after an errno that may have been meant for an earlier frame.
    #[cold]
    pub(super) fn past_interruptions(
        &self,
        mut outcome: Result<usize, i32>,
        slices: &[FrameSlice<'_>],
    ) -> Result<usize, i32> {
        let mut earlier = true;
        while let Err(errno) = outcome
            && (self.tap.write_fault(errno) == WriteFault::Interrupted
                || self.tap.may_be_earlier(errno) && replace(&mut earlier, false))
        {
            outcome = frame_io::write(self.tap.as_fd(), slices);
        }
        outcome
    }

    /// Gives the outcome of a write that did not succeed, after another try where that can help.
    #[cold]
    pub(super) fn write_again(
        &self,
        outcome: Result<usize, i32>,
        slices: &[FrameSlice<'_>],
        len: usize,
        sent: u32,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        match self.past_interruptions(outcome, slices) {
            Ok(written) if written == self.vnet_len + len => {
                self.counters.transmit.segments_sent.one_unshared();
                Ok(())
            }
            Ok(_) => Err(TransmitError::Io { sent, source: io::ErrorKind::WriteZero.into() }),
            Err(errno) => Err(self.write_failed(errno, len, sent, generation)),
        }
    }

    pub(super) fn write_failed(
        &self,
        errno: i32,
        len: usize,
        sent: u32,
        generation: Generation,
    ) -> TransmitError {
        match self.tap.write_fault(errno) {
            WriteFault::WouldBlock | WriteFault::Interrupted => TransmitError::WouldBlock { sent },
            WriteFault::NoBufferSpace => TransmitError::NoBufferSpace { sent },
            WriteFault::Down => TransmitError::InterfaceDown { sent },
            WriteFault::BadLength => TransmitError::LengthRefused { len, sent },
            WriteFault::Gone => {
                self.mark_gone(generation);
                TransmitError::Gone
            }
            WriteFault::Other => TransmitError::Io { sent, source: io::Error::from_raw_os_error(errno) },
        }
    }

    /// Goes on in software where the host unexpectedly refused what the frame's header asked for. It does the same where the
    /// frame is too long for the host, since its segments may be short enough.
    #[cold]
    fn reconsider(
        &self,
        written: Result<(), TransmitError>,
        memory: &FrameMemory<'_>,
        request: &Request,
        asked: HostCapabilities,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        match written {
            Err(TransmitError::Io { source, .. }) if platform::is_refusal(&source) => {
                self.note_refusal(asked, &source);
                self.send_in_software(memory, request, 0, generation)
            }
            Err(TransmitError::Oversize { .. } | TransmitError::LengthRefused { .. })
                if request.segments.is_some() =>
            {
                self.send_in_software(memory, request, 0, generation)
            }
            other => other,
        }
    }

    fn note_refusal(&self, asked: HostCapabilities, source: &io::Error) {
        if self.capabilities.remove(asked) {
            warn!("{self:?} refuses {asked}, which is done in software from now on: {source}");
        }
    }

    /// Completes or cuts the frame here, and writes what comes out.
    #[inline(never)]
    fn send_in_software(
        &self,
        memory: &FrameMemory<'_>,
        request: &Request,
        first: u32,
        generation: Generation,
    ) -> Result<(), TransmitError> {
        let len = memory.len();
        if let Checksum::Partial { start, offset } = request.checksum
            && request.segments.is_none()
            && first == 0
            && len > self.longest_sent.load(Ordering::Relaxed)
        {
            // A guest's slices may all name the same memory: without this it could have terabytes summed.
            checksum_field(len, start, offset)?;
            return Err(TransmitError::Oversize { len, limit: self.longest_sent.load(Ordering::Relaxed) });
        }
        let output = Output { vnet_len: self.vnet_len, most_slices: self.most_slices };
        let mut sent = first;
        let carved = carve(memory, request, output, first, |list| {
            let slices = list.within(self.most_slices).unwrap_or_default();
            let len: usize = slices.iter().map(FrameSlice::len).sum();
            self.write(slices, len - self.vnet_len, sent, generation)?;
            sent += 1;
            Ok(())
        });
        match carved {
            Ok(segments) if first > 0 && first >= segments => {
                Err(TransmitError::BadResume { sent: first, segments })
            }
            Ok(_) => Ok(()),
            Err(CarveError::Sink { error, .. }) => Err(error),
            Err(CarveError::Rejected(reason)) => Err(TransmitError::Rejected(reason)),
            Err(CarveError::TooManySlices { slices, limit, .. }) => {
                Err(TransmitError::TooManySlices { slices, limit })
            }
        }
    }

    /// Counts a frame of `len` bytes that was offered.
    #[inline(always)]
    fn count_transmitted(&self, result: &Result<(), TransmitError>, len: usize) {
        let counters = &self.counters.transmit;
        counters.frames_offered.one_unshared();
        match result {
            Ok(()) => {
                counters.frames_sent.one_unshared();
                counters.bytes_sent.add_unshared(len as u64);
            }
            Err(error) => self.count_refused(error),
        }
    }

    #[cold]
    fn count_refused(&self, error: &TransmitError) {
        self.count_cause(error);
        match error {
            TransmitError::WouldBlock { .. } | TransmitError::InterfaceDown { .. } => {
                self.lock.note(Debt::BLOCKED);
            }
            TransmitError::NoBufferSpace { .. } => self.lock.note(Debt::STARVED),
            _ => {}
        }
    }

    /// Counts why a frame did not go out. Any thread may, at any time.
    pub(super) fn count_cause(&self, error: &TransmitError) {
        let counters = &self.counters.transmit;
        let cause = match error {
            TransmitError::WouldBlock { .. } => &counters.would_block,
            TransmitError::NoBufferSpace { .. } | TransmitError::OutOfMemory { .. } => {
                &counters.no_buffer_space
            }
            TransmitError::LinkDown => &counters.link_down,
            TransmitError::InterfaceDown { .. } => &counters.interface_down,
            TransmitError::Rejected(_) => &counters.rejected,
            TransmitError::Runt { .. } => &counters.runt,
            TransmitError::Oversize { .. } | TransmitError::LengthRefused { .. } => &counters.oversize,
            TransmitError::TooManySlices { .. } => &counters.too_many_slices,
            TransmitError::BadResume { .. } => &counters.bad_resume,
            TransmitError::Gone => &counters.gone,
            TransmitError::Io { .. } => &counters.io_error,
        };
        cause.one();
        if let TransmitError::Rejected(reason) = error {
            self.counters.reject(*reason);
        }
    }
}

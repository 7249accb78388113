//! Frames from the guest to the host.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::errno::Errno;

use crate::backend::backend::Backend;
use crate::backend::error::TransmitError;
use crate::backend::presence::Attachment;
use crate::backend::straight::{Call, Straight, aside};
use crate::backend::transmit_lock::{BLOCKED, STARVED};
use crate::memory::body::{Behind, Body, copy_front, total_len};
use crate::platform::{self, WriteFault};
use crate::segmentation::deliver::{Port, Work, deliver};
use crate::segmentation::frame::{CarveError, Checksum};
use crate::segmentation::quick::Ask;
use crate::wire::reject::RejectReason;
use crate::wire::vnet_header;

impl Backend {
    /// Sends a frame, and counts what came of it. The caller holds the transmit session.
    #[inline(always)]
    pub(crate) fn send<B: Body>(&self, body: B, work: &Work) -> Result<(), TransmitError> {
        if self.header_len == 0 && work.gso.is_none() && work.checksum == Checksum::Complete {
            match self.send_bare(&body) {
                Straight::Done(()) => Ok(()),
                Straight::Unusual(call) => self.send_unusual(body, work, call),
            }
        } else {
            aside();
            self.send_behind_header(body, work)
        }
    }

    #[inline(never)]
    fn send_behind_header<B: Body>(&self, body: B, work: &Work) -> Result<(), TransmitError> {
        match Ask::of(work).map_or(Straight::Unusual(None), |ask| self.send_straight(&body, ask)) {
            Straight::Done(()) => Ok(()),
            Straight::Unusual(call) => self.send_unusual(body, work, call),
        }
    }

    #[inline(never)]
    fn send_unusual<B: Body>(&self, body: B, work: &Work, call: Option<Call>) -> Result<(), TransmitError> {
        call.and_then(|call| self.judge(call)).unwrap_or_else(|| self.send_rest(body, *work, 0))
    }

    /// Says and counts what a first write that did not succeed came to; `None` when it is to be made again.
    #[cold]
    fn judge(&self, call: Call) -> Option<Result<(), TransmitError>> {
        let Call { outcome, len, seen } = call;
        if outcome == Err(Errno::EINTR) {
            return None;
        }
        let result = self.written(outcome, len, 0, seen);
        self.count(&result, len);
        Some(result)
    }

    /// Sends a frame from segment `first` on.
    pub(crate) fn send_rest<B: Body>(&self, body: B, work: Work, first: u32) -> Result<(), TransmitError> {
        self.send_generally(body, first, || Ok(work))
    }

    /// Sends a frame whose first `header_len` bytes are a virtio driver's header.
    pub(crate) fn send_with_header<B: Body>(&self, body: B, header_len: usize) -> Result<(), TransmitError> {
        let frame = Behind::new(body, header_len);
        let ask = Ask::of_header(&body, header_len);
        let call = match ask.map_or(Straight::Unusual(None), |ask| self.send_straight(&frame, ask)) {
            Straight::Done(()) => return Ok(()),
            Straight::Unusual(call) => call,
        };
        call.and_then(|call| self.judge(call)).unwrap_or_else(|| {
            self.send_generally(frame, 0, || {
                let mut header = [0; vnet_header::LONGEST];
                let header = &mut header[..header_len.min(vnet_header::LONGEST)];
                let filled = copy_front(body, header);
                let (gso, checksum) = vnet_header::interpret_behind(&header[..filled], frame)?;
                Ok(Work { gso, checksum })
            })
        })
    }

    #[inline(never)]
    fn send_generally<B: Body>(
        &self,
        body: B,
        first: u32,
        work: impl FnOnce() -> Result<Work, RejectReason>,
    ) -> Result<(), TransmitError> {
        let start = self.timed.load(Ordering::Relaxed).then(Instant::now);
        let len = total_len(body);
        let result = self.try_send(body, work, len, first);
        self.count(&result, len);
        if let Some(start) = start {
            self.count_time(start);
        }
        result
    }

    /// Counts a frame of `len` bytes that was offered.
    #[inline]
    pub(crate) fn count(&self, result: &Result<(), TransmitError>, len: usize) {
        self.counters.transmit.frames_offered.one_alone();
        match result {
            Ok(()) => self.count_sent(len),
            Err(error) => self.count_refused(error),
        }
    }

    #[cold]
    fn count_time(&self, start: Instant) {
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters.transmit_nanos.add(nanos);
    }

    #[inline]
    fn try_send<B: Body>(
        &self,
        body: B,
        work: impl FnOnce() -> Result<Work, RejectReason>,
        len: usize,
        first: u32,
    ) -> Result<(), TransmitError> {
        if self.is_gone() {
            return Err(TransmitError::Gone);
        }
        if !self.link.is_up() {
            return Err(TransmitError::LinkDown);
        }
        let work = work()?;
        if len < self.limits.shortest {
            return Err(TransmitError::Runt { len, limit: self.limits.shortest });
        }
        self.log.transmit(body, len);
        let plain = work.gso.is_none() && work.checksum == Checksum::Complete && self.header_len == 0;
        match body.whole().filter(|_| plain) {
            Some(slices) if slices.len() > self.most_slices => {
                Err(TransmitError::TooManySlices { slices: slices.len(), limit: self.most_slices })
            }
            Some(slices) => self.write_frame::<B>(slices, len, 0),
            None => self.send_worked(body, work, first),
        }
    }

    /// Validates the frame, then has the host do what the guest left to be done, or does it here.
    fn send_worked<B: Body>(&self, body: B, work: Work, first: u32) -> Result<(), TransmitError> {
        let offload = self.header_len > 0 && self.host_offload.load(Ordering::Relaxed);
        let port = Port { header_len: self.header_len, offload, max_slices: self.most_slices };
        let mut sent = first;
        let sink = |slices: &[B::Slice<'_>]| {
            let len: usize = slices.iter().map(B::slice_len).sum();
            self.write_frame::<B>(slices, len - self.header_len, sent)?;
            sent += 1;
            Ok(())
        };
        match deliver(body, work, port, first, sink) {
            Ok(_) => Ok(()),
            Err(CarveError::Sink { error, .. }) => Err(error),
            Err(CarveError::Rejected(reason)) => Err(TransmitError::Rejected(reason)),
            Err(CarveError::TooManySlices { slices, limit, .. }) => {
                Err(TransmitError::TooManySlices { slices, limit })
            }
        }
    }

    /// Writes one frame of `len` bytes behind its virtio-net header, if the TAP has one; it is taken whole or not at all.
    /// `sent` goes into the error.
    #[inline]
    pub(crate) fn write_frame<B: Body>(
        &self,
        slices: &[B::Slice<'_>],
        len: usize,
        sent: u32,
    ) -> Result<(), TransmitError> {
        let limit = self.limits.longest;
        if len > limit {
            return Err(TransmitError::Oversize { len, limit });
        }
        let Some(seen) = self.presence.seen() else { return Err(TransmitError::Gone) };
        loop {
            let outcome = B::write(self.tap.as_fd(), slices);
            if outcome != Err(Errno::EINTR) {
                return self.written(outcome, len, sent, seen);
            }
        }
    }

    /// What the write of a frame of `len` bytes, the one after `sent` others, came to.
    #[inline]
    pub(crate) fn written(
        &self,
        outcome: Result<usize, Errno>,
        len: usize,
        sent: u32,
        seen: Attachment,
    ) -> Result<(), TransmitError> {
        match outcome {
            Ok(written) if written == self.header_len + len => {
                self.counters.transmit.segments_sent.one_alone();
                Ok(())
            }
            Ok(_) => Err(TransmitError::Io { sent, source: io::ErrorKind::WriteZero.into() }),
            Err(errno) => Err(self.write_failed(errno, len, sent, seen)),
        }
    }

    #[cold]
    fn write_failed(&self, errno: Errno, len: usize, sent: u32, seen: Attachment) -> TransmitError {
        match platform::write_fault(errno as i32) {
            WriteFault::WouldBlock | WriteFault::Interrupted => TransmitError::WouldBlock { sent },
            WriteFault::NoBufferSpace => TransmitError::NoBufferSpace { sent },
            WriteFault::Down => TransmitError::InterfaceDown { sent },
            WriteFault::BadLength => TransmitError::Oversize { len, limit: self.limits.longest },
            WriteFault::Gone => {
                self.mark_gone(seen);
                TransmitError::Gone
            }
            WriteFault::Other => TransmitError::Io { sent, source: io::Error::from(errno) },
        }
    }

    #[inline]
    pub(crate) fn count_sent(&self, len: usize) {
        let counters = &self.counters.transmit;
        counters.frames_sent.one_alone();
        counters.bytes_sent.add_alone(len as u64);
    }

    #[cold]
    fn count_refused(&self, error: &TransmitError) {
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
            TransmitError::Oversize { .. } => &counters.oversize,
            TransmitError::TooManySlices { .. } => &counters.too_many_slices,
            TransmitError::Unsupported { .. } => &counters.unsupported,
            TransmitError::Gone => &counters.gone,
            TransmitError::Io { .. } => &counters.io_error,
        };
        cause.one();
        match error {
            TransmitError::Rejected(reason) => self.counters.reject(*reason),
            TransmitError::WouldBlock { .. } | TransmitError::InterfaceDown { .. } => self.lock.note(BLOCKED),
            TransmitError::NoBufferSpace { .. } => self.lock.note(STARVED),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::IoSlice;
    use std::ops::Range;
    use std::os::fd::BorrowedFd;
    use std::os::unix::net::UnixDatagram;

    use nix::errno::Errno;

    use crate::backend::error::TransmitError;
    use crate::memory::body::{Body, Borrowed};
    use crate::segmentation::deliver::Work;
    use crate::wire::checksum::Sum;
    use crate::{Backend, Tap};

    thread_local! {
        static WRITES: Cell<u32> = const { Cell::new(0) };
    }

    /// A frame of which the kernel takes a part, as it would of a stream.
    #[derive(Clone, Copy)]
    struct TakenInPart<'f>(Borrowed<'f>);

    impl Body for TakenInPart<'_> {
        type Slice<'s> = IoSlice<'s>;

        fn count(&self) -> usize {
            self.0.count()
        }

        fn len(&self, index: usize) -> usize {
            self.0.len(index)
        }

        fn cut<'s>(&'s self, index: usize, range: Range<usize>) -> IoSlice<'s> {
            self.0.cut(index, range)
        }

        fn sum(&self, index: usize, range: Range<usize>, sum: &mut Sum) {
            self.0.sum(index, range, sum);
        }

        fn copy(&self, index: usize, from: usize, target: &mut [u8]) -> usize {
            self.0.copy(index, from, target)
        }

        fn read<const N: usize>(&self, index: usize, at: usize, target: &mut [u8; N]) -> bool {
            self.0.read(index, at, target)
        }

        fn own<'s>(bytes: &'s [u8]) -> IoSlice<'s> {
            IoSlice::new(bytes)
        }

        fn slice_len(slice: &IoSlice<'_>) -> usize {
            slice.len()
        }

        fn whole<'s>(&'s self) -> Option<&'s [IoSlice<'s>]> {
            self.0.whole()
        }

        fn write(_: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
            WRITES.set(WRITES.get() + 1);
            Ok(slices[0].len() - 1)
        }
    }

    #[test]
    fn b08_short_write_is_an_error_and_no_second_frame() {
        let (ours, _host) = UnixDatagram::pair().unwrap();
        let backend = Backend::new(Tap::from_fd(ours.into()).unwrap());
        let slices = [IoSlice::new(&[7; 60])];
        let result = backend.send(TakenInPart(Borrowed(&slices)), &Work::default());
        assert!(matches!(result, Err(TransmitError::Io { sent: 0, .. })), "{result:?}");
        assert_eq!(WRITES.get(), 1);
        let all = backend.statistics().transmit;
        assert_eq!((all.frames_sent, all.io_error), (0, 1));
    }
}

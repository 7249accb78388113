//! Frames from the guest to the host.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::uio::writev;
use nix::unistd::write;

use crate::backend::Backend;
use crate::body::Borrowed;
use crate::buffer::TransmitBuffer;
use crate::deliver::{Port, deliver};
use crate::error::TransmitError;
use crate::frame::{CarveError, Checksum, Frame};
use crate::gso::Gso;
use crate::platform::{self, WriteFault};
use crate::receive::LONGEST_HEADER;
use crate::slices;
use crate::transmit_lock::{BLOCKED, STARVED};

/// The methods of a session, the same for both of its guards.
macro_rules! session {
    () => {
        /// Sends one frame, or every segment of an oversized one.
        ///
        /// # Errors
        /// [`TransmitError`] says whether the frame was dropped or can be sent again later, and how many segments of
        /// it went out.
        pub fn send(&mut self, frame: &Frame<'_>) -> Result<(), TransmitError> {
            self.backend.send(frame, 0)
        }

        /// Sends what is left of an oversized frame of which the host took `sent` segments before.
        ///
        /// # Errors
        /// As [`send`](Self::send); `sent` in the error counts from the frame's start.
        pub fn resume(&mut self, frame: &Frame<'_>, sent: u32) -> Result<(), TransmitError> {
            self.backend.send(frame, sent)
        }

        /// Sends one frame from a virtio driver: the first `header_len` bytes of `slices` are its virtio-net header, 10
        /// or 12. Of the header only what [`Frame::from_virtio`] reads goes on to the host.
        ///
        /// # Errors
        /// As [`send`](Self::send); [`TransmitError::Rejected`] also for a header that contradicts the frame.
        pub fn send_with_header(
            &mut self,
            slices: &[IoSlice<'_>],
            header_len: usize,
        ) -> Result<(), TransmitError> {
            self.backend.send_with_header(slices, header_len)
        }

        /// Takes a buffer of at least `min_len` bytes to build a frame in.
        ///
        /// # Errors
        /// [`TransmitError::Oversize`] for more than the largest frame there is, [`TransmitError::OutOfMemory`].
        pub fn allocate(&mut self, min_len: usize) -> Result<TransmitBuffer, TransmitError> {
            self.backend.allocate(min_len)
        }

        /// Sends the bytes in use of `buffer` as one frame. The buffer is consumed whatever the outcome.
        ///
        /// # Errors
        /// As [`send`](Self::send).
        pub fn send_buffer(&mut self, buffer: TransmitBuffer, gso: Option<Gso>) -> Result<(), TransmitError> {
            let slices = [IoSlice::new(&buffer)];
            let frame = Frame { slices: &slices, gso, checksum: Checksum::Complete };
            self.backend.send(&frame, 0)
        }
    };
}

/// An open transmit session. At most one exists a backend; dropping it ends it.
#[derive(Debug)]
#[must_use]
pub struct Transmitter<'a> {
    backend: &'a Backend,
}

/// An open transmit session that owns its backend, for devices whose begin and end are separate calls.
#[derive(Debug)]
#[must_use]
pub struct OwnedTransmitter {
    backend: Arc<Backend>,
}

impl Transmitter<'_> {
    session!();
}

impl OwnedTransmitter {
    session!();
}

impl Drop for Transmitter<'_> {
    fn drop(&mut self) {
        self.backend.end_transmit();
    }
}

impl Drop for OwnedTransmitter {
    fn drop(&mut self) {
        self.backend.end_transmit();
    }
}

impl Backend {
    /// Opens a transmit session; `None` while another one is open. It never waits. Who is turned away is owed a
    /// wake-up: `Frontend::transmit_pending` from [`Threads`](crate::Threads), or the callback of
    /// [`on_transmit_ready`](Self::on_transmit_ready).
    pub fn begin_transmit(&self) -> Option<Transmitter<'_>> {
        if self.begin() { Some(Transmitter { backend: self }) } else { None }
    }

    /// Opens a transmit session that owns the backend; else as [`begin_transmit`](Self::begin_transmit).
    pub fn begin_transmit_owned(self: Arc<Self>) -> Option<OwnedTransmitter> {
        if self.begin() { Some(OwnedTransmitter { backend: self }) } else { None }
    }

    fn begin(&self) -> bool {
        let begun = self.lock.try_begin();
        let counters = &self.counters.transmit;
        if begun {
            counters.sessions.one()
        } else {
            counters.sessions_refused.one()
        }
        begun
    }

    fn allocate(&self, min_len: usize) -> Result<TransmitBuffer, TransmitError> {
        let limit = crate::backend::LARGEST_FRAME;
        if min_len > limit {
            return Err(TransmitError::Oversize { len: min_len, limit });
        }
        TransmitBuffer::take(&self.pool, min_len)
    }

    /// Sends `frame` from segment `first` on, and counts what came of it.
    fn send(&self, frame: &Frame<'_>, first: u32) -> Result<(), TransmitError> {
        let start = self.timed.load(Ordering::Relaxed).then(Instant::now);
        let len = frame.total_len();
        let result = self.try_send(frame, len, first);
        self.counters.transmit.frames_offered.one_alone();
        match &result {
            Ok(()) => self.count_sent(len),
            Err(error) => self.count_refused(error),
        }
        if let Some(start) = start {
            let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.counters.transmit_nanos.add(nanos);
        }
        result
    }

    fn send_with_header(&self, slices: &[IoSlice<'_>], header_len: usize) -> Result<(), TransmitError> {
        let mut header = [0; LONGEST_HEADER];
        let header = &mut header[..header_len.min(LONGEST_HEADER)];
        let (index, offset) = slices::copy_first(header, slices);
        let rest = slices.get(index).map_or(&[][..], |slice| &slice[offset..]);
        let send = |slices: &[IoSlice<'_>]| match Frame::from_virtio(header, slices) {
            Ok(frame) => self.send(&frame, 0),
            Err(reason) => {
                self.counters.transmit.frames_offered.one_alone();
                self.count_refused(&reason.into());
                Err(reason.into())
            }
        };
        match slices.get(index..) {
            Some(whole) if offset == 0 => send(whole),
            Some([_, behind @ ..]) => slices::with_first(rest, behind, send),
            _ => send(&[]),
        }
    }

    fn try_send(&self, frame: &Frame<'_>, len: usize, first: u32) -> Result<(), TransmitError> {
        if self.is_gone() {
            return Err(TransmitError::Gone);
        }
        if !self.link.is_up() {
            return Err(TransmitError::LinkDown);
        }
        if len < self.limits.shortest {
            return Err(TransmitError::Runt { len, limit: self.limits.shortest });
        }
        self.log.transmit(frame.slices, len);
        match (frame.gso, frame.checksum) {
            (None, Checksum::Complete) => self.send_plain(frame.slices, len),
            _ => self.send_worked(frame, first),
        }
    }

    /// Validates the frame, then has the host do what the guest left to be done, or does it here.
    fn send_worked(&self, frame: &Frame<'_>, first: u32) -> Result<(), TransmitError> {
        let offload = self.header_len > 0 && self.host_offload.load(Ordering::Relaxed);
        let port = Port { header_len: self.header_len, offload, max_slices: self.most_slices };
        let mut sent = first;
        let sink = |slices: &[IoSlice<'_>]| {
            self.write_list(slices, sent)?;
            sent += 1;
            Ok(())
        };
        match deliver(Borrowed(frame.slices), frame.work(), port, first, sink) {
            Ok(_) => Ok(()),
            Err(CarveError::Sink { error, .. }) => Err(error),
            Err(CarveError::Rejected(reason)) => Err(TransmitError::Rejected(reason)),
            Err(CarveError::TooManySlices { slices, limit, .. }) => {
                Err(TransmitError::TooManySlices { slices, limit })
            }
        }
    }

    fn send_plain(&self, slices: &[IoSlice<'_>], len: usize) -> Result<(), TransmitError> {
        let count = slices.len() + usize::from(self.header_len > 0);
        if count > self.most_slices {
            return Err(TransmitError::TooManySlices { slices: count, limit: self.most_slices });
        }
        self.check_len(len)?;
        match slices {
            [one] if self.header_len == 0 => self.finish(len, 0, || write(&self.tap, one)),
            many if self.header_len == 0 => self.finish(len, 0, || writev(&self.tap, many)),
            many => slices::with_first(&[0; LONGEST_HEADER][..self.header_len], many, |all| {
                self.finish(len, 0, || writev(&self.tap, all))
            }),
        }
    }

    /// Writes one frame that is complete with its virtio-net header, if the TAP has one.
    fn write_list(&self, slices: &[IoSlice<'_>], sent: u32) -> Result<(), TransmitError> {
        let len = slices.iter().map(|slice| slice.len()).sum::<usize>().saturating_sub(self.header_len);
        self.check_len(len)?;
        self.finish(len, sent, || writev(&self.tap, slices))
    }

    fn check_len(&self, len: usize) -> Result<(), TransmitError> {
        let limit = self.limits.longest;
        if len > limit { Err(TransmitError::Oversize { len, limit }) } else { Ok(()) }
    }

    /// Makes the system call for a frame of `len` bytes behind its header; a frame is taken whole or not at all.
    fn finish(
        &self,
        len: usize,
        sent: u32,
        call: impl Fn() -> Result<usize, Errno>,
    ) -> Result<(), TransmitError> {
        loop {
            return match call() {
                Ok(written) if written == self.header_len + len => {
                    self.counters.transmit.segments_sent.one_alone();
                    Ok(())
                }
                Ok(_) => Err(TransmitError::Io { sent, source: io::ErrorKind::WriteZero.into() }),
                Err(Errno::EINTR) => continue,
                Err(errno) => Err(self.write_failed(errno, len, sent)),
            };
        }
    }

    #[cold]
    fn write_failed(&self, errno: Errno, len: usize, sent: u32) -> TransmitError {
        match platform::write_fault(errno as i32) {
            WriteFault::WouldBlock | WriteFault::Interrupted => TransmitError::WouldBlock { sent },
            WriteFault::NoBufferSpace => TransmitError::NoBufferSpace { sent },
            WriteFault::Down => TransmitError::InterfaceDown { sent },
            WriteFault::BadLength => TransmitError::Oversize { len, limit: self.limits.longest },
            WriteFault::Gone => {
                self.mark_gone();
                TransmitError::Gone
            }
            WriteFault::Other => TransmitError::Io { sent, source: io::Error::from(errno) },
        }
    }

    fn count_sent(&self, len: usize) {
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
            TransmitError::WouldBlock { .. } | TransmitError::InterfaceDown { .. } => self.lock.note(BLOCKED),
            TransmitError::NoBufferSpace { .. } => self.lock.note(STARVED),
            _ => {}
        }
    }
}

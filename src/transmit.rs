//! Frames from the guest to the host.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::uio::writev;
use nix::unistd::write;

use crate::backend::Backend;
use crate::buffer::TransmitBuffer;
use crate::error::TransmitError;
use crate::frame::{Checksum, Frame};
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
        self.begin().then_some(Transmitter { backend: self })
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
        self.counters.transmit.frames_offered.one();
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
            _ => self.send_offloaded(frame, first),
        }
    }

    fn send_offloaded(&self, _frame: &Frame<'_>, _first: u32) -> Result<(), TransmitError> {
        Err(TransmitError::Unsupported { what: "segmentation" })
    }

    fn send_plain(&self, slices: &[IoSlice<'_>], len: usize) -> Result<(), TransmitError> {
        if len > self.limits.longest {
            return Err(TransmitError::Oversize { len, limit: self.limits.longest });
        }
        self.write_frame(&[0; LONGEST_HEADER][..self.header_len], slices, len, 0)
    }

    /// Writes one frame of `len` bytes behind `header`, in one system call. `sent` goes into the error.
    pub(crate) fn write_frame(
        &self,
        header: &[u8],
        slices: &[IoSlice<'_>],
        len: usize,
        sent: u32,
    ) -> Result<(), TransmitError> {
        let count = slices.len() + usize::from(!header.is_empty());
        if count > self.most_slices {
            return Err(TransmitError::TooManySlices { slices: count, limit: self.most_slices });
        }
        let result = loop {
            let result = match slices {
                [one] if header.is_empty() => write(&self.tap, one),
                many if header.is_empty() => writev(&self.tap, many),
                _ => slices::with_first(header, slices, |all| writev(&self.tap, all)),
            };
            if result != Err(Errno::EINTR) {
                break result;
            }
        };
        match result {
            Ok(written) if written == header.len() + len => {
                self.counters.transmit.segments_sent.one();
                Ok(())
            }
            Ok(_) => Err(TransmitError::Io { sent, source: io::ErrorKind::WriteZero.into() }),
            Err(errno) => Err(self.write_failed(errno, len, sent)),
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
        counters.frames_sent.one();
        counters.bytes_sent.add(len as u64);
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

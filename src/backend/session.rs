//! The transmit session, and the guards that end it.

use std::io::IoSlice;
use std::sync::Arc;

use crate::backend::backend::Backend;
use crate::backend::buffer::TransmitBuffer;
use crate::backend::error::TransmitError;
use crate::memory::body::Borrowed;
use crate::segmentation::deliver::Work;
use crate::segmentation::frame::{Checksum, Frame};
use crate::wire::gso::Gso;

/// The methods of a session, the same for both of its guards.
macro_rules! session {
    () => {
        /// Sends one frame, or every segment of an oversized one.
        ///
        /// # Errors
        /// [`TransmitError`] says whether the frame was dropped or can be sent again later, and how many segments of
        /// it went out.
        #[inline]
        pub fn send(&mut self, frame: &Frame<'_>) -> Result<(), TransmitError> {
            self.backend.send(Borrowed(frame.slices), &frame.work)
        }

        /// Sends what is left of an oversized frame of which the host took `sent` segments before.
        ///
        /// # Errors
        /// As [`send`](Self::send); `sent` in the error counts from the frame's start.
        pub fn resume(&mut self, frame: &Frame<'_>, sent: u32) -> Result<(), TransmitError> {
            self.backend.send_rest(Borrowed(frame.slices), frame.work, sent)
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
            self.backend.send_with_header(Borrowed(slices), header_len)
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
            self.backend.send(Borrowed(&slices), &Work { gso, checksum: Checksum::Complete })
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

    pub(crate) fn backend(&self) -> &Backend {
        self.backend
    }
}

impl OwnedTransmitter {
    session!();
}

impl Drop for Transmitter<'_> {
    #[inline]
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
    #[inline]
    pub fn begin_transmit(&self) -> Option<Transmitter<'_>> {
        if self.begin() { Some(Transmitter { backend: self }) } else { None }
    }

    /// Opens a transmit session that owns the backend; else as [`begin_transmit`](Self::begin_transmit).
    pub fn begin_transmit_owned(self: Arc<Self>) -> Option<OwnedTransmitter> {
        if self.begin() { Some(OwnedTransmitter { backend: self }) } else { None }
    }

    #[inline]
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
        let limit = crate::backend::backend::LARGEST_FRAME;
        if min_len > limit {
            return Err(TransmitError::Oversize { len: min_len, limit });
        }
        TransmitBuffer::take(&self.pool, min_len)
    }
}

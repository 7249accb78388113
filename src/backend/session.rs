//! The transmit session, and the forms of a frame that it sends.

use std::io::IoSlice;
use std::ops::Deref;
use std::sync::Arc;

use super::buffer::TransmitBuffer;
use super::error::TransmitError;
use super::{Backend, LARGEST_FRAME};
use crate::memory::FrameMemory;
use crate::segmentation::Frame;
use crate::wire::{Checksum, Gso, Request};

/// An open transmit session. A backend has at most one; dropping the session ends it.
///
/// `B` is how it holds the backend: see [`Transmitter`] and [`OwnedTransmitter`].
#[derive(Debug)]
#[must_use]
pub struct Session<B: Deref<Target = Backend>> {
    backend: B,
}

/// A transmit session that borrows its backend.
pub type Transmitter<'a> = Session<&'a Backend>;

/// A transmit session that owns its backend, for devices whose begin and end are separate calls.
pub type OwnedTransmitter = Session<Arc<Backend>>;

impl<B: Deref<Target = Backend>> Session<B> {
    /// Sends one frame, or every segment of an oversized one.
    ///
    /// # Errors
    /// [`TransmitError`] says whether the frame was dropped or can be sent again later, and how many segments of
    /// it went out.
    #[inline(always)]
    pub fn send(&mut self, frame: &Frame<'_>) -> Result<(), TransmitError> {
        self.backend.send(frame.memory(), &frame.request(), 0)
    }

    /// Sends what is left of an oversized frame of which the host took `sent` segments before. With 0 it is
    /// [`send`](Self::send), so that one call will do for a frame that may have been refused before.
    ///
    /// # Errors
    /// As [`send`](Self::send), where `sent` in the error counts from the frame's start; [`TransmitError::BadResume`] when
    /// the frame has no segment after these.
    #[inline(always)]
    pub fn resume(&mut self, frame: &Frame<'_>, sent: u32) -> Result<(), TransmitError> {
        self.backend.send(frame.memory(), &frame.request(), sent)
    }

    /// Sends one frame from a virtio driver: the first `header_len` bytes of `slices` are its virtio-net header, 10 or 12. Of
    /// the header only what [`Frame::from_virtio`] reads goes on to the host. Where header and frame are one slice and no
    /// byte of it needs to be changed, the slice goes out as it is, by `write`.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`TransmitError::Rejected`] also for a header that contradicts the frame.
    #[inline(always)]
    pub fn send_with_header(
        &mut self,
        slices: &[IoSlice<'_>],
        header_len: usize,
    ) -> Result<(), TransmitError> {
        self.backend.send_behind_header(FrameMemory::borrowed(slices), header_len, 0)
    }

    /// [`resume`](Self::resume) for a frame that [`send_with_header`](Self::send_with_header) was given.
    ///
    /// # Errors
    /// As [`send_with_header`](Self::send_with_header) and [`resume`](Self::resume).
    #[inline(always)]
    pub fn resume_with_header(
        &mut self,
        slices: &[IoSlice<'_>],
        header_len: usize,
        sent: u32,
    ) -> Result<(), TransmitError> {
        self.backend.send_behind_header(FrameMemory::borrowed(slices), header_len, sent)
    }

    /// Takes a buffer of at least `min_len` bytes to build a frame in.
    ///
    /// # Errors
    /// [`TransmitError::Oversize`] for more than the largest frame there is, [`TransmitError::OutOfMemory`].
    pub fn allocate(&mut self, min_len: usize) -> Result<TransmitBuffer, TransmitError> {
        if min_len > LARGEST_FRAME {
            return Err(TransmitError::Oversize { len: min_len, limit: LARGEST_FRAME });
        }
        TransmitBuffer::take(&self.backend.pool, min_len)
    }

    /// Sends the bytes in use of `buffer` as one frame. The buffer is consumed whatever the outcome.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_buffer(&mut self, buffer: TransmitBuffer, gso: Option<Gso>) -> Result<(), TransmitError> {
        let slices = [IoSlice::new(&buffer)];
        self.backend.send(FrameMemory::borrowed(&slices), &Request::new(gso, Checksum::Complete), 0)
    }

    /// The backend that this session sends to.
    #[inline(always)]
    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }
}

impl<B: Deref<Target = Backend>> Drop for Session<B> {
    #[inline]
    fn drop(&mut self) {
        self.backend.end_transmit();
    }
}

impl Backend {
    /// Opens a transmit session; `None` while another one is open. It never waits. A caller that is refused is called back
    /// when that one ends: by `Frontend::transmit_pending` from [`Threads`](crate::Threads), or by the callback of
    /// [`on_transmit_ready`](Self::on_transmit_ready).
    #[inline]
    pub fn begin_transmit(&self) -> Option<Transmitter<'_>> {
        if self.begin() { Some(Session { backend: self }) } else { None }
    }

    /// Opens a transmit session that owns the backend; else as [`begin_transmit`](Self::begin_transmit).
    pub fn begin_transmit_owned(self: Arc<Self>) -> Option<OwnedTransmitter> {
        if self.begin() { Some(Session { backend: self }) } else { None }
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
}

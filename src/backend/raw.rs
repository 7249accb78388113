//! The forms of a frame that lies in guest memory.
#![expect(unsafe_code, reason = "only the caller can promise that guest memory is there")]
// UNSAFETY: each function hands the caller's promise on to the type that stands for it, and does nothing else.

use std::ops::Deref;

use super::Backend;
use super::error::{ReceiveError, TransmitError};
use super::receive::Received;
use super::session::Session;
use crate::memory::{FrameMemory, FrameSlice, RawSlice, ReceiveMemory, RoomSlice};
use crate::wire::{Checksum, Gso, Request};

impl Backend {
    /// [`receive`](Self::receive) into guest memory.
    ///
    /// # Safety
    /// Until the call returns, for each slice:
    /// - its memory is mapped, readable and writable over its whole length. Length 0 promises nothing, but the kernel answers
    ///   `EFAULT` to an address that no process can have;
    /// - no Rust reference to any of it exists, and Rust code touches it by volatile or atomic accesses only. The guest
    ///   itself may access it at any time.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline(always)]
    pub unsafe fn receive_raw(&self, slices: &[RawSlice]) -> Result<Option<Received>, ReceiveError> {
        // SAFETY: the caller promises the same, for at least as long.
        let room = unsafe { RoomSlice::guest(slices) };
        self.receive_into(&ReceiveMemory::shared(room))
    }

    /// [`receive_with_header`](Self::receive_with_header) into guest memory.
    ///
    /// # Safety
    /// As [`receive_raw`](Self::receive_raw).
    ///
    /// # Errors
    /// As [`receive_with_header`](Self::receive_with_header).
    #[inline(always)]
    pub unsafe fn receive_raw_with_header(&self, slices: &[RawSlice]) -> Result<Option<usize>, ReceiveError> {
        // SAFETY: the caller promises the same, for at least as long.
        let room = unsafe { RoomSlice::guest(slices) };
        self.receive_into_with_header(&ReceiveMemory::shared(room))
    }
}

impl Backend {
    /// [`send_verbatim`](Self::send_verbatim) from guest memory.
    ///
    /// # Safety
    /// As [`Session::send_raw`].
    ///
    /// # Errors
    /// As [`send_verbatim`](Self::send_verbatim).
    #[inline(always)]
    pub unsafe fn send_raw_verbatim(&self, slices: &[RawSlice]) -> Result<usize, TransmitError> {
        // SAFETY: the caller promises the same, for at least as long.
        let frame = unsafe { FrameSlice::guest(slices) };
        self.write_verbatim(FrameMemory::shared(frame))
    }
}

impl<B: Deref<Target = Backend>> Session<B> {
    /// Sends one frame from guest memory, or every segment of an oversized one. Headers are copied once and then
    /// validated; the payload is read by the kernel, and by volatile reads where a checksum is computed here.
    ///
    /// # Safety
    /// Until the call returns, for each slice:
    /// - its memory is mapped and readable over its whole length. Length 0 promises nothing, but the kernel answers `EFAULT`
    ///   to an address that no process can have;
    /// - no Rust reference that forbids others to write exists to any of it, and Rust code writes to it by volatile or
    ///   atomic accesses only. The guest itself may access it at any time.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline(always)]
    pub unsafe fn send_raw(
        &mut self,
        slices: &[RawSlice],
        gso: Option<Gso>,
        checksum: Checksum,
    ) -> Result<(), TransmitError> {
        // SAFETY: the caller promises the same, for at least as long.
        let frame = unsafe { FrameSlice::guest(slices) };
        self.backend().send(FrameMemory::shared(frame), &Request::new(gso, checksum), 0)
    }

    /// [`resume`](Self::resume) for a frame that [`send_raw`](Self::send_raw) was given.
    ///
    /// # Safety
    /// As [`send_raw`](Self::send_raw).
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    #[inline(always)]
    pub unsafe fn resume_raw(
        &mut self,
        slices: &[RawSlice],
        gso: Option<Gso>,
        checksum: Checksum,
        sent: u32,
    ) -> Result<(), TransmitError> {
        // SAFETY: the caller promises the same, for at least as long.
        let frame = unsafe { FrameSlice::guest(slices) };
        self.backend().send(FrameMemory::shared(frame), &Request::new(gso, checksum), sent)
    }

    /// [`send_with_header`](Self::send_with_header) from guest memory.
    ///
    /// The header is copied before it is checked, and the copy is sent, since the guest may change its own meanwhile. So the
    /// system call is `writev` of two slices or more, where the other form may make it `write` of one.
    ///
    /// # Safety
    /// As [`send_raw`](Self::send_raw).
    ///
    /// # Errors
    /// As [`send_with_header`](Self::send_with_header).
    #[inline(always)]
    pub unsafe fn send_raw_with_header(
        &mut self,
        slices: &[RawSlice],
        header_len: usize,
    ) -> Result<(), TransmitError> {
        // SAFETY: the caller promises the same, for at least as long.
        let frame = unsafe { FrameSlice::guest(slices) };
        self.backend().send_behind_header(FrameMemory::shared(frame), header_len, 0)
    }

    /// [`resume`](Self::resume) for a frame that [`send_raw_with_header`](Self::send_raw_with_header) was given.
    ///
    /// # Safety
    /// As [`send_raw`](Self::send_raw).
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    #[inline(always)]
    pub unsafe fn resume_raw_with_header(
        &mut self,
        slices: &[RawSlice],
        header_len: usize,
        sent: u32,
    ) -> Result<(), TransmitError> {
        // SAFETY: the caller promises the same, for at least as long.
        let frame = unsafe { FrameSlice::guest(slices) };
        self.backend().send_behind_header(FrameMemory::shared(frame), header_len, sent)
    }
}

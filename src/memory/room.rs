//! Room for a frame from the host: the caller's slices, with a header before and a spare byte behind them where needed.

use std::io::IoSliceMut;

use super::frame::{Cursor, FrameMemory, with_headers};
use super::guest::{List, RoomSlice, with_list};
use crate::wire::{Checksum, Gso, HeaderBytes, RejectReason, Sum, suspect, virtio};

/// Slices of [`nowhere`]: as many as POSIX promises everywhere.
const NOWHERE_SLICES: usize = 16;
/// Bytes of each, so that together they are longer than any frame with its header.
pub(crate) const NOWHERE_LEN: usize = 4160;

/// Room for a frame that nobody wants: the same bytes again and again. A read into it tells the frame's length.
pub(crate) fn nowhere(scratch: &mut [u8; NOWHERE_LEN]) -> [RoomSlice<'_>; NOWHERE_SLICES] {
    [RoomSlice::own(scratch); NOWHERE_SLICES]
}

/// Where a frame is to go.
#[derive(Debug)]
pub(crate) struct ReceiveMemory<'r>(&'r [RoomSlice<'r>]);

impl<'r> ReceiveMemory<'r> {
    /// Takes borrowed slices.
    #[inline(always)]
    pub fn borrowed(slices: &'r mut [IoSliceMut<'_>]) -> Self {
        Self(RoomSlice::borrowed(slices))
    }

    /// Takes slices of memory that others may access.
    #[inline(always)]
    pub fn shared(slices: &'r [RoomSlice<'r>]) -> Self {
        Self(slices)
    }

    /// How many slices there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Bytes that fit.
    #[inline(always)]
    pub fn len(&self) -> usize {
        match self.0 {
            [one] => one.len(),
            many => many.iter().fold(0, |len: usize, slice| len.saturating_add(slice.len())),
        }
    }

    /// The slices as they are.
    #[inline(always)]
    pub fn slices(&self) -> &'r [RoomSlice<'r>] {
        self.0
    }

    /// Stores `bytes` from `at` on, whatever slices that is in; what lies beyond the room is not stored.
    #[inline(always)]
    pub fn put(&self, at: usize, bytes: [u8; 2]) {
        match self.0 {
            [first, ..] if at + bytes.len() <= first.len() => {
                first.put(at, bytes[0]);
                first.put(at + 1, bytes[1]);
            }
            _ => self.put_scattered(at, bytes),
        }
    }

    #[cold]
    #[inline(never)]
    fn put_scattered(&self, at: usize, bytes: [u8; 2]) {
        let mut start = 0;
        for slice in self.0 {
            for (place, byte) in (at..).zip(bytes) {
                if (start..start + slice.len()).contains(&place) {
                    slice.put(place - start, byte);
                }
            }
            start += slice.len();
        }
    }

    /// Puts `header`, where that is not empty, then the slices, then `spare`, where that is not empty, on `list`.
    #[inline(always)]
    pub fn list<'l>(&self, list: &mut List<'_, RoomSlice<'l>>, header: &'l mut [u8], spare: &'l mut [u8])
    where
        'r: 'l,
    {
        if !header.is_empty() {
            list.push(RoomSlice::own(header));
        }
        for slice in self.0 {
            list.push(*slice);
        }
        if !spare.is_empty() {
            list.push(RoomSlice::own(spare));
        }
    }

    /// Reads from `header` what is left to do on the frame of `len` bytes that was read.
    pub fn interpret(&self, header: &[u8], len: usize) -> Result<(Option<Gso>, Checksum), RejectReason> {
        self.with_frame(len, |memory| {
            with_headers(memory, |bytes| {
                virtio::interpret(header, &HeaderBytes::new(&bytes[virtio::LONGEST..], memory.len()))
            })
        })
    }

    /// Finishes the transport checksum of the frame of `len` bytes that was read, where its sender has left it to hardware.
    pub fn finish_checksum(&self, len: usize) {
        let finished = self.with_frame(len, |memory| {
            let found = with_headers(memory, |bytes| Ok(suspect(&bytes[virtio::LONGEST..], memory.len())));
            let found = found.ok().flatten()?;
            let (mut cursor, mut sum) = (Cursor::default(), Sum::default());
            cursor.skip(memory, found.start);
            cursor.sum(memory, found.len, &mut sum);
            Some((found.field, sum.checksum_not_zero()))
        });
        if let Some((field, checksum)) = finished {
            let [first, second] = checksum.to_be_bytes();
            self.put(field, [first, second]);
        }
    }

    /// Copies the first bytes of what was read; returns how many there are.
    pub fn copy_front(&self, target: &mut [u8]) -> usize {
        self.with_frame(target.len(), |memory| memory.copy_front(target))
    }

    /// Calls `act` with the first `len` bytes that were read.
    fn with_frame<R>(&self, mut len: usize, act: impl FnOnce(&FrameMemory<'_>) -> R) -> R {
        with_list(self.count(), |mut list| {
            for slice in self.0 {
                let filled = slice.filled(len);
                len -= filled.len();
                list.push(filled);
            }
            act(&FrameMemory::shared(list.slices().unwrap_or_default()))
        })
    }
}

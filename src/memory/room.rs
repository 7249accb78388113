//! Room for a frame from the host: the caller's slices, with a header before and a spare byte behind them where needed.

use std::io::IoSliceMut;

use super::frame::{Cursor, FrameMemory, with_headers};
use super::guest::{List, RoomSlice, with_list};
use crate::wire::{Checksum, Gso, HeaderBytes, RejectReason, Sum, suspect, virtio};

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
            self.put(field, first);
            self.put(field + 1, second);
        }
    }

    /// Overwrites the byte at `at`.
    fn put(&self, mut at: usize, value: u8) {
        for slice in self.0 {
            if slice.put(at, value) {
                return;
            }
            at -= slice.len();
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

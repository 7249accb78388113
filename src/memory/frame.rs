//! A frame to be read, scattered over slices that stay where they are.

use std::io::IoSlice;
use std::mem::MaybeUninit;

use super::guest::{self, FrameSlice, List, with_list};
use crate::wire::{RejectReason, Sum, virtio};

/// The bytes of one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameMemory<'f> {
    slices: &'f [FrameSlice<'f>],
    /// Bytes of the first slice that are not the frame's.
    skipped: usize,
    /// Somebody else may write to the bytes meanwhile.
    shared: bool,
}

impl<'f> FrameMemory<'f> {
    /// Takes a frame in borrowed slices.
    #[inline(always)]
    pub fn borrowed(slices: &'f [IoSlice<'_>]) -> Self {
        Self { slices: FrameSlice::borrowed(slices), skipped: 0, shared: false }
    }

    /// Takes a frame in memory that others may write to.
    #[inline(always)]
    pub fn shared(slices: &'f [FrameSlice<'f>]) -> Self {
        Self { slices, skipped: 0, shared: true }
    }

    /// The frame behind the first `len` bytes, such as a virtio-net header.
    #[inline(always)]
    pub fn without_front(self, len: usize) -> Self {
        let (mut slices, mut skipped) = (self.slices, self.skipped + len);
        while let [first, rest @ ..] = slices
            && skipped >= first.len()
        {
            skipped -= first.len();
            slices = rest;
        }
        Self { slices, skipped: if slices.is_empty() { 0 } else { skipped }, ..self }
    }

    /// How many slices there are.
    #[inline]
    pub fn count(&self) -> usize {
        self.slices.len()
    }

    /// Bytes of the whole frame.
    #[inline(always)]
    pub fn len(&self) -> usize {
        match self.slices {
            // One slice is a case of its own: its length needs no loop.
            [one] => one.len() - self.skipped,
            many => many.iter().fold(0, |len: usize, slice| len.saturating_add(slice.len())) - self.skipped,
        }
    }

    /// The slices as they are, where they hold nothing but the frame.
    #[inline(always)]
    pub fn whole(&self) -> Option<&'f [FrameSlice<'f>]> {
        (self.skipped == 0).then_some(self.slices)
    }

    /// The slices as they are, where one slice already holds all that is to be written. That slice begins with `own`, in the
    /// place of all bytes before the frame's byte `rest`. The result is `None` for memory that others may write to, since
    /// what was checked must be what is sent.
    #[inline(always)]
    pub fn holding(&self, own: &[u8], rest: usize) -> Option<&'f [FrameSlice<'f>]> {
        match self.slices {
            // The condition that each caller knows when it is compiled comes first. So a caller without a header has no such
            // branch.
            [one]
                if !self.shared
                    && self.skipped > 0
                    && self.skipped + rest == own.len()
                    && one.begins_with(own, self.shared) =>
            {
                Some(self.slices)
            }
            _ => None,
        }
    }

    /// The slice `index`, without what is not the frame's.
    #[inline(always)]
    fn slice(&self, index: usize) -> FrameSlice<'f> {
        let slice = self.slices[index];
        if index == 0 { slice.part(self.skipped..slice.len()) } else { slice }
    }

    /// Fills `target` with the first bytes of the frame; returns how many there were.
    #[inline]
    pub fn copy_front(&self, target: &mut [u8]) -> usize {
        let mut filled = 0;
        for index in 0..self.count() {
            filled += self.slice(index).copy_to(&mut target[filled..]);
        }
        filled
    }
}

/// What a write takes: bytes of our own and parts of a frame, in order.
#[derive(Debug)]
pub(crate) struct FrameList<'l, 's> {
    list: List<'l, FrameSlice<'s>>,
    shared: bool,
}

impl<'l, 's> FrameList<'l, 's> {
    /// An empty list in `slots`.
    #[inline(always)]
    pub fn new(slots: &'l mut [MaybeUninit<FrameSlice<'s>>]) -> Self {
        FrameList { list: List::new(slots), shared: false }
    }

    /// Calls `act` with an empty list that has room for `count` slices.
    #[inline(always)]
    pub fn with<R>(count: usize, act: impl FnOnce(&mut FrameList<'_, 's>) -> R) -> R {
        with_list(count, |list| act(&mut FrameList { list, shared: false }))
    }

    /// Adds bytes of our own, if there are any.
    #[inline(always)]
    pub fn own(&mut self, bytes: &'s [u8]) {
        if !bytes.is_empty() {
            self.list.push(FrameSlice::own(bytes));
        }
    }

    /// Adds the next `len` bytes of a frame, as many or up to its end.
    #[inline(always)]
    pub fn frame(&mut self, memory: &FrameMemory<'s>, cursor: &mut Cursor, len: usize) {
        self.shared |= memory.shared;
        cursor.advance(memory, len, |slice| self.list.push(slice));
    }

    /// The slices, where there are no more than `limit`; else how many there are.
    #[inline(always)]
    pub fn within(&self, limit: usize) -> Result<&[FrameSlice<'s>], usize> {
        self.list
            .slices()
            .and_then(|slices| if slices.len() > limit { Err(slices.len()) } else { Ok(slices) })
    }

    /// The slices as std has them; `None` where there are too many, or others may write to them.
    #[inline]
    pub fn io_slices(&self) -> Option<&[IoSlice<'_>]> {
        guest::io_slices(self.list.slices().ok()?, self.shared)
    }
}

/// A position between two bytes of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    index: usize,
    offset: usize,
}

impl Cursor {
    /// Steps over `len` bytes, or to the end of the frame, and tells `visit` each run of bytes on the way.
    #[inline(always)]
    fn advance<'f>(
        &mut self,
        memory: &FrameMemory<'f>,
        mut len: usize,
        mut visit: impl FnMut(FrameSlice<'f>),
    ) {
        while len > 0 && self.index < memory.count() {
            let slice = memory.slice(self.index);
            let end = slice.len().min(self.offset.saturating_add(len));
            if end > self.offset {
                visit(slice.part(self.offset..end));
                len -= end - self.offset;
                self.offset = end;
            }
            if len > 0 {
                *self = Self { index: self.index + 1, offset: 0 };
            }
        }
    }

    /// Steps over `len` bytes.
    #[inline(always)]
    pub fn skip(&mut self, memory: &FrameMemory<'_>, len: usize) {
        self.advance(memory, len, |_| {});
    }

    /// Adds the next `len` bytes to `sum`, and stays where it is.
    #[inline]
    pub fn sum(mut self, memory: &FrameMemory<'_>, len: usize, sum: &mut Sum) {
        self.advance(memory, len, |slice| slice.add_to(sum, memory.shared));
    }
}

/// Bytes that hold all headers of nearly every frame: Ethernet, tags, the longest IPv4 and TCP headers, or IPv6 with a few
/// extensions.
const USUAL: usize = 256;
/// Four IPv6 extension headers of full length, as many as RFC 8200 4.1 has room for, and everything around them.
const LONGEST: usize = 8448;

/// Runs `run` on a copy of the frame's first bytes, behind room for a virtio-net header so that both go out as one slice.
/// When `run` finds the headers too long, it is run again on a longer copy. The second run sees bytes fetched anew, so it
/// must keep nothing from the first.
#[inline]
pub(crate) fn with_headers<T>(
    memory: &FrameMemory<'_>,
    mut run: impl FnMut(&mut [u8]) -> Result<T, RejectReason>,
) -> Result<T, RejectReason> {
    match attempt::<T, USUAL>(memory, &mut run) {
        Err(RejectReason::HeadersTooLong) => with_long_headers(memory, &mut run),
        outcome => outcome,
    }
}

#[cold]
#[inline(never)]
fn with_long_headers<T>(
    memory: &FrameMemory<'_>,
    run: &mut impl FnMut(&mut [u8]) -> Result<T, RejectReason>,
) -> Result<T, RejectReason> {
    attempt::<T, LONGEST>(memory, run)
}

#[inline]
fn attempt<T, const ROOM: usize>(
    memory: &FrameMemory<'_>,
    run: &mut impl FnMut(&mut [u8]) -> Result<T, RejectReason>,
) -> Result<T, RejectReason> {
    let mut bytes = [0; ROOM];
    let filled = virtio::LONGEST + memory.copy_front(&mut bytes[virtio::LONGEST..]);
    run(&mut bytes[..filled])
}

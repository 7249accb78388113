//! Where the bytes of a frame lie: the same walk serves borrowed slices and guest memory behind raw pointers.

use std::io::IoSlice;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::platform::write_frame;
use crate::wire::checksum::Sum;

/// The bytes of one frame, scattered over slices that stay where they are.
pub(crate) trait Body: Copy {
    /// One slice of what is handed to the system call.
    type Slice<'s>: Copy;

    fn count(&self) -> usize;
    fn len(&self, index: usize) -> usize;
    fn cut<'s>(&'s self, index: usize, range: Range<usize>) -> Self::Slice<'s>;
    fn sum(&self, index: usize, range: Range<usize>, sum: &mut Sum);
    /// Copies slice `index` from `from` on, as far as both sides reach; returns how many bytes.
    fn copy(&self, index: usize, from: usize, target: &mut [u8]) -> usize;
    /// Fills `target` from slice `index`, where that has enough bytes from `at` on.
    fn read<const N: usize>(&self, index: usize, at: usize, target: &mut [u8; N]) -> bool;
    /// A slice of our own bytes.
    fn own<'s>(bytes: &'s [u8]) -> Self::Slice<'s>;
    fn slice_len(slice: &Self::Slice<'_>) -> usize;
    /// The slices as they are, where the frame is all there is in them.
    fn whole<'s>(&'s self) -> Option<&'s [Self::Slice<'s>]>;
    /// Writes one frame.
    fn write(fd: BorrowedFd<'_>, slices: &[Self::Slice<'_>]) -> Result<usize, Errno>;
}

/// A frame in memory that Rust may borrow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Borrowed<'f>(pub(crate) &'f [IoSlice<'f>]);

impl Body for Borrowed<'_> {
    type Slice<'s> = IoSlice<'s>;

    #[inline]
    fn count(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn len(&self, index: usize) -> usize {
        self.0[index].len()
    }

    #[inline]
    fn cut<'s>(&'s self, index: usize, range: Range<usize>) -> IoSlice<'s> {
        IoSlice::new(&self.0[index][range])
    }

    // No part of its caller: there the loop over the bytes comes out slower by a fifth.
    fn sum(&self, index: usize, range: Range<usize>, sum: &mut Sum) {
        sum.bytes(&self.0[index][range]);
    }

    fn copy(&self, index: usize, from: usize, target: &mut [u8]) -> usize {
        let source = &self.0[index][from..];
        let len = source.len().min(target.len());
        target[..len].copy_from_slice(&source[..len]);
        len
    }

    #[inline]
    fn read<const N: usize>(&self, index: usize, at: usize, target: &mut [u8; N]) -> bool {
        let bytes = self.0.get(index).and_then(|slice| slice.get(at..)?.first_chunk());
        bytes.map(|bytes| *target = *bytes).is_some()
    }

    #[inline]
    fn own<'s>(bytes: &'s [u8]) -> IoSlice<'s> {
        IoSlice::new(bytes)
    }

    #[inline]
    fn slice_len(slice: &IoSlice<'_>) -> usize {
        slice.len()
    }

    #[inline]
    fn whole<'s>(&'s self) -> Option<&'s [IoSlice<'s>]> {
        Some(self.0)
    }

    #[inline(always)]
    fn write(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        write_frame(fd, slices)
    }
}

/// The frame behind the first bytes of another body, such as a virtio-net header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind<B> {
    body: B,
    /// The slice and the place in it where the frame starts.
    index: usize,
    offset: usize,
}

impl<B: Body> Behind<B> {
    #[inline]
    pub(crate) fn new(body: B, len: usize) -> Self {
        let (mut index, mut offset) = (0, len);
        while index < body.count() && offset >= body.len(index) {
            offset -= body.len(index);
            index += 1;
        }
        Self { body, index, offset: if index < body.count() { offset } else { 0 } }
    }

    /// How far the first slice is cut at its front.
    #[inline]
    fn shift(&self, index: usize) -> usize {
        if index == 0 { self.offset } else { 0 }
    }
}

impl<B: Body> Body for Behind<B> {
    type Slice<'s> = B::Slice<'s>;

    #[inline]
    fn count(&self) -> usize {
        self.body.count() - self.index
    }

    #[inline]
    fn len(&self, index: usize) -> usize {
        self.body.len(self.index + index) - self.shift(index)
    }

    #[inline]
    fn cut<'s>(&'s self, index: usize, range: Range<usize>) -> B::Slice<'s> {
        let shift = self.shift(index);
        self.body.cut(self.index + index, range.start + shift..range.end + shift)
    }

    fn sum(&self, index: usize, range: Range<usize>, sum: &mut Sum) {
        let shift = self.shift(index);
        self.body.sum(self.index + index, range.start + shift..range.end + shift, sum);
    }

    fn copy(&self, index: usize, from: usize, target: &mut [u8]) -> usize {
        self.body.copy(self.index + index, from + self.shift(index), target)
    }

    #[inline]
    fn read<const N: usize>(&self, index: usize, at: usize, target: &mut [u8; N]) -> bool {
        self.body.read(self.index + index, at + self.shift(index), target)
    }

    #[inline]
    fn own<'s>(bytes: &'s [u8]) -> B::Slice<'s> {
        B::own(bytes)
    }

    #[inline]
    fn slice_len(slice: &B::Slice<'_>) -> usize {
        B::slice_len(slice)
    }

    #[inline]
    fn whole<'s>(&'s self) -> Option<&'s [B::Slice<'s>]> {
        self.body.whole().filter(|_| self.offset == 0)?.get(self.index..)
    }

    #[inline]
    fn write(fd: BorrowedFd<'_>, slices: &[B::Slice<'_>]) -> Result<usize, Errno> {
        B::write(fd, slices)
    }
}

#[inline(always)]
pub(crate) fn total_len(body: impl Body) -> usize {
    (0..body.count()).fold(0, |total: usize, index| total.saturating_add(body.len(index)))
}

/// Fills `target` with the first bytes of the frame; returns how many there were.
#[inline]
pub(crate) fn copy_front(body: impl Body, target: &mut [u8]) -> usize {
    let mut filled = 0;
    for index in 0..body.count() {
        filled += body.copy(index, 0, &mut target[filled..]);
    }
    filled
}

/// A position between two bytes of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    index: usize,
    offset: usize,
}

impl Cursor {
    /// Steps over `len` bytes and tells `visit` each slice and range on the way. Stops early at the end of the frame.
    #[inline]
    pub(crate) fn advance<B: Body>(
        &mut self,
        body: &B,
        mut len: usize,
        mut visit: impl FnMut(usize, Range<usize>),
    ) {
        while len > 0 && self.index < body.count() {
            let end = body.len(self.index).min(self.offset.saturating_add(len));
            if end > self.offset {
                visit(self.index, self.offset..end);
                len -= end - self.offset;
                self.offset = end;
            }
            if len > 0 {
                *self = Self { index: self.index + 1, offset: 0 };
            }
        }
    }

    pub(crate) fn skip<B: Body>(&mut self, body: &B, len: usize) {
        self.advance(body, len, |_, _| {});
    }
}

/// Sums `len` bytes from `from` on.
#[inline]
pub(crate) fn sum_range<B: Body>(body: &B, mut from: Cursor, len: usize, sum: &mut Sum) {
    from.advance(body, len, |index, range| body.sum(index, range, sum));
}

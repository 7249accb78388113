//! Room for a frame from the host: the caller's slices, with a header before and a spare byte behind them where needed.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::uio::readv;
use nix::unistd::read;

use crate::body::{Borrowed, copy_front};
use crate::frame::Checksum;
use crate::gso::Gso;
use crate::reject::RejectReason;
use crate::vnet_header;

/// What nearly every guest stays below: a frame of 64 KiB in 4 KiB pages, with its headers apart.
pub(crate) const COMMON: usize = 20;
/// The largest list any system takes in one call (`IOV_MAX` on Linux, illumos and the BSDs).
pub(crate) const MOST: usize = 1024;

/// Where a frame is to go.
pub(crate) trait Room {
    fn count(&self) -> usize;
    fn bytes(&self) -> usize;
    /// Reads one frame, behind `header` where that is not empty. With `spare` the room is larger than any frame that can
    /// come. A frame that is too long gives more bytes than `header` and the room have.
    fn read(&mut self, fd: BorrowedFd<'_>, header: &mut [u8], spare: bool) -> Result<usize, Errno>;
    /// Reads from the header what is left to do on the frame of `len` bytes that was read.
    fn interpret(&self, header: &[u8], len: usize) -> Result<(Option<Gso>, Checksum), RejectReason>;
    /// Copies the first bytes of the frame that was read.
    fn copy(&self, target: &mut [u8]) -> usize;
}

impl Room for &mut [IoSliceMut<'_>] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        match &**self {
            [one] => one.len(),
            many => many.iter().map(|slice| slice.len()).sum(),
        }
    }

    #[inline]
    fn read(&mut self, fd: BorrowedFd<'_>, header: &mut [u8], spare: bool) -> Result<usize, Errno> {
        let room = self.bytes();
        match &mut **self {
            [one] if spare && header.is_empty() => read(fd, one).map(|len| past_room(len, room)),
            many if spare && header.is_empty() => readv(fd, many).map(|len| past_room(len, room)),
            many => with_ends(header, many, &mut [0], |all| readv(fd, all)),
        }
    }

    fn interpret(&self, header: &[u8], len: usize) -> Result<(Option<Gso>, Checksum), RejectReason> {
        with_shared(self, len, |slices| vnet_header::interpret_behind(header, Borrowed(slices)))
    }

    fn copy(&self, target: &mut [u8]) -> usize {
        with_shared(self, target.len(), |slices| copy_front(Borrowed(slices), target))
    }
}

/// A buffer with a byte to spare that is full held a frame that was longer.
pub(crate) fn past_room(len: usize, room: usize) -> usize {
    if len == room { room + 1 } else { len }
}

/// Calls `act` with `first`, `middle` and `last` as one list; an empty `first` is left out.
///
/// Kept apart, so that the list on the stack burdens nobody who needs none.
#[inline(never)]
pub(crate) fn with_ends<R>(
    first: &mut [u8],
    middle: &mut [IoSliceMut<'_>],
    last: &mut [u8],
    act: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    if middle.len() + 2 <= COMMON {
        build_mut::<COMMON, R>(first, middle, last, act)
    } else {
        build_mut_long(first, middle, last, act)
    }
}

#[cold]
#[inline(never)]
fn build_mut_long<R>(
    first: &mut [u8],
    middle: &mut [IoSliceMut<'_>],
    last: &mut [u8],
    act: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    build_mut::<MOST, R>(first, middle, last, act)
}

fn build_mut<const N: usize, R>(
    first: &mut [u8],
    middle: &mut [IoSliceMut<'_>],
    last: &mut [u8],
    act: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    let mut all: [IoSliceMut<'_>; N] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
    let skip = usize::from(first.is_empty());
    let parts = std::iter::once(first)
        .skip(skip)
        .chain(middle.iter_mut().map(|slice| &mut **slice))
        .chain(std::iter::once(last));
    let mut count = 0;
    for (slot, part) in all.iter_mut().zip(parts) {
        *slot = IoSliceMut::new(part);
        count += 1;
    }
    act(&mut all[..count])
}

/// Calls `act` with the first `len` bytes of `slices`, to be read.
pub(crate) fn with_shared<R>(
    slices: &[IoSliceMut<'_>],
    len: usize,
    act: impl FnOnce(&[IoSlice<'_>]) -> R,
) -> R {
    if slices.len() <= COMMON { share::<COMMON, R>(slices, len, act) } else { share_long(slices, len, act) }
}

#[cold]
#[inline(never)]
fn share_long<R>(slices: &[IoSliceMut<'_>], len: usize, act: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
    share::<MOST, R>(slices, len, act)
}

fn share<const N: usize, R>(
    slices: &[IoSliceMut<'_>],
    mut len: usize,
    act: impl FnOnce(&[IoSlice<'_>]) -> R,
) -> R {
    let mut all = [IoSlice::new(&[]); N];
    for (slot, slice) in all.iter_mut().zip(slices) {
        let part = &slice[..slice.len().min(len)];
        *slot = IoSlice::new(part);
        len -= part.len();
    }
    act(&all[..slices.len().min(N)])
}

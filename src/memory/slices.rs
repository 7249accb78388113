//! Room for a frame from the host: the caller's slices, with a header before and a spare byte behind them where needed.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::memory::body::{Borrowed, copy_front};
use crate::platform::read_frame;
use crate::segmentation::frame::Checksum;
use crate::wire::gso::Gso;
use crate::wire::reject::RejectReason;
use crate::wire::vnet_header;

/// What nearly every guest stays below: a frame of 64 KiB in 4 KiB pages, with its headers apart.
pub(crate) const COMMON: usize = 20;
/// What is listed where it is wanted, since the list is not long.
pub(crate) const FEW: usize = 6;
/// A header before the caller's slices, and a byte behind them.
pub(crate) const ENDS: usize = 2;
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

    #[inline(always)]
    fn read(&mut self, fd: BorrowedFd<'_>, header: &mut [u8], spare: bool) -> Result<usize, Errno> {
        let room = header.len() + self.bytes();
        if !spare {
            with_ends(header, self, &mut [0], |all| read_frame(fd, all))
        } else if header.is_empty() {
            read_frame(fd, self).map(|len| past_room(len, room))
        } else if let [one] = &mut **self {
            read_frame(fd, &mut [IoSliceMut::new(header), IoSliceMut::new(one)])
                .map(|len| past_room(len, room))
        } else {
            with_ends(header, self, &mut [], |all| read_frame(fd, all)).map(|len| past_room(len, room))
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

/// Calls `act` with `first`, `middle` and `last` as one list; what is empty of the first and the last is left out.
#[inline(always)]
pub(crate) fn with_ends<R>(
    first: &mut [u8],
    middle: &mut [IoSliceMut<'_>],
    last: &mut [u8],
    act: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    match middle.len() + ENDS {
        count if count <= FEW => build_mut::<FEW, R>(first, middle, last, act),
        count if count <= COMMON => build_mut_apart::<COMMON, R>(first, middle, last, act),
        _ => build_mut_apart::<MOST, R>(first, middle, last, act),
    }
}

/// Kept apart, so that a long list on the stack burdens nobody who needs none.
#[inline(never)]
fn build_mut_apart<const N: usize, R>(
    first: &mut [u8],
    middle: &mut [IoSliceMut<'_>],
    last: &mut [u8],
    act: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    build_mut::<N, R>(first, middle, last, act)
}

#[inline(always)]
fn build_mut<const N: usize, R>(
    first: &mut [u8],
    middle: &mut [IoSliceMut<'_>],
    last: &mut [u8],
    act: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    let count = usize::from(!first.is_empty()) + middle.len() + usize::from(!last.is_empty());
    let skip = usize::from(first.is_empty());
    let mut parts = std::iter::once(first)
        .skip(skip)
        .chain(middle.iter_mut().map(|slice| &mut **slice))
        .chain(std::iter::once(last));
    let mut all: [IoSliceMut<'_>; N] =
        std::array::from_fn(|_| IoSliceMut::new(parts.next().unwrap_or_default()));
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

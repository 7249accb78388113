//! Lists of slices with one more at an end, built on the stack.

use std::io::{IoSlice, IoSliceMut};

/// What nearly every guest stays below: a frame of 64 KiB in 4 KiB pages, with its headers apart.
const COMMON: usize = 20;
/// The largest list any system takes in one call (`IOV_MAX` on Linux, illumos and the BSDs).
pub(crate) const MOST: usize = 1024;

/// Calls `act` with `first` in front of `rest`.
///
/// # Panics
/// Never: a list longer than [`MOST`] is cut by no one, since the caller has checked it against `IOV_MAX`.
pub(crate) fn with_first<R>(first: &[u8], rest: &[IoSlice<'_>], act: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
    if rest.len() < COMMON { build::<COMMON, R>(first, rest, act) } else { build_long(first, rest, act) }
}

/// Kept apart so that its large frame on the stack is not touched by the common case.
#[cold]
#[inline(never)]
fn build_long<R>(first: &[u8], rest: &[IoSlice<'_>], act: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
    build::<MOST, R>(first, rest, act)
}

fn build<const N: usize, R>(first: &[u8], rest: &[IoSlice<'_>], act: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
    let mut all = [IoSlice::new(&[]); N];
    let count = (rest.len() + 1).min(N);
    all[0] = IoSlice::new(first);
    for (slot, slice) in all[1..count].iter_mut().zip(rest) {
        *slot = *slice;
    }
    act(&all[..count])
}

/// Calls `act` with `first`, `middle` and `last` as one list; an empty `first` is left out.
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

/// Copies the first bytes of `slices` to `target`; gives the slice and the offset in it where the copy ended.
pub(crate) fn copy_first(target: &mut [u8], slices: &[IoSlice<'_>]) -> (usize, usize) {
    let mut filled = 0;
    for (index, slice) in slices.iter().enumerate() {
        let len = slice.len().min(target.len() - filled);
        target[filled..filled + len].copy_from_slice(&slice[..len]);
        filled += len;
        if len < slice.len() {
            return (index, len);
        }
    }
    (slices.len(), 0)
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

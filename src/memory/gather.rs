//! Builds the list of slices for one write: bytes of our own and ranges of the frame, in order, on the stack.

use crate::memory::body::{Body, Cursor};
use crate::segmentation::frame::CarveError;

/// Slices a write has when the guest's frame lies in one or two; a short list costs less to lay out.
const FEW_SLICES: usize = 4;
/// Slices a write has in the common case: headers and 64 KiB in pages of 4 KiB.
const USUAL_SLICES: usize = 18;
/// `IOV_MAX` of Linux and illumos; no host takes more.
pub(crate) const MOST_SLICES: usize = 1024;

/// The next part of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'p> {
    Own(&'p [u8]),
    /// The next bytes of the frame, as many or up to its end.
    Body(usize),
    /// Leaves out the next bytes of the frame.
    Skip(usize),
}

/// Why a write did not happen.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    TooManySlices { slices: usize, limit: usize },
    Sink(E),
}

impl<E> Stop<E> {
    /// The same after `sent` frames that did go out.
    pub(crate) fn after(self, sent: u32) -> CarveError<E> {
        match self {
            Self::TooManySlices { slices, limit } => CarveError::TooManySlices { sent, slices, limit },
            Self::Sink(error) => CarveError::Sink { sent, error },
        }
    }
}

/// Gives `sink` the slices of `pieces`, and leaves `cursor` behind what they took of the frame.
#[inline]
pub(crate) fn gather<B: Body, E>(
    body: &B,
    cursor: &mut Cursor,
    pieces: &[Piece<'_>],
    limit: usize,
    sink: &mut impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    if body.count() + pieces.len() <= FEW_SLICES {
        list::<B, E, FEW_SLICES>(body, cursor, pieces, limit, sink)
    } else if body.count() + pieces.len() <= USUAL_SLICES {
        list::<B, E, USUAL_SLICES>(body, cursor, pieces, limit, sink)
    } else {
        long_list(body, cursor, pieces, limit, sink)
    }
}

#[cold]
#[inline(never)]
fn long_list<B: Body, E>(
    body: &B,
    cursor: &mut Cursor,
    pieces: &[Piece<'_>],
    limit: usize,
    sink: &mut impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    list::<B, E, MOST_SLICES>(body, cursor, pieces, limit, sink)
}

#[inline]
fn list<B: Body, E, const ROOM: usize>(
    body: &B,
    cursor: &mut Cursor,
    pieces: &[Piece<'_>],
    limit: usize,
    sink: &mut impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    let mut slices = [B::own(&[]); ROOM];
    let mut count = 0;
    let mut push = |slice| {
        // Counted beyond the room too, so that the error can tell how many it takes.
        if let Some(place) = slices.get_mut(count) {
            *place = slice;
        }
        count += 1;
    };
    for piece in pieces {
        match *piece {
            Piece::Own([]) => {}
            Piece::Own(bytes) => push(B::own(bytes)),
            Piece::Body(len) => cursor.advance(body, len, |index, range| push(body.cut(index, range))),
            Piece::Skip(len) => cursor.skip(body, len),
        }
    }
    let limit = limit.min(ROOM);
    if count > limit {
        return Err(Stop::TooManySlices { slices: count, limit });
    }
    sink(&slices[..count]).map_err(Stop::Sink)
}

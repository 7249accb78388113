//! From a frame to what the host is given: the frame as it is, a completed one, or one segment after the other.

use crate::memory::body::{Body, Borrowed, Cursor, sum_range, total_len};
use crate::memory::gather::{MOST_SLICES, Piece, gather};
use crate::segmentation::frame::{CarveError, Checksum};
use crate::segmentation::front::{Scratch, with_front};
use crate::segmentation::segments::{Fill, Prototype, Train};
use crate::wire::checksum::{Sum, checksum_field};
use crate::wire::gso::Gso;
use crate::wire::reject::RejectReason;
use crate::wire::validate::validate;
use crate::wire::vnet_header;

/// What a guest left to be done on a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) gso: Option<Gso>,
    pub(crate) checksum: Checksum,
}

/// What the taker of the frames is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    /// Bytes of virtio-net header before each frame: 0, 10 or 12.
    pub(crate) header_len: usize,
    /// Whether it does the work itself when the header asks for it. Needs a header.
    pub(crate) offload: bool,
    /// Slices it takes at once, the one with the headers included.
    pub(crate) max_slices: usize,
}

impl Port {
    /// Takes bare frames, completed and cut.
    pub(crate) const BARE: Self = Self { header_len: 0, offload: false, max_slices: MOST_SLICES };
}

/// Holds the frame against its context, as `deliver` does before anything else.
pub(crate) fn check<B: Body>(body: B, work: Work) -> Result<(), RejectReason> {
    match (work.gso, work.checksum) {
        (Some(gso), checksum) => {
            with_front(body, |scratch| validate(&gso, checksum, scratch.front())).map(drop)
        }
        (None, Checksum::Partial { start, offset }) => {
            checksum_field(total_len(body), start, offset).map(drop)
        }
        (None, Checksum::Complete) => Ok(()),
    }
}

/// Gives `sink` the slices of each frame to be written, from number `first` on; returns how many frames that makes in
/// all, the ones before `first` included. Nothing of the frame itself is changed or, its headers apart, copied.
pub(crate) fn deliver<B: Body, E>(
    body: B,
    work: Work,
    port: Port,
    first: u32,
    mut sink: impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    match (work.gso, work.checksum) {
        (Some(gso), checksum) => with_front(body, |scratch| {
            let layout = validate(&gso, checksum, scratch.front())?;
            let train = Train::new(layout, gso.segment_payload()?);
            Ok(cut(&body, scratch, train, port, first, &mut sink))
        })?,
        _ if first > 0 => Ok(1),
        (None, Checksum::Partial { start, offset }) if !port.offload => {
            let field = checksum_field(total_len(body), start, offset)?;
            completed(&body, start, field, port, &mut sink)
        }
        (None, checksum) => {
            check(body, work)?;
            unchanged(&body, &vnet_header::for_checksum(checksum), port, &mut sink)
        }
    }
}

/// Gives `sink` the frame in one piece, with the lengths and checksums of its headers put right.
pub(crate) fn deliver_whole<E>(
    body: Borrowed<'_>,
    work: Work,
    fill: Fill,
    mut sink: impl FnMut(&[std::io::IoSlice<'_>]) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let Some(gso) = work.gso else {
        return deliver(body, work, Port::BARE, 0, sink);
    };
    with_front(body, |mut scratch| {
        let train = Train::whole(validate(&gso, work.checksum, scratch.front())?);
        let prototype = Prototype::new(scratch.buffer(), train);
        Ok(emit(&body, prototype, fill, Port::BARE, 0, &mut sink))
    })?
}

#[inline]
fn cut<B: Body, E>(
    body: &B,
    mut scratch: Scratch<'_>,
    train: Train,
    port: Port,
    first: u32,
    sink: &mut impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let mut prototype = Prototype::new(scratch.buffer(), train);
    // A train that was begun in segments is finished in segments.
    if port.offload
        && first == 0
        && let Some(header) = vnet_header::for_train(&prototype)
    {
        prototype.make_whole();
        prototype.precede(&header, port.header_len);
        return emit(body, prototype, Fill::Pseudo, port, first, sink);
    }
    emit(body, prototype, Fill::Full, port, first, sink)
}

#[inline]
fn emit<B: Body, E>(
    body: &B,
    mut prototype: Prototype<'_>,
    fill: Fill,
    port: Port,
    first: u32,
    sink: &mut impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let train = prototype.train;
    let mut cursor = Cursor::default();
    cursor.skip(body, train.span(first.min(train.count)).payload.start);
    for index in first..train.count {
        let span = train.span(index);
        let start = cursor;
        prototype.rewrite(index, fill, |covered, sum| sum_range(body, start, covered.len(), sum));
        let headers = prototype.bytes(port.header_len, span.header_len);
        let pieces = [Piece::Own(headers), Piece::Body(span.payload.len())];
        gather(body, &mut cursor, &pieces, port.max_slices, sink).map_err(|stop| stop.after(index))?;
    }
    Ok(train.count)
}

fn completed<B: Body, E>(
    body: &B,
    start: u16,
    field: usize,
    port: Port,
    sink: &mut impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let mut from = Cursor::default();
    from.skip(body, usize::from(start));
    let mut sum = Sum::default();
    sum_range(body, from, usize::MAX, &mut sum);
    let checksum = sum.checksum_not_zero().to_be_bytes();
    let pieces = [
        Piece::Own(&[0; vnet_header::LONGEST][..port.header_len]),
        Piece::Body(field),
        Piece::Own(&checksum),
        Piece::Skip(checksum.len()),
        Piece::Body(usize::MAX),
    ];
    gather(body, &mut Cursor::default(), &pieces, port.max_slices, sink).map_err(|stop| stop.after(0))?;
    Ok(1)
}

fn unchanged<B: Body, E>(
    body: &B,
    header: &[u8; vnet_header::LONGEST],
    port: Port,
    sink: &mut impl FnMut(&[B::Slice<'_>]) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let pieces = [Piece::Own(&header[..port.header_len]), Piece::Body(usize::MAX)];
    gather(body, &mut Cursor::default(), &pieces, port.max_slices, sink).map_err(|stop| stop.after(0))?;
    Ok(1)
}

//! Cutting in software: a frame as it is, with its checksum completed, or one segment after the other.

use super::frame::CarveError;
use super::segments::Segmentation;
use super::template::HeaderTemplate;
use crate::memory::{Cursor, FrameList, FrameMemory, MOST_SLICES, with_headers};
use crate::wire::{
    Checksum, HeaderBytes, RejectReason, Request, Sum, checksum_field, put_ipv4_checksum, virtio,
};

/// Slices of our own that a segment can have: its headers, and a UDP header behind a fragment header.
const OWN: usize = 2;

/// What each frame that comes out must be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Zeros before each frame, a virtio-net header that asks for nothing: 0, 10 or 12 bytes.
    pub vnet_len: usize,
    /// Slices it may have, the one with the headers included.
    pub most_slices: usize,
}

impl Output {
    /// Bare frames.
    pub const BARE: Self = Self { vnet_len: 0, most_slices: MOST_SLICES };
}

/// Gives `sink` the slices of each frame to be written, from number `first` on. Returns how many frames that makes in
/// all, the ones before `first` included. Nothing of the frame itself is changed or, its headers apart, copied.
pub(crate) fn carve<E>(
    memory: &FrameMemory<'_>,
    request: &Request,
    output: Output,
    first: u32,
    mut sink: impl FnMut(&FrameList<'_, '_>) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    match (&request.segments, request.checksum) {
        (Some(segments), checksum) => with_headers(memory, |bytes| {
            let headers = HeaderBytes::new(&bytes[virtio::LONGEST..], memory.len());
            let (layout, size) = segments.check(checksum, &headers)?;
            Ok(cut(memory, bytes, Segmentation::new(layout, size), output, first, &mut sink))
        })?,
        _ if first > 0 => Ok(1),
        (None, checksum) if request.ipv4_checksum => with_headers(memory, |bytes| {
            let headers = HeaderBytes::new(&bytes[virtio::LONGEST..], memory.len());
            request.check_whole(&headers)?;
            let place = headers.ipv4_header()?;
            let end = place.end;
            put_ipv4_checksum(&mut bytes[virtio::LONGEST..][place]);
            let own = &bytes[virtio::LONGEST - output.vnet_len..virtio::LONGEST + end];
            Ok(whole(memory, own, end, checksum, output, &mut sink))
        })?,
        (None, checksum) => {
            let own = &[0; virtio::LONGEST][..output.vnet_len];
            whole(memory, own, 0, checksum, output, &mut sink)
        }
    }
}

/// Gives `sink` the frame in one piece, with the lengths and checksums of its headers put right.
pub(super) fn complete_headers<E>(
    memory: &FrameMemory<'_>,
    request: &Request,
    mut sink: impl FnMut(&FrameList<'_, '_>) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let Some(segments) = &request.segments else {
        return carve(memory, request, Output::BARE, 0, sink);
    };
    with_headers(memory, |bytes| {
        let headers = HeaderBytes::new(&bytes[virtio::LONGEST..], memory.len());
        let (layout, _) = segments.check(request.checksum, &headers)?;
        Ok(cut(memory, bytes, Segmentation::whole(layout), Output::BARE, 0, &mut sink))
    })?
}

#[inline]
fn cut<E>(
    memory: &FrameMemory<'_>,
    headers: &mut [u8],
    segmentation: Segmentation,
    output: Output,
    first: u32,
    sink: &mut impl FnMut(&FrameList<'_, '_>) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let mut template = HeaderTemplate::new(headers, segmentation);
    let mut cursor = Cursor::default();
    cursor.skip(memory, segmentation.segment(first.min(segmentation.count)).payload.start);
    for index in first..segmentation.count {
        let segment = segmentation.segment(index);
        template.rewrite(index, |covered, sum| cursor.sum(memory, covered.len(), sum));
        FrameList::with(memory.count() + OWN, |list| {
            list.own(template.bytes(output.vnet_len, segment.headers_end));
            if segment.moved_header {
                list.own(template.moved_header());
            }
            list.frame(memory, &mut cursor, segment.payload.len());
            give(list, output, index, sink)
        })?;
    }
    Ok(segmentation.count)
}

/// Gives `sink` the frame in one piece: bytes of our own, then the frame from byte `rest` on, with its checksum completed.
fn whole<E>(
    memory: &FrameMemory<'_>,
    own: &[u8],
    rest: usize,
    checksum: Checksum,
    output: Output,
    sink: &mut impl FnMut(&FrameList<'_, '_>) -> Result<(), E>,
) -> Result<u32, CarveError<E>> {
    let completed = match checksum {
        Checksum::Partial { start, offset } => Some(completed(memory, start, offset)?),
        Checksum::Complete => None,
    };
    FrameList::with(memory.count() + 3, |list| {
        let mut cursor = Cursor::default();
        cursor.skip(memory, rest);
        list.own(own);
        if let Some((field, value)) = &completed {
            list.frame(memory, &mut cursor, field - rest);
            list.own(value);
            cursor.skip(memory, value.len());
        }
        list.frame(memory, &mut cursor, usize::MAX);
        give(list, output, 0, sink)
    })?;
    Ok(1)
}

/// Where an unfinished checksum goes, and what it comes to.
fn completed(memory: &FrameMemory<'_>, start: u16, offset: u16) -> Result<(usize, [u8; 2]), RejectReason> {
    let field = checksum_field(memory.len(), start, offset)?;
    let mut from = Cursor::default();
    from.skip(memory, usize::from(start));
    let mut sum = Sum::default();
    from.sum(memory, usize::MAX, &mut sum);
    Ok((field, sum.checksum_not_zero().to_be_bytes()))
}

/// Gives `sink` frame number `sent`.
#[inline]
fn give<E>(
    list: &FrameList<'_, '_>,
    output: Output,
    sent: u32,
    sink: &mut impl FnMut(&FrameList<'_, '_>) -> Result<(), E>,
) -> Result<(), CarveError<E>> {
    if let Err(slices) = list.within(output.most_slices) {
        return Err(CarveError::TooManySlices { sent, slices, limit: output.most_slices });
    }
    sink(list).map_err(|error| CarveError::Sink { sent, error })
}

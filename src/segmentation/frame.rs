//! A frame on its way from the guest: borrowed slices and what the guest left to the host.

use std::io::IoSlice;

use thiserror::Error;

use super::carve::{Output, carve, complete_headers};
use super::host::{HostCapabilities, OwnBytes, Prepared, prepare};
use crate::memory::{Cursor, FrameList, FrameMemory, with_headers};
use crate::wire::{Checksum, Gso, HeaderBytes, RejectReason, Request, put_right, virtio};

/// How far [`Frame::complete`] takes the transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completion {
    /// The checksum over everything it covers.
    Full,
    /// The sum of the pseudo header only, not inverted: what Linux and virtio expect of a partial checksum.
    Pseudo,
}

/// Says why a frame was not cut, or not to its end. `sent` counts the segments that the sink took before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CarveError<E> {
    /// The frame contradicts itself or its context; the sink saw nothing of it.
    #[error("frame rejected: {0}")]
    Rejected(#[from] RejectReason),
    /// A segment is scattered over more slices than one write takes.
    #[error("{slices} slices exceed the limit of {limit}")]
    TooManySlices {
        /// Segments the sink took before.
        sent: u32,
        /// Slices the segment needs.
        slices: usize,
        /// Slices it may have.
        limit: usize,
    },
    /// The sink refused a segment. Carving again with `first` = `sent` goes on with the one it refused.
    #[error("the sink refused segment {sent}")]
    Sink {
        /// Segments the sink took before.
        sent: u32,
        /// What the sink said.
        error: E,
    },
}

/// A frame to transmit, borrowed from the caller: Ethernet header to end of payload, without FCS.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    slices: &'a [IoSlice<'a>],
    gso: Option<Gso>,
    checksum: Checksum,
    ipv4_checksum: bool,
}

impl<'a> Frame<'a> {
    /// Makes a frame of `slices`, in order, with a complete checksum and no segmentation.
    #[must_use]
    pub fn new(slices: &'a [IoSlice<'a>]) -> Self {
        Self { slices, gso: None, checksum: Checksum::Complete, ipv4_checksum: false }
    }

    /// Makes a frame of `slices` and the virtio-net header that came with it, 10 bytes or more, little endian
    /// (virtio 1.2, 5.1.6).
    ///
    /// Only the type, the ECN mark, the segment size and the place of the checksum are used from the header. The frame itself
    /// shows where the headers end. `slices` hold the frame alone.
    ///
    /// # Errors
    /// Header and frame contradict each other.
    pub fn from_virtio(header: &[u8], slices: &'a [IoSlice<'a>]) -> Result<Self, RejectReason> {
        let memory = FrameMemory::borrowed(slices);
        let (gso, checksum) = with_headers(&memory, |bytes| {
            virtio::interpret(header, &HeaderBytes::new(&bytes[virtio::LONGEST..], memory.len()))
        })?;
        Ok(Self { gso, checksum, ..Self::new(slices) })
    }

    /// Where the bytes lie.
    #[inline]
    pub(crate) fn memory(&self) -> FrameMemory<'a> {
        FrameMemory::borrowed(self.slices)
    }

    /// What is left to be done.
    #[inline]
    pub(crate) fn request(&self) -> Request {
        Request { ipv4_checksum: self.ipv4_checksum, ..Request::new(self.gso, self.checksum) }
    }

    /// Asks for segmentation by `gso`.
    #[must_use]
    pub fn gso(self, gso: Gso) -> Self {
        Self { gso: Some(gso), ..self }
    }

    /// States what is left to do on the transport checksum. An oversized frame's is always computed anew.
    #[must_use]
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self { checksum, ..self }
    }

    /// Asks for the checksum of the IPv4 header, for guests that leave it to the device. It is computed here, from a copy of the
    /// headers; the rest of the frame stays as it is. Where a frame is cut it is computed in any case.
    #[must_use]
    pub fn ipv4_checksum(self) -> Self {
        Self { ipv4_checksum: true, ..self }
    }

    /// Bytes of the whole frame, with the Ethernet header and without FCS.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.memory().len()
    }

    /// Checks the segmentation and the checksum context against the frame's own headers. Every send does the same first.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn validate(&self) -> Result<(), RejectReason> {
        let (memory, request) = (self.memory(), self.request());
        with_headers(&memory, |bytes| {
            let headers = HeaderBytes::new(&bytes[virtio::LONGEST..], memory.len());
            match request.segments {
                Some(segments) => segments.check(request.checksum, &headers).map(drop),
                None => request.check_whole(&headers),
            }
        })
    }

    /// Cuts the frame into segments, which `sink` gets one after the other, each as a list of slices. These are the segment's own
    /// headers, then payload where it lies in this frame. Lengths, identifications, sequence numbers, flags and checksums
    /// are those that Linux writes. A frame without `Gso` is one segment, with its checksum completed.
    ///
    /// Carving starts with segment `first`, counted from 0. Returns the number of segments the whole frame makes.
    ///
    /// # Errors
    /// [`CarveError`]; it tells how many segments `sink` has taken.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::io::IoSlice;
    /// use tap_plumb::{Frame, Gso, GsoKind};
    ///
    /// // Ethernet, IPv4 and TCP headers of 54 bytes, then 3000 bytes of payload.
    /// let mut headers = [0; 54];
    /// headers[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
    /// headers[23] = 6;
    /// headers[46] = 0x50;
    /// let payload = [7; 3000];
    /// let slices = [IoSlice::new(&headers), IoSlice::new(&payload)];
    /// let gso =
    ///     Gso { kind: GsoKind::Tcp4, header_len: 54, segment_size: 1448, network_offset: 14, transport_offset: 34 };
    ///
    /// let mut lengths = Vec::new();
    /// let segments = Frame::new(&slices).gso(gso).carve(0, |segment| {
    ///     lengths.push(segment.iter().map(|slice| slice.len()).sum::<usize>());
    ///     Ok::<(), Infallible>(())
    /// })?;
    /// assert_eq!((segments, lengths), (3, vec![54 + 1448, 54 + 1448, 54 + 104]));
    /// # Ok::<(), tap_plumb::CarveError<Infallible>>(())
    /// ```
    pub fn carve<E>(
        &self,
        first: u32,
        sink: impl FnMut(&[IoSlice<'_>]) -> Result<(), E>,
    ) -> Result<u32, CarveError<E>> {
        carve(&self.memory(), &self.request(), Output::BARE, first, as_std(sink))
    }

    /// Gives `sink` what a host that cuts frames and completes checksums itself is to be given. As a rule it is the
    /// whole frame at once, behind a virtio-net header of `header_len` bytes (10 or 12) that asks for the work. The frame's own headers
    /// go as a copy with lengths and checksums put right, so that the host sees what was validated. What a host has no form
    /// for (IP fragments, tunnels, more datagrams than Linux takes) is carved, each segment behind a header of zeros.
    ///
    /// A `first` other than 0 means that the frame was begun in segments, so the rest of it is carved, too. Returns the
    /// number of writes the whole frame makes.
    ///
    /// # Errors
    /// As for [`carve`](Self::carve); a `header_len` other than 10 and 12 gives
    /// [`RejectReason::ShortVirtioHeader`].
    #[doc(hidden)]
    pub fn offload<E>(
        &self,
        header_len: usize,
        first: u32,
        sink: impl FnMut(&[IoSlice<'_>]) -> Result<(), E>,
    ) -> Result<u32, CarveError<E>> {
        if !matches!(header_len, 10 | 12) {
            return Err(RejectReason::ShortVirtioHeader.into());
        }
        let (memory, request) = (self.memory(), self.request());
        let mut own = OwnBytes::new();
        let mut sink = as_std(sink);
        if first == 0
            && let Prepared::Whole { own, rest, .. } =
                prepare(&memory, &request, header_len, HostCapabilities::ALL, &mut own)?
        {
            return give_whole(&memory, own, rest, sink).map(|()| 1);
        }
        let output = Output { vnet_len: header_len, ..Output::BARE };
        carve(&memory, &request, output, first, &mut sink)
    }

    /// Gives `sink` the frame in one piece, with all lengths and checksums put right. Without a `Gso` only a partial
    /// checksum is completed, and that in full.
    ///
    /// # Errors
    /// As for [`carve`](Self::carve).
    #[doc(hidden)]
    pub fn complete<E>(
        &self,
        completion: Completion,
        sink: impl FnMut(&[IoSlice<'_>]) -> Result<(), E>,
    ) -> Result<(), CarveError<E>> {
        let (memory, request) = (self.memory(), self.request());
        let sink = as_std(sink);
        match completion {
            Completion::Full => complete_headers(&memory, &request, sink).map(drop),
            Completion::Pseudo => with_pseudo_sum(&memory, &request, sink),
        }
    }
}

/// Passes slices on as std has them. A [`Frame`] is borrowed, so that they always have that form.
fn as_std<E>(
    mut sink: impl FnMut(&[IoSlice<'_>]) -> Result<(), E>,
) -> impl FnMut(&FrameList<'_, '_>) -> Result<(), E> {
    move |list| sink(list.io_slices().unwrap_or_default())
}

fn give_whole<E>(
    memory: &FrameMemory<'_>,
    own: &[u8],
    rest: usize,
    mut sink: impl FnMut(&FrameList<'_, '_>) -> Result<(), E>,
) -> Result<(), CarveError<E>> {
    FrameList::with(memory.count() + 1, |list| {
        let mut cursor = Cursor::default();
        cursor.skip(memory, rest);
        list.own(own);
        list.frame(memory, &mut cursor, usize::MAX);
        sink(list).map_err(|error| CarveError::Sink { sent: 0, error })
    })
}

fn with_pseudo_sum<E>(
    memory: &FrameMemory<'_>,
    request: &Request,
    mut sink: impl FnMut(&FrameList<'_, '_>) -> Result<(), E>,
) -> Result<(), CarveError<E>> {
    let Some(segments) = request.segments else {
        return carve(memory, request, Output::BARE, 0, sink).map(drop);
    };
    with_headers(memory, |bytes| {
        let headers = &mut bytes[virtio::LONGEST..];
        let (layout, _) = segments.check(request.checksum, &HeaderBytes::new(headers, memory.len()))?;
        put_right(headers, &layout);
        Ok(give_whole(memory, &headers[..layout.headers_end], layout.headers_end, &mut sink))
    })?
}

//! Fetches the headers of a frame into memory of our own, once.

use crate::memory::body::{Body, copy_front, total_len};
use crate::wire::headers::Front;
use crate::wire::reject::RejectReason;
use crate::wire::vnet_header;

/// All headers of nearly every frame: Ethernet, tags, the longest IPv4 and TCP headers, or IPv6 with a few extensions.
const USUAL: usize = 256;
/// Four IPv6 extension headers of full length, as many as RFC 8200 4.1 has room for, and everything around them.
const LONGEST: usize = 8448;

/// The first bytes of a frame, with room for a virtio-net header before them so that both go out as one slice.
#[derive(Debug)]
pub(crate) struct Scratch<'s> {
    bytes: &'s mut [u8],
    frame_len: usize,
}

impl Scratch<'_> {
    pub(crate) fn front(&self) -> Front<'_> {
        Front { bytes: &self.bytes[vnet_header::LONGEST..], frame_len: self.frame_len }
    }

    /// Everything, the room before the frame's first byte included.
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        self.bytes
    }
}

/// Runs `run` on the first bytes of a frame, and again on more of them when it finds the headers too long for the usual
/// room. The second run sees bytes fetched anew, so it must take nothing over from the first.
pub(crate) fn with_front<B: Body, T>(
    body: B,
    mut run: impl FnMut(Scratch<'_>) -> Result<T, RejectReason>,
) -> Result<T, RejectReason> {
    match attempt::<B, T, USUAL>(body, &mut run) {
        Err(RejectReason::HeadersTooLong) => with_long_front(body, &mut run),
        outcome => outcome,
    }
}

#[cold]
#[inline(never)]
fn with_long_front<B: Body, T>(
    body: B,
    run: &mut impl FnMut(Scratch<'_>) -> Result<T, RejectReason>,
) -> Result<T, RejectReason> {
    attempt::<B, T, LONGEST>(body, run)
}

fn attempt<B: Body, T, const ROOM: usize>(
    body: B,
    run: &mut impl FnMut(Scratch<'_>) -> Result<T, RejectReason>,
) -> Result<T, RejectReason> {
    let mut bytes = [0; ROOM];
    let filled = vnet_header::LONGEST + copy_front(body, &mut bytes[vnet_header::LONGEST..]);
    run(Scratch { bytes: &mut bytes[..filled], frame_len: total_len(body) })
}

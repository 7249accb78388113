//! A straight line for the frames that guests send most, to a host that cuts and completes them itself: those of which nothing
//! but a checksum is left to be done, and oversized ones of TCP over IPv4 without tags and IP options.
//!
//! A system call that copies 64 KiB leaves little of this code in the processor's first cache, so that each line of it costs
//! more than what it does. Here little is decided and little is copied. Whatever is in any way unusual is left to the general
//! way, which alone refuses; what both take comes out the same.

mod tcp4;
#[cfg(test)]
mod tests;

use crate::memory::body::Body;
use crate::segmentation::deliver::Work;
use crate::segmentation::frame::Checksum;
use crate::wire::checksum::checksum_field;
use crate::wire::gso::GsoKind;
use crate::wire::headers::{ethernet, ipv4, tcp};
use crate::wire::vnet_header::{self, LONGEST};

const NETWORK: usize = ethernet::LEN;
const TRANSPORT: usize = NETWORK + ipv4::LEN;
/// The headers without TCP options, which nothing here reads or writes.
const FRONT: usize = TRANSPORT + tcp::LEN;
const PACKET_FRONT: usize = FRONT - NETWORK;
/// Bytes of our own in a write: a virtio-net header and these.
pub(crate) const OWN: usize = LONGEST + FRONT;
/// Slices of a write, our own bytes among them: of a frame in one run or two, and of 64 KiB in pages of 4 KiB.
pub(crate) const FEW_SLICES: usize = 4;
pub(crate) const USUAL_SLICES: usize = 20;

/// What a sender wants done on a frame that may take the straight line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// No more than a checksum to be completed.
    Whole(Checksum),
    /// TCP over IPv4 to be cut.
    Tcp4 {
        segment_size: u16,
        /// Where the sender says that the headers end; 0 where it leaves that to the frame, as a virtio-net header does.
        header_len: u16,
    },
}

impl Ask {
    #[inline]
    pub(crate) fn of(work: &Work) -> Option<Self> {
        let Some(gso) = &work.gso else { return Some(Self::Whole(work.checksum)) };
        let here = (gso.kind == GsoKind::Tcp4)
            & (usize::from(gso.network_offset) == NETWORK)
            & (usize::from(gso.transport_offset) == TRANSPORT)
            & (gso.header_len != 0)
            & match work.checksum {
                Checksum::Complete => true,
                Checksum::Partial { start, offset } => {
                    (usize::from(start) == TRANSPORT) & (usize::from(offset) == tcp::CHECKSUM)
                }
            };
        here.then_some(Self::Tcp4 { segment_size: gso.segment_size, header_len: gso.header_len })
    }

    /// Reads the virtio-net header of `header_len` bytes that `body` starts with.
    #[inline]
    pub(crate) fn of_header(body: &impl Body, header_len: usize) -> Option<Self> {
        let mut fields = [0; vnet_header::FIELDS];
        if header_len < fields.len() || !body.read(0, 0, &mut fields) {
            return None;
        }
        if let Some(checksum) = vnet_header::checksum_alone(&fields) {
            return Some(Self::Whole(checksum));
        }
        let segment_size = vnet_header::tcp4_segment_size(&fields, (TRANSPORT, tcp::CHECKSUM))?;
        Some(Self::Tcp4 { segment_size, header_len: 0 })
    }
}

/// What the host takes, behind a virtio-net header of the longer form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    /// Bytes of a frame, at least and at most.
    pub(crate) shortest: usize,
    pub(crate) longest: usize,
}

impl Host {
    #[inline]
    fn takes(&self, len: usize) -> bool {
        (len >= self.shortest) & (len <= self.longest)
    }
}

/// Lays out the one write that `deliver` would make of `body`, in `slices` and, where bytes of our own are needed, in `own`;
/// returns how many slices it is, and the length of the frame. Nothing where the frame is any other.
///
/// `slices` must be one more than `body` has.
#[inline(always)]
pub(crate) fn lay_out<'b, B: Body>(
    body: &'b B,
    ask: Ask,
    host: Host,
    own: &'b mut [u8; OWN],
    slices: &mut [B::Slice<'b>],
) -> Option<(usize, usize)> {
    let (used, len, headers) = match ask {
        Ask::Whole(checksum) => {
            let (used, len) = list(body, 0, slices);
            if let Checksum::Partial { start, offset } = checksum {
                checksum_field(len, start, offset).ok()?;
            }
            *own.first_chunk_mut()? = vnet_header::for_checksum(checksum);
            (used, len, LONGEST)
        }
        Ask::Tcp4 { segment_size, header_len } => {
            // In two parts, so that what is summed lies in portions as it was stored.
            let header = own.last_chunk_mut::<FRONT>()?;
            let (link, packet) = header.split_first_chunk_mut::<NETWORK>()?;
            if !body.read(0, NETWORK, packet.first_chunk_mut::<PACKET_FRONT>()?) || !body.read(0, 0, link) {
                return None;
            }
            let (used, len) = list(body, FRONT, slices);
            tcp4::rewrite(own, segment_size, header_len, len)?;
            (used, len, OWN)
        }
    };
    slices[0] = B::own(&own[..headers]);
    host.takes(len).then_some((used, len))
}

/// Lists the slices of a frame from byte `from` on, which must lie in the first one, behind a place for our own; returns how
/// many these are, and the length of the whole frame.
#[inline(always)]
fn list<'b, B: Body>(body: &'b B, mut from: usize, slices: &mut [B::Slice<'b>]) -> (usize, usize) {
    let (mut used, mut len) = (1, 0_usize);
    for index in 0..body.count() {
        let end = body.len(index);
        len = len.saturating_add(end);
        slices[used] = body.cut(index, from..end);
        used += usize::from(end > from);
        from = 0;
    }
    (used, len)
}

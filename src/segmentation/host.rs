//! What goes before a frame that the host completes or cuts itself. It is a virtio-net header that asks for it, and the frame's
//! own headers, put right.

use std::fmt;

use super::segments::Segmentation;
use crate::memory::FrameMemory;
use crate::wire::headers::tcp;
use crate::wire::{
    Checksum, GsoKind, HeaderBytes, Layout, Offload, RejectReason, Request, SegmentRequest, checksum_field,
    put_right, virtio,
};

/// Headers of this many bytes are put right for the host; a frame with longer ones is cut in software.
const HEADERS: usize = 128;

/// Kernels since an update of 2026 (6.1.192, 6.12.117, 7.2.13) cut TCP into segments of at least this many payload bytes,
/// whatever the header asks for.
const SMALLEST_TCP_SEGMENT: usize = 8;

/// Room for a virtio-net header and the headers of a frame behind it.
#[derive(Debug)]
pub(crate) struct OwnBytes([u8; virtio::LONGEST + HEADERS]);

impl OwnBytes {
    #[inline]
    pub fn new() -> Self {
        Self([0; virtio::LONGEST + HEADERS])
    }

    /// A frame whose bytes before `rest` are here, behind a header of `vnet_len` bytes. Both are 0 where there is no header.
    #[inline(always)]
    fn behind(
        &mut self,
        header: [u8; virtio::FIELDS],
        vnet_len: usize,
        rest: usize,
        asked: HostCapabilities,
    ) -> Prepared<'_> {
        let start = virtio::LONGEST - vnet_len;
        // A length that is known when it is compiled needs no `memcpy`. The longer form's last two bytes are 0 already.
        self.0[start..start + virtio::FIELDS].copy_from_slice(&header);
        Prepared::Whole { own: &self.0[start..virtio::LONGEST + rest], rest, asked }
    }
}

/// What the host does itself with a frame that asks for it. Without a virtio-net header it can do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostCapabilities(u8);

impl HostCapabilities {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(Self::CHECKSUM | Self::TCP4 | Self::TCP6 | Self::UDP);

    const CHECKSUM: u8 = 1;
    const TCP4: u8 = 2;
    const TCP6: u8 = 4;
    const UDP: u8 = 8;

    /// What a host does that was granted `offload`.
    pub fn of(offload: Offload) -> Self {
        let work = [
            (offload.checksum, Self::CHECKSUM),
            (offload.tcp4, Self::TCP4),
            (offload.tcp6, Self::TCP6),
            (offload.udp, Self::UDP),
        ];
        Self(work.iter().filter(|(granted, _)| *granted).fold(0, |bits, (_, bit)| bits | bit))
    }

    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    pub fn bits(self) -> u8 {
        self.0
    }

    fn completes(self) -> bool {
        self.0 & Self::CHECKSUM != 0
    }

    /// Cutting frames of this kind. Linux cuts datagrams into IP fragments only for old senders, and has no header type for
    /// these tunnels.
    fn cutting(kind: GsoKind) -> Self {
        Self(match kind {
            GsoKind::Tcp4 => Self::TCP4,
            GsoKind::Tcp6 => Self::TCP6,
            GsoKind::Udp4Datagrams | GsoKind::Udp6Datagrams => Self::UDP,
            GsoKind::Udp4Fragments | GsoKind::Udp6Fragments | GsoKind::Tcp6In4 | GsoKind::Udp6In4 => 0,
        })
    }
}

impl fmt::Display for HostCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Self::CHECKSUM => "completing a checksum",
            Self::TCP4 => "cutting TCP over IPv4",
            Self::TCP6 => "cutting TCP over IPv6",
            Self::UDP => "cutting UDP",
            _ => "more than one kind of work",
        })
    }
}

/// How a frame is to go out.
#[derive(Debug)]
pub(crate) enum Prepared<'o> {
    /// In one write: bytes of our own, then the frame from byte `rest` on.
    /// The header asks the host for the work `asked`.
    Whole { own: &'o [u8], rest: usize, asked: HostCapabilities },
    /// Completed or cut in software.
    Software,
}

/// Checks `request` against the frame, and says how the frame is to go out behind a header of `vnet_len` bytes: 0, 10 or 12.
///
/// For a frame that is left to software, only [`carve`](super::carve()) checks the request.
#[inline(always)]
pub(crate) fn prepare<'o>(
    memory: &FrameMemory<'_>,
    request: &Request,
    vnet_len: usize,
    host: HostCapabilities,
    own: &'o mut OwnBytes,
) -> Result<Prepared<'o>, RejectReason> {
    match (&request.segments, request.checksum) {
        (None, _) if request.ipv4_checksum => Ok(Prepared::Software),
        (None, Checksum::Complete) => {
            Ok(own.behind([0; virtio::FIELDS], vnet_len, 0, HostCapabilities::NONE))
        }
        (None, Checksum::Partial { start, offset }) if host.completes() && is_near(start, offset) => {
            checksum_field(memory.len(), start, offset)?;
            let asked = HostCapabilities(HostCapabilities::CHECKSUM);
            Ok(own.behind(virtio::for_checksum(request.checksum), vnet_len, 0, asked))
        }
        (Some(segments), checksum) if host != HostCapabilities::NONE => {
            prepare_segments(memory, segments, checksum, vnet_len, host, own)
        }
        _ => Ok(Prepared::Software),
    }
}

/// [`prepare`] for a frame that is to be cut. Kept apart, so that its size burdens nobody else.
#[inline(never)]
fn prepare_segments<'o>(
    memory: &FrameMemory<'_>,
    segments: &SegmentRequest,
    checksum: Checksum,
    vnet_len: usize,
    host: HostCapabilities,
    own: &'o mut OwnBytes,
) -> Result<Prepared<'o>, RejectReason> {
    let filled = memory.copy_front(&mut own.0[virtio::LONGEST..]);
    let headers = &mut own.0[virtio::LONGEST..][..filled];
    let (layout, size) = match segments.check(checksum, &HeaderBytes::new(headers, memory.len())) {
        Err(RejectReason::HeadersTooLong) => return Ok(Prepared::Software),
        checked => checked?,
    };
    let Some((header, asked)) = header_for(headers, &layout, size, host) else {
        return Ok(Prepared::Software);
    };
    put_right(headers, &layout);
    Ok(own.behind(header, vnet_len, layout.headers_end, asked))
}

/// Whether the kernel takes a checksum at this place: it counts from the start of its own buffer, in 16 bits.
fn is_near(start: u16, offset: u16) -> bool {
    usize::from(start) + usize::from(offset) < 1 << 15
}

/// The header that has the host cut a frame as software would, and what it asks for; `None` where the host cannot.
fn header_for(
    headers: &[u8],
    layout: &Layout,
    size: usize,
    host: HostCapabilities,
) -> Option<([u8; virtio::FIELDS], HostCapabilities)> {
    let count = Segmentation::new(*layout, size).count;
    if count == 1 {
        let header = virtio::for_segments(layout, size, 1, false).filter(|_| host.completes())?;
        return Some((header, HostCapabilities(HostCapabilities::CHECKSUM)));
    }
    let cutting = HostCapabilities::cutting(layout.kind);
    if host.0 & cutting.0 == 0 || layout.kind.is_tcp() && size < SMALLEST_TCP_SEGMENT {
        return None;
    }
    let reduced = layout.kind.is_tcp() && headers[layout.transport + tcp::FLAGS] & tcp::CWR != 0;
    let header = virtio::for_segments(layout, size, count, reduced)?;
    Some((header, cutting))
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::{HostCapabilities, OwnBytes, Prepared, prepare};
    use crate::memory::FrameMemory;
    use crate::wire::{Checksum, Gso, GsoKind, Offload, Request};

    /// Whether the host is asked to do its part on a frame of `kind`, or on a checksum alone.
    fn asks(host: HostCapabilities, kind: Option<GsoKind>) -> bool {
        let (ipv6, tcp) = (kind.is_some_and(GsoKind::outer_is_ipv6), kind.is_none_or(GsoKind::is_tcp));
        let transport = if ipv6 { 54 } else { 34 };
        let header_len = transport + if tcp { 20 } else { 8 };
        let mut frame = vec![0; header_len + 300];
        frame[12..15].copy_from_slice(if ipv6 { &[0x86, 0xdd, 0x60] } else { &[8, 0, 0x45] });
        frame[if ipv6 { 20 } else { 23 }] = if tcp { 6 } else { 17 };
        if tcp {
            frame[transport + 12] = 0x50;
        }
        let gso = kind.map(|kind| Gso {
            kind,
            header_len: header_len as u16,
            segment_size: 100,
            network_offset: 14,
            transport_offset: transport as u16,
        });
        let offset = if tcp { 16 } else { 6 };
        let request = Request::new(gso, Checksum::Partial { start: transport as u16, offset });
        let slices = [IoSlice::new(&frame)];
        let mut own = OwnBytes::new();
        let prepared = prepare(&FrameMemory::borrowed(&slices), &request, 12, host, &mut own).unwrap();
        matches!(prepared, Prepared::Whole { asked, .. } if asked != HostCapabilities::NONE)
    }

    /// Row X1.
    #[test]
    fn what_was_not_granted_is_never_put_in_a_header() {
        let only = |change: fn(&mut Offload)| {
            let mut granted = Offload::HEADER_12;
            change(&mut granted);
            let host = HostCapabilities::of(granted);
            let kinds = [GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp4Datagrams, GsoKind::Udp6Datagrams];
            let [tcp4, tcp6, udp4, udp6] = kinds.map(|kind| asks(host, Some(kind)));
            [asks(host, None), tcp4, tcp6, udp4, udp6]
        };
        assert_eq!(only(|_| ()), [false; 5]);
        assert_eq!(only(|granted| granted.checksum = true), [true, false, false, false, false]);
        assert_eq!(only(|granted| granted.tcp4 = true), [false, true, false, false, false]);
        assert_eq!(only(|granted| granted.tcp6 = true), [false, false, true, false, false]);
        assert_eq!(only(|granted| granted.udp = true), [false, false, false, true, true]);
        assert_eq!(only(|granted| *granted = Offload::ALL), [true; 5]);
    }
}

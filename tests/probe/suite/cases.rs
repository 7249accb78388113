//! The kinds of frames, each as a guest sends it.

use std::convert::Infallible;
use std::io::IoSlice;

use tap_plumb::{Checksum, Completion, Frame, Gso, GsoKind};

use super::frames::{Recipe, SOURCE, is_tcp};

const ECN: u8 = 0x80;
const TCP4: u8 = 1;
const UDP_FRAGMENTS: u8 = 3;
const TCP6: u8 = 4;
const UDP_DATAGRAMS: u8 = 5;

/// A frame with the work that is left to do on it, in both languages.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) frame: Vec<u8>,
    /// As a `Gso` and a `Checksum`; not every virtio header has such a form.
    pub(crate) contexts: Option<(Option<Gso>, Checksum)>,
    /// As a virtio-net header of 12 bytes; it has no form for tunnels.
    pub(crate) header: Option<[u8; 12]>,
    /// Whether it may be refused for what it is; all others must arrive.
    pub(crate) refusable: bool,
}

/// A change to a plain recipe.
type Change = fn(&mut Recipe);

pub(crate) fn all() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(oversized());
    cases.extend(of_headers_only());
    cases.extend(partial());
    cases.extend(at_the_edges());
    cases.extend(sizes());
    cases
}

/// Frames on which nothing is left to do.
fn plain() -> Vec<Case> {
    [14, 60, 1514, 9014, 65_535]
        .into_iter()
        .map(|len| Case {
            name: format!("plain, {len} bytes"),
            frame: unknown_protocol(len),
            contexts: Some((None, Checksum::Complete)),
            header: Some([0; 12]),
            refusable: false,
        })
        .collect()
}

/// A frame that no protocol takes, and no bridge keeps.
fn unknown_protocol(len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    frame[6..12].copy_from_slice(&SOURCE);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}

fn oversized() -> Vec<Case> {
    use GsoKind::{Tcp4, Tcp6, Tcp6In4, Udp4Datagrams, Udp4Fragments, Udp6Datagrams, Udp6In4};
    let changes: &[(&str, GsoKind, usize, u16, Change)] = &[
        ("TCP over IPv4", Tcp4, 20_000, 1448, |_| {}),
        ("TCP over IPv4, options and PSH", Tcp4, 9000, 1448, |to| {
            (to.tcp_options, to.tcp_flags) = (12, 0x18)
        }),
        ("TCP over IPv4, IP options", Tcp4, 9000, 1400, |to| to.ip_options = 40),
        ("TCP over IPv4, CWR", Tcp4, 9000, 1448, |to| to.tcp_flags = 0x90),
        ("TCP over IPv4, tagged", Tcp4, 9000, 1448, |to| to.tags = vec![0x8100]),
        ("TCP over IPv4, tagged twice", Tcp4, 9000, 1448, |to| to.tags = vec![0x88a8, 0x8100]),
        ("TCP over IPv4, 64 KiB", Tcp4, 65_535 - 40, 1448, |_| {}),
        ("TCP over IPv4, one segment with options", Tcp4, 1440, 1448, |to| to.tcp_options = 12),
        ("TCP over IPv4, no payload", Tcp4, 0, 1448, |_| {}),
        ("TCP over IPv6", Tcp6, 20_000, 1428, |_| {}),
        ("TCP over IPv6, options and FIN", Tcp6, 9000, 1428, |to| {
            (to.tcp_options, to.tcp_flags) = (12, 0x11)
        }),
        ("TCP over IPv6, CWR", Tcp6, 9000, 1428, |to| to.tcp_flags = 0x90),
        ("TCP over IPv6, tagged", Tcp6, 9000, 1428, |to| to.tags = vec![0x8100]),
        ("TCP over IPv6, 64 KiB", Tcp6, 65_535 - 60, 1428, |_| {}),
        ("TCP over IPv6, hop-by-hop header", Tcp6, 9000, 1400, |to| to.extensions = vec![(0, 0)]),
        ("TCP over IPv6, routing header", Tcp6, 9000, 1400, |to| to.extensions = vec![(43, 2)]),
        ("TCP over IPv6, one segment with options", Tcp6, 1420, 1428, |to| to.tcp_options = 12),
        ("TCP over IPv6, no payload", Tcp6, 0, 1428, |_| {}),
        ("UDP datagrams over IPv4", Udp4Datagrams, 4000, 1000, |_| {}),
        ("UDP datagrams over IPv4, tagged, the last short", Udp4Datagrams, 9001, 1472, |to| {
            to.tags = vec![0x8100]
        }),
        ("UDP datagrams over IPv4, 64 of them", Udp4Datagrams, 6400, 100, |_| {}),
        ("UDP datagrams over IPv4, 128 of them", Udp4Datagrams, 12_800, 100, |_| {}),
        ("UDP datagrams over IPv4, 129 of them", Udp4Datagrams, 12_900, 100, |_| {}),
        ("UDP datagrams over IPv4, 64 KiB", Udp4Datagrams, 65_535 - 28, 1472, |_| {}),
        ("UDP datagrams over IPv4, no payload", Udp4Datagrams, 0, 1472, |_| {}),
        ("UDP datagrams over IPv6", Udp6Datagrams, 4000, 1000, |_| {}),
        ("UDP datagrams over IPv6, tagged, the last short", Udp6Datagrams, 9001, 1452, |to| {
            to.tags = vec![0x8100]
        }),
        ("UDP datagrams over IPv6, 128 of them", Udp6Datagrams, 12_800, 100, |_| {}),
        ("UDP datagrams over IPv6, routing header", Udp6Datagrams, 4000, 1000, |to| {
            to.extensions = vec![(43, 2)]
        }),
        ("UDP datagrams over IPv6, no payload", Udp6Datagrams, 0, 1452, |_| {}),
        ("UDP fragments over IPv4", Udp4Fragments, 9000, 1480, |_| {}),
        ("UDP fragments over IPv4, tagged", Udp4Fragments, 9000, 1480, |to| to.tags = vec![0x8100]),
        ("UDP fragments over IPv4, size not of eights", Udp4Fragments, 9000, 1479, |_| {}),
        ("UDP fragments over IPv4, 64 KiB", Udp4Fragments, 65_535 - 28, 1480, |_| {}),
        ("TCP over IPv6 in IPv4", Tcp6In4, 9000, 1400, |_| {}),
        ("UDP over IPv6 in IPv4", Udp6In4, 9000, 1400, |_| {}),
    ];
    changes
        .iter()
        .map(|(name, kind, payload, size, change)| made(name, *kind, *payload, *size, *change))
        .collect()
}

/// A case by recipe, in both languages.
pub(crate) fn made(
    name: &str,
    kind: GsoKind,
    payload: usize,
    size: u16,
    change: impl Fn(&mut Recipe),
) -> Case {
    let mut recipe = Recipe::plain(kind, payload, size);
    change(&mut recipe);
    let (raw, gso) = recipe.build();
    let frame = as_a_guest_sends_it(&raw, gso);
    let ecn = if recipe.tcp_flags & 0x80 != 0 { ECN } else { 0 };
    Case {
        name: name.into(),
        frame,
        contexts: Some((Some(gso), Checksum::Complete)),
        header: virtio_type(kind).map(|number| virtio_header(number | ecn, gso)),
        // Fragments come in eights.
        refusable: kind == GsoKind::Udp4Fragments && size < 8,
    }
}

/// Lengths and the pseudo-header sum right; the rest of the checksum is the host's work.
fn as_a_guest_sends_it(raw: &[u8], gso: Gso) -> Vec<u8> {
    let slices = [IoSlice::new(raw)];
    let mut whole = Vec::new();
    // What is no oversized frame for want of payload is completed as one byte more would be, which changes no header.
    let completed = Frame::new(&slices).gso(gso).complete(Completion::Pseudo, |slices| {
        whole = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        Ok::<(), Infallible>(())
    });
    if completed.is_ok() { whole } else { raw.to_vec() }
}

fn virtio_type(kind: GsoKind) -> Option<u8> {
    match kind {
        GsoKind::Tcp4 => Some(TCP4),
        GsoKind::Tcp6 => Some(TCP6),
        GsoKind::Udp4Fragments => Some(UDP_FRAGMENTS),
        GsoKind::Udp4Datagrams | GsoKind::Udp6Datagrams => Some(UDP_DATAGRAMS),
        _ => None,
    }
}

fn virtio_header(number: u8, gso: Gso) -> [u8; 12] {
    let [size_low, size_high] = gso.segment_size.to_le_bytes();
    let [start_low, start_high] = gso.transport_offset.to_le_bytes();
    let offset = if is_tcp(gso.kind) { 16 } else { 6 };
    [1, number, 0, 0, size_low, size_high, start_low, start_high, offset, 0, 0, 0]
}

/// What only a virtio header can ask for.
fn of_headers_only() -> Vec<Case> {
    let only = |case: Case| Case { contexts: None, ..case };
    let mut fragments = only(made("UDP fragments over IPv6", GsoKind::Udp6Datagrams, 9000, 1448, |_| {}));
    fragments.header = fragments.header.map(|mut header| {
        header[1] = UDP_FRAGMENTS;
        header
    });
    let ecn = |name, kind| {
        only(made(name, kind, 9000, 1400, |to| {
            to.tcp_flags = 0xd0;
        }))
    };
    let mut routed =
        only(made("TCP over IPv6, routed on", GsoKind::Tcp6, 9000, 1400, |to| to.extensions = vec![(43, 2)]));
    // Type and segments left, behind Ethernet and IPv6 headers: one more stop to come. The sum is the kernel's business.
    routed.frame[14 + 40 + 2..14 + 40 + 4].copy_from_slice(&[4, 1]);
    vec![
        fragments,
        ecn("TCP over IPv4, ECN", GsoKind::Tcp4),
        ecn("TCP over IPv6, ECN", GsoKind::Tcp6),
        routed,
    ]
}

/// Frames of the usual length whose checksum is left open.
fn partial() -> Vec<Case> {
    [
        ("TCP over IPv4", GsoKind::Tcp4, 0),
        ("TCP over IPv6", GsoKind::Tcp6, 0),
        ("UDP over IPv4", GsoKind::Udp4Datagrams, 0),
        ("UDP over IPv6", GsoKind::Udp6Datagrams, 0),
        ("TCP over IPv4, tagged", GsoKind::Tcp4, 1),
        ("UDP over IPv6, tagged", GsoKind::Udp6Datagrams, 1),
    ]
    .into_iter()
    .map(|(name, kind, tags)| {
        let case = made("", kind, 1001, 1448, |to| to.tags = vec![0x8100; tags]);
        let (Some((Some(gso), _)), Some(header)) = (case.contexts, case.header) else {
            unreachable!("{name}")
        };
        let offset = u16::from(header[8]);
        open(&format!("partial checksum, {name}"), case.frame, gso.transport_offset, offset)
    })
    .collect()
}

/// A frame whose checksum from `start` on is to be put at `offset` behind it.
fn open(name: &str, frame: Vec<u8>, start: u16, offset: u16) -> Case {
    let ([start_low, start_high], [offset_low, offset_high]) = (start.to_le_bytes(), offset.to_le_bytes());
    Case {
        name: name.into(),
        frame,
        contexts: Some((None, Checksum::Partial { start, offset })),
        header: Some([1, 0, 0, 0, 0, 0, start_low, start_high, offset_low, offset_high, 0, 0]),
        // The kernel takes none from within the first 20 bytes either.
        refusable: start < 20,
    }
}

/// The kernel counts the start in 16 bits, from a place before the frame.
fn at_the_edges() -> Vec<Case> {
    const LEN: u16 = 65_535;
    [
        (14, 0),
        (14, LEN - 16),
        (1000, LEN - 1002),
        (65_400, 2),
        (65_470, 2),
        (65_471, 2),
        (65_472, 0),
        (65_500, 33),
        (LEN - 2, 0),
    ]
    .into_iter()
    .map(|(start, offset)| {
        let name = format!("partial checksum from {start} at {offset} in {LEN} bytes");
        open(&name, unknown_protocol(LEN.into()), start, offset)
    })
    .collect()
}

// Segment sizes that only a hostile or broken guest asks for, and payloads around them.

const KINDS: [(&str, GsoKind, usize); 7] = [
    ("TCP over IPv4", GsoKind::Tcp4, 0),
    ("TCP over IPv4 with options", GsoKind::Tcp4, 12),
    ("TCP over IPv6", GsoKind::Tcp6, 0),
    ("TCP over IPv6 with options", GsoKind::Tcp6, 12),
    ("UDP datagrams over IPv4", GsoKind::Udp4Datagrams, 0),
    ("UDP datagrams over IPv6", GsoKind::Udp6Datagrams, 0),
    ("UDP fragments over IPv4", GsoKind::Udp4Fragments, 0),
];
const SIZES: [u16; 5] = [1, 2, 7, 8, 9];

pub(crate) fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, kind, options) in KINDS {
        for size in SIZES {
            for payload in payloads(size) {
                let name = format!("{name}, {payload} bytes in segments of {size}");
                cases.push(made(&name, kind, payload, size, |to| to.tcp_options = options));
            }
        }
    }
    cases
}

/// One segment, one and a bit, some that are shorter than the options of TCP, many.
fn payloads(size: u16) -> Vec<usize> {
    let size = usize::from(size);
    let mut payloads = vec![1, 6, size, size + 1, 91];
    payloads.sort_unstable();
    payloads.dedup();
    payloads
}

//! Frames: random ones of every kind, and sinks that keep what they get.

use std::convert::Infallible;
use std::io::IoSlice;

use tap_plumb::{Gso, GsoKind};

// Random frames of every kind, built from a recipe that a failing test can print.

pub(crate) const SOURCE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const TARGET: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A small generator of numbers (splitmix64): the same seed gives the same frames on every machine.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.next().is_multiple_of(chances)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.within(0, from.len() - 1)]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(len).collect()
    }
}

pub(crate) const KINDS: [GsoKind; 8] = [
    GsoKind::Tcp4,
    GsoKind::Tcp6,
    GsoKind::Udp4Datagrams,
    GsoKind::Udp6Datagrams,
    GsoKind::Udp4Fragments,
    GsoKind::Udp6Fragments,
    GsoKind::Tcp6In4,
    GsoKind::Udp6In4,
];

/// What a frame is made of.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: GsoKind,
    /// Ethernet types of the VLAN tags.
    pub(crate) tags: Vec<u16>,
    /// Bytes of IPv4 options.
    pub(crate) ip_options: usize,
    /// IPv6 extension headers: the type, and the units of 8 bytes after the first.
    pub(crate) extensions: Vec<(u8, u8)>,
    pub(crate) tcp_options: usize,
    pub(crate) tcp_flags: u8,
    pub(crate) identification: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) sequence: u32,
    pub(crate) payload_len: usize,
    pub(crate) segment_size: u16,
    pub(crate) seed: u64,
}

impl Recipe {
    pub(crate) fn random(kind: GsoKind, random: &mut Random) -> Self {
        let units = |random: &mut Random| {
            let most = if random.one_in(8) { 255 } else { 4 };
            random.within(0, most) as u8
        };
        let extensions = match (is_ipv6(kind), random.within(0, 5)) {
            (false, _) | (true, 0..=3) => Vec::new(),
            (true, 4) => vec![(0, units(random))],
            _ => (0..random.within(1, 4)).map(|_| (random.pick(&[60, 43, 0]), units(random))).collect(),
        };
        let payload_len = match random.within(0, 9) {
            0..=5 => random.within(1, 1500),
            6..=8 => random.within(1, 9000),
            _ => random.within(1, 57_000),
        };
        let least = if is_fragments(kind) { 8 } else { 1 };
        let size = match random.within(0, 5) {
            0 => random.within(payload_len.div_ceil(400), payload_len),
            1 => payload_len,
            2 => payload_len + random.within(0, 40),
            3 => 1448,
            _ => payload_len.div_ceil(random.within(1, 9)),
        };
        Self {
            kind,
            tags: (0..random.pick(&[0, 0, 0, 0, 1, 1, 2, 3]))
                .map(|_| random.pick(&[0x8100, 0x88a8]))
                .collect(),
            ip_options: if random.one_in(4) { 4 * random.within(1, 10) } else { 0 },
            extensions,
            tcp_options: random.pick(&[0, 0, 12, 12, 4 * (random.0 as usize % 11)]),
            tcp_flags: random.pick(&[0x10, 0x18, 0x11, 0x19, 0x90, 0xd8, 0x38, random.0 as u8]),
            identification: random.pick(&[0, 1, 0xfffe, 0xffff, random.0 as u16]),
            dont_fragment: random.one_in(2),
            sequence: random.pick(&[1, u32::MAX - 100, u32::MAX, random.0 as u32]),
            payload_len,
            segment_size: size.clamp(least.max(payload_len.div_ceil(900)), 0xffff) as u16,
            seed: random.next(),
        }
    }

    /// A frame without tags, options and extension headers.
    pub(crate) fn plain(kind: GsoKind, payload_len: usize, segment_size: u16) -> Self {
        Self {
            kind,
            tags: Vec::new(),
            ip_options: 0,
            extensions: Vec::new(),
            tcp_options: 0,
            tcp_flags: 0x10,
            identification: 1,
            dont_fragment: false,
            sequence: 1000,
            payload_len,
            segment_size,
            seed: 1,
        }
    }

    /// The frame, with wrong lengths and checksums in its headers, and its context.
    pub(crate) fn build(&self) -> (Vec<u8>, Gso) {
        let random = &mut Random(self.seed);
        let mut frame = [TARGET, SOURCE].concat();
        for tag in &self.tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0x20, 0x05]);
        }
        frame.extend(if outer_is_ipv6(self.kind) { [0x86, 0xdd] } else { [0x08, 0x00] });
        let network = frame.len();
        let transport_protocol = if is_tcp(self.kind) { 6 } else { 17 };
        if !outer_is_ipv6(self.kind) {
            self.ipv4(&mut frame, if is_ipv6(self.kind) { 41 } else { transport_protocol }, random);
        }
        if is_ipv6(self.kind) {
            self.ipv6(&mut frame, transport_protocol, random);
        }
        let transport = frame.len();
        self.transport(&mut frame, random);
        let header_len = frame.len();
        frame.extend(random.bytes(self.payload_len));
        let gso = Gso {
            kind: self.kind,
            header_len: header_len as u16,
            segment_size: self.segment_size,
            network_offset: network as u16,
            transport_offset: transport as u16,
        };
        (frame, gso)
    }

    fn ipv4(&self, frame: &mut Vec<u8>, protocol: u8, random: &mut Random) {
        frame.extend([0x45 + (self.ip_options / 4) as u8, random.next() as u8]);
        frame.extend(random.bytes(2));
        frame.extend(self.identification.to_be_bytes());
        frame.extend([if self.dont_fragment { 0x40 } else { 0 }, 0, 64, protocol]);
        frame.extend(random.bytes(2 + 8));
        if self.ip_options > 0 {
            // One option of an experiment (RFC 4727), since a random one may be a route.
            frame.extend([0x1e, self.ip_options as u8]);
            frame.extend(random.bytes(self.ip_options - 2));
        }
    }

    fn ipv6(&self, frame: &mut Vec<u8>, last: u8, random: &mut Random) {
        let first = self.extensions.first().map_or(last, |(kind, _)| *kind);
        frame.extend([0x60 | random.next() as u8 & 0x0f]);
        frame.extend(random.bytes(5));
        frame.extend([first, 64]);
        frame.extend(random.bytes(32));
        for (at, (kind, units)) in self.extensions.iter().enumerate() {
            let next = self.extensions.get(at + 1).map_or(last, |(kind, _)| *kind);
            frame.extend([next, *units]);
            // A routing header of type 0 that has done its work, or one option of padding over all the rest.
            frame.extend(if *kind == 43 { [0, 0] } else { [1, 4 + 8 * (units % 32)] });
            frame.extend(vec![0; 4 + 8 * usize::from(*units)]);
        }
    }

    fn transport(&self, frame: &mut Vec<u8>, random: &mut Random) {
        frame.extend(random.bytes(4));
        if is_tcp(self.kind) {
            frame.extend(self.sequence.to_be_bytes());
            frame.extend(random.bytes(4));
            frame.extend([((20 + self.tcp_options) << 2) as u8 | random.next() as u8 & 0x0f, self.tcp_flags]);
            frame.extend(random.bytes(6 + self.tcp_options));
        } else {
            frame.extend(random.bytes(4));
        }
    }
}

pub(crate) fn is_tcp(kind: GsoKind) -> bool {
    matches!(kind, GsoKind::Tcp4 | GsoKind::Tcp6 | GsoKind::Tcp6In4)
}

pub(crate) fn is_fragments(kind: GsoKind) -> bool {
    matches!(kind, GsoKind::Udp4Fragments | GsoKind::Udp6Fragments)
}

pub(crate) fn outer_is_ipv6(kind: GsoKind) -> bool {
    matches!(kind, GsoKind::Tcp6 | GsoKind::Udp6Datagrams | GsoKind::Udp6Fragments)
}

pub(crate) fn is_ipv6(kind: GsoKind) -> bool {
    outer_is_ipv6(kind) || matches!(kind, GsoKind::Tcp6In4 | GsoKind::Udp6In4)
}

// Sinks that keep what they get, each write in one piece.

pub(crate) fn flat(slices: &[IoSlice<'_>]) -> Vec<u8> {
    slices.iter().flat_map(|slice| slice.iter().copied()).collect()
}

/// A sink that adds what it gets to `writes`.
pub(crate) fn keep(writes: &mut Vec<Vec<u8>>) -> impl FnMut(&[IoSlice<'_>]) -> Result<(), Infallible> {
    |slices| {
        writes.push(flat(slices));
        Ok(())
    }
}

//! Headers and checksums of the packets the host side of an interface exchanges.

/// Bytes of an Ethernet header.
pub(crate) const ETHER_HEADER: usize = 14;
/// The Ethernet broadcast address.
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EtherHeader {
    pub(crate) destination: [u8; 6],
    pub(crate) source: [u8; 6],
    /// Ethernet type, or a length.
    pub(crate) kind: u16,
}

impl EtherHeader {
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        Some(Self {
            destination: frame.get(0..6)?.try_into().ok()?,
            source: frame.get(6..12)?.try_into().ok()?,
            kind: u16::from_be_bytes(frame.get(12..ETHER_HEADER)?.try_into().ok()?),
        })
    }

    /// The header followed by the payload; no padding, as the driver sends it.
    pub(crate) fn frame(&self, payload: &[u8]) -> Vec<u8> {
        [&self.destination[..], &self.source, &self.kind.to_be_bytes(), payload].concat()
    }
}

/// The Internet checksum over several pieces, each but the last of even length.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for pair in pieces.iter().flat_map(|piece| piece.chunks(2)) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Checksum of a transport header and payload under a pseudo header; its checksum field must be zero.
pub(crate) fn transport_checksum(source: &[u8], destination: &[u8], protocol: u8, segment: &[u8]) -> u16 {
    let length = (segment.len() as u32).to_be_bytes();
    checksum(&[source, destination, &length, &[0, 0, 0, protocol], segment])
}

/// An ARP packet for Ethernet and IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArpPacket {
    pub(crate) operation: u16,
    pub(crate) sender_mac: [u8; 6],
    pub(crate) sender_ip: [u8; 4],
    pub(crate) target_mac: [u8; 6],
    pub(crate) target_ip: [u8; 4],
}

impl ArpPacket {
    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const REPLY: u16 = 2;
    const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];
    const LEN: usize = 28;

    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let packet = packet.get(..Self::LEN).filter(|packet| packet.starts_with(&Self::FIXED))?;
        Some(Self {
            operation: u16::from_be_bytes(packet[6..8].try_into().ok()?),
            sender_mac: packet[8..14].try_into().ok()?,
            sender_ip: packet[14..18].try_into().ok()?,
            target_mac: packet[18..24].try_into().ok()?,
            target_ip: packet[24..28].try_into().ok()?,
        })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let operation = self.operation.to_be_bytes();
        [&Self::FIXED[..], &operation, &self.sender_mac, &self.sender_ip, &self.target_mac, &self.target_ip]
            .concat()
    }
}

/// An IPv4 packet without options, as far as the host side looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ipv4Packet<'a> {
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
    pub(crate) protocol: u8,
    pub(crate) payload: &'a [u8],
    /// The packet up to its total length.
    pub(crate) whole: &'a [u8],
}

impl<'a> Ipv4Packet<'a> {
    pub(crate) const HEADER: usize = 20;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const UDP: u8 = 17;

    /// The packet, when version, lengths and header checksum are right.
    pub(crate) fn parse(packet: &'a [u8]) -> Option<Self> {
        let header_len = usize::from(packet.first()? & 0xf) * 4;
        let header = packet.get(..header_len.max(Self::HEADER))?;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let whole = packet.get(..total)?;
        if header[0] >> 4 != 4 || header_len < Self::HEADER || total < header_len || checksum(&[header]) != 0
        {
            return None;
        }
        Some(Self {
            source: header[12..16].try_into().ok()?,
            destination: header[16..20].try_into().ok()?,
            protocol: header[9],
            payload: &whole[header_len..],
            whole,
        })
    }
}

/// What a host puts in the IPv4 headers it makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ipv4Header {
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
    pub(crate) protocol: u8,
    pub(crate) identification: u16,
    pub(crate) dont_fragment: bool,
}

impl Ipv4Header {
    const TIME_TO_LIVE: u8 = 255;
    const DONT_FRAGMENT: u16 = 0x4000;
    const MORE_FRAGMENTS: u16 = 0x2000;

    /// The packets that carry the payload over a link of this MTU. An answer that asks not to be fragmented is cut all
    /// the same, its flag kept: seen of echo replies.
    pub(crate) fn packets(&self, payload: &[u8], mtu: usize) -> Vec<Vec<u8>> {
        let room = mtu.saturating_sub(Ipv4Packet::HEADER);
        if payload.len() <= room {
            return vec![self.packet(payload, 0, false)];
        }
        let step = (room / 8 * 8).max(8);
        let last = (payload.len() - 1) / step;
        let parts = payload.chunks(step).enumerate();
        parts.map(|(index, part)| self.packet(part, index * step / 8, index < last)).collect()
    }

    fn packet(&self, payload: &[u8], offset: usize, more: bool) -> Vec<u8> {
        let mut fragment = offset as u16;
        fragment |= if self.dont_fragment { Self::DONT_FRAGMENT } else { 0 };
        fragment |= if more { Self::MORE_FRAGMENTS } else { 0 };
        let mut header = vec![0x45, 0];
        header.extend(((Ipv4Packet::HEADER + payload.len()) as u16).to_be_bytes());
        header.extend(self.identification.to_be_bytes());
        header.extend(fragment.to_be_bytes());
        header.extend([Self::TIME_TO_LIVE, self.protocol, 0, 0]);
        header.extend(self.source);
        header.extend(self.destination);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [&header[..], payload].concat()
    }
}

/// The Ethernet address of an IPv6 multicast group.
pub(crate) fn multicast_mac(group: &[u8]) -> [u8; 6] {
    let low = group.get(12..16).unwrap_or(&[0; 4]);
    [0x33, 0x33, low[0], low[1], low[2], low[3]]
}

//! A guest that does nothing but ping its host, and answers when the host asks for its address.

use std::error::Error;
use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr,
};
use tap_plumb::Config;

/// Locally administered; the TAP has an address of its own.
const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
/// Tells the answers to this program from those to others.
const IDENTIFIER: u16 = 0x7470;
const PAYLOAD: &[u8] = b"tap-plumb event loop";

/// What the command line says.
pub(crate) struct Arguments {
    name: String,
    host: Ipv4Addr,
    prefix: u8,
    /// How many answers to wait for.
    pub(crate) count: u16,
}

impl Arguments {
    /// Reads `NAME HOST/PREFIX [COUNT]`.
    pub(crate) fn read(program: &str) -> Result<Self, Box<dyn Error>> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let parse = || {
            let (host, prefix) = words.get(1)?.split_once('/')?;
            let count = words.get(2).map_or(Ok(5), |count| count.parse()).ok()?;
            Some(Self {
                name: words[0].clone(),
                host: host.parse().ok()?,
                prefix: prefix.parse().ok()?,
                count,
            })
        };
        let usage =
            format!("usage: {program} NAME HOST/PREFIX [COUNT], for example: {program} tap0 192.0.2.1/24");
        parse().ok_or_else(|| usage.into())
    }

    /// The TAP, with the host's address.
    pub(crate) fn config(&self) -> Config {
        Config::new().name(&self.name).address(self.host.into(), self.prefix).up()
    }

    /// The guest, whose address is the one after the host's.
    pub(crate) fn guest(&self) -> Guest {
        let own = Ipv4Addr::from(u32::from(self.host).wrapping_add(1));
        Guest { own, host: self.host, host_mac: None, asked: 0 }
    }
}

/// What a frame from the host asks of the guest.
pub(crate) enum Heard {
    /// Nothing.
    Nothing,
    /// A frame in return.
    Answer(Vec<u8>),
    /// Nothing: it answers the ping of this number.
    Pong(u16),
}

/// A guest of one address.
pub(crate) struct Guest {
    own: Ipv4Addr,
    host: Ipv4Addr,
    host_mac: Option<EthernetAddress>,
    asked: u16,
}

impl Guest {
    /// Makes the next frame to send: a ping, or before that the question who the host is.
    pub(crate) fn ask(&mut self) -> Vec<u8> {
        let Some(mac) = self.host_mac else {
            return self.arp(ArpOperation::Request, EthernetAddress::BROADCAST, self.host);
        };
        self.asked = self.asked.wrapping_add(1);
        let echo = Icmpv4Repr::EchoRequest { ident: IDENTIFIER, seq_no: self.asked, data: PAYLOAD };
        let ip = Ipv4Repr {
            src_addr: self.own,
            dst_addr: self.host,
            next_header: IpProtocol::Icmp,
            payload_len: echo.buffer_len(),
            hop_limit: 64,
        };
        frame(mac, EthernetProtocol::Ipv4, ip.buffer_len() + echo.buffer_len(), |payload| {
            let sums = ChecksumCapabilities::default();
            let mut packet = Ipv4Packet::new_unchecked(payload);
            ip.emit(&mut packet, &sums);
            echo.emit(&mut Icmpv4Packet::new_unchecked(packet.payload_mut()), &sums);
        })
    }

    /// Looks at a frame from the host.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Heard {
        let Ok(frame) = EthernetFrame::new_checked(bytes) else { return Heard::Nothing };
        match frame.ethertype() {
            EthernetProtocol::Arp => self.hear_arp(frame.payload()),
            EthernetProtocol::Ipv4 => pong(frame.payload()).map_or(Heard::Nothing, Heard::Pong),
            _ => Heard::Nothing,
        }
    }

    fn hear_arp(&mut self, packet: &[u8]) -> Heard {
        let Ok(arp) = ArpPacket::new_checked(packet).and_then(|packet| ArpRepr::parse(&packet)) else {
            return Heard::Nothing;
        };
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: from,
            target_protocol_addr: to,
            ..
        } = arp
        else {
            return Heard::Nothing;
        };
        if from == self.host {
            self.host_mac = Some(mac);
        }
        if operation == ArpOperation::Request && to == self.own {
            return Heard::Answer(self.arp(ArpOperation::Reply, mac, from));
        }
        Heard::Nothing
    }

    fn arp(&self, operation: ArpOperation, to: EthernetAddress, whose: Ipv4Addr) -> Vec<u8> {
        let arp = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: MAC,
            source_protocol_addr: self.own,
            target_hardware_addr: to,
            target_protocol_addr: whose,
        };
        frame(to, EthernetProtocol::Arp, arp.buffer_len(), |payload| {
            arp.emit(&mut ArpPacket::new_unchecked(payload));
        })
    }
}

/// The number of the ping that this packet answers.
fn pong(packet: &[u8]) -> Option<u16> {
    let ip = Ipv4Packet::new_checked(packet).ok().filter(|ip| ip.next_header() == IpProtocol::Icmp)?;
    let icmp = Icmpv4Packet::new_checked(ip.payload()).ok()?;
    match Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default()) {
        Ok(Icmpv4Repr::EchoReply { ident: IDENTIFIER, seq_no, .. }) => Some(seq_no),
        _ => None,
    }
}

fn frame(
    to: EthernetAddress,
    ethertype: EthernetProtocol,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ethernet = EthernetRepr { src_addr: MAC, dst_addr: to, ethertype };
    let mut bytes = vec![0; ethernet.buffer_len() + payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    fill(frame.payload_mut());
    bytes
}

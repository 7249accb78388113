//! What IP does with a packet from the guest: echo, UDP ports, unreachable ports. Then UDP endpoints over the transport
//! interface of `/dev/udp`: enough for the host to talk to a guest.

use crate::abi::AF_INET;
use crate::image::{Bytes, SIN_ADDR};
use crate::kernel::Kernel;
use crate::kernel::ifreq::broadcast_of;
use crate::kernel::interface::{Family, InterfaceId};
use crate::kernel::packet::{EtherHeader, Ipv4Header, Ipv4Packet, checksum, transport_checksum};
use crate::kernel::stream::{Message, MessageKind, StreamId};

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const PORT_UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
/// Bytes of the offending packet an error quotes after its header (`ip_icmp_return_data_bytes`).
const QUOTED: usize = Ipv4Packet::HEADER + 64;

impl Kernel {
    /// A packet that came up an interface's IP stream.
    pub(super) fn ip_input(&mut self, id: InterfaceId, frame: &[u8], packet: &[u8]) {
        let Some(interface) = self.interfaces.get(&id) else { return };
        if !interface.is_up() || interface.wedge.is_some() {
            return;
        }
        self.traffic.received.push((interface.name.clone(), packet.to_vec()));
        if interface.family == Family::V6 {
            return self.ipv6_input(id, packet);
        }
        let Some(packet) = Ipv4Packet::parse(packet) else { return };
        let Some(own) = self.own_address_for(id, packet.destination) else { return };
        match packet.protocol {
            Ipv4Packet::ICMP => self.icmp_input(id, own, &packet),
            Ipv4Packet::UDP => {
                let broadcast =
                    EtherHeader::parse(frame).is_some_and(|header| header.destination[0] & 1 != 0);
                let taken = self.udp_input(&packet);
                if !taken && !broadcast && own == packet.destination {
                    self.send_unreachable(id, own, &packet);
                }
            }
            _ => {}
        }
    }

    /// The address of ours that answers a packet to this destination: itself, or that of the subnet it broadcasts to.
    fn own_address_for(&self, id: InterfaceId, destination: [u8; 4]) -> Option<[u8; 4]> {
        let interface = self.interfaces.get(&id)?;
        let limited = destination == [0xff; 4];
        let ours = interface.units.values().find(|unit| {
            let for_unit = unit.address == destination || broadcast_of(unit) == destination;
            unit.is_up() && !unit.is_unspecified() && (for_unit || limited)
        })?;
        ours.address.as_slice().try_into().ok()
    }

    fn icmp_input(&mut self, id: InterfaceId, own: [u8; 4], packet: &Ipv4Packet<'_>) {
        if packet.payload.len() < 8 || packet.payload[0] != ECHO_REQUEST || checksum(&[packet.payload]) != 0 {
            return;
        }
        let mut reply = packet.payload.to_vec();
        reply[0] = ECHO_REPLY;
        fill_checksum(&mut reply);
        self.send_ipv4(id, own, packet.source, Ipv4Packet::ICMP, true, &reply);
    }

    fn send_unreachable(&mut self, id: InterfaceId, own: [u8; 4], packet: &Ipv4Packet<'_>) {
        let mut message = vec![UNREACHABLE, PORT_UNREACHABLE, 0, 0, 0, 0, 0, 0];
        message.extend(&packet.whole[..packet.whole.len().min(QUOTED)]);
        fill_checksum(&mut message);
        self.send_ipv4(id, own, packet.source, Ipv4Packet::ICMP, false, &message);
    }

    /// Makes a datagram, cuts it for the MTU, and sends it to a neighbour on the link.
    pub(super) fn send_ipv4(
        &mut self,
        id: InterfaceId,
        source: [u8; 4],
        destination: [u8; 4],
        protocol: u8,
        dont_fragment: bool,
        payload: &[u8],
    ) {
        let Some(mtu) = self.interfaces.get(&id).map(|interface| interface.mtu as usize) else { return };
        self.ip_identification = self.ip_identification.wrapping_add(1);
        let identification = self.ip_identification;
        let header = Ipv4Header { source, destination, protocol, identification, dont_fragment };
        self.send_to(id, destination, header.packets(payload, mtu));
    }

    /// The interface and address of ours on whose subnet this address lies.
    pub(super) fn route(&self, destination: [u8; 4]) -> Option<(InterfaceId, [u8; 4])> {
        self.interfaces.iter().filter(|(_, interface)| interface.family == Family::V4).find_map(
            |(id, interface)| {
                let unit = interface.units.values().find(|unit| {
                    let masked = |address: &[u8]| -> Vec<u8> {
                        address.iter().zip(&unit.mask).map(|(byte, mask)| byte & mask).collect()
                    };
                    unit.is_up() && masked(&unit.address) == masked(&destination)
                })?;
                Some((*id, unit.address.as_slice().try_into().ok()?))
            },
        )
    }
}

fn fill_checksum(message: &mut [u8]) {
    message[2..4].fill(0);
    let sum = checksum(&[message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

// Primitives of `sys/tihdr.h`.
const O_T_BIND_REQ: u32 = 6;
const T_UNITDATA_REQ: u32 = 8;
const T_BIND_ACK: u32 = 17;
const T_UNITDATA_IND: u32 = 20;

const SOCKADDR_IN_LEN: usize = 16;
const UDP_HEADER: usize = 8;

impl Kernel {
    /// A transport primitive on a udp stream; those the model does not know are swallowed.
    pub(super) fn transport(&mut self, id: StreamId, control: &[u8], data: Option<Vec<u8>>) {
        let Some((address, port)) = address_in(control) else { return };
        match control.u32_at(0) {
            O_T_BIND_REQ => self.bind_port(id, port),
            T_UNITDATA_REQ => self.send_datagram(id, address, port, &data.unwrap_or_default()),
            _ => {}
        }
    }

    fn bind_port(&mut self, id: StreamId, port: u16) {
        let Ok(stream) = self.stream_mut(id) else { return };
        stream.port = Some(port);
        let head = [T_BIND_ACK, SOCKADDR_IN_LEN as u32, 16, 0];
        let control = [words(&head), sockaddr([0; 4], port)].concat();
        stream.put(Message::proto(MessageKind::PcProto, control));
    }

    fn send_datagram(&mut self, id: StreamId, to: [u8; 4], port: u16, data: &[u8]) {
        let from_port = self.stream(id).ok().and_then(|stream| stream.port).unwrap_or(0);
        self.host_sends_udp(from_port, to, port, data);
    }

    /// The host sends a UDP datagram to an address on a link of its own. False when no interface leads there.
    pub fn host_sends_udp(&mut self, from_port: u16, to: [u8; 4], port: u16, data: &[u8]) -> bool {
        let Some((interface, from)) = self.route(to) else { return false };
        let length = (UDP_HEADER + data.len()) as u16;
        let mut segment =
            [from_port, port, length, 0].iter().flat_map(|field| field.to_be_bytes()).collect::<Vec<_>>();
        segment.extend_from_slice(data);
        let sum = match transport_checksum(&from, &to, Ipv4Packet::UDP, &segment) {
            0 => u16::MAX,
            sum => sum,
        };
        segment[6..8].copy_from_slice(&sum.to_be_bytes());
        self.send_ipv4(interface, from, to, Ipv4Packet::UDP, false, &segment);
        true
    }

    /// A UDP datagram from the guest; false when nobody is bound to its port.
    fn udp_input(&mut self, packet: &Ipv4Packet<'_>) -> bool {
        let Some(header) = packet.payload.get(..UDP_HEADER) else { return true };
        let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let Some(data) = packet.payload.get(UDP_HEADER..usize::from(field(4))) else { return true };
        let Some(stream) = self.streams.values_mut().find(|stream| stream.port == Some(field(2))) else {
            return false;
        };
        let head = [T_UNITDATA_IND, SOCKADDR_IN_LEN as u32, 20, 0, 0];
        let control = [words(&head), sockaddr(packet.source, field(0))].concat();
        stream.put(Message { kind: MessageKind::Proto, control: Some(control), data: Some(data.to_vec()) });
        true
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn sockaddr(address: [u8; 4], port: u16) -> Vec<u8> {
    let family = (AF_INET as u16).to_le_bytes();
    [&family[..], &port.to_be_bytes(), &address, &[0; 8]].concat()
}

/// The socket address at the offset that follows the primitive and the length.
fn address_in(control: &[u8]) -> Option<([u8; 4], u16)> {
    let at = control.u32_at(8) as usize;
    let sockaddr = control.get(at..at.checked_add(SOCKADDR_IN_LEN)?)?;
    Some((sockaddr.array(SIN_ADDR), u16::from_be_bytes(sockaddr.array(2))))
}

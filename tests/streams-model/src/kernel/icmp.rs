//! What IP does with a packet from the guest: echo, UDP ports, unreachable ports.

use crate::kernel::Kernel;
use crate::kernel::ifreq::broadcast_of;
use crate::kernel::interface::{Family, InterfaceId};
use crate::kernel::packet::{EtherHeader, Ipv4Header, Ipv4Packet, checksum};

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

//! UDP endpoints over the transport interface of `/dev/udp`: enough for the host to talk to a guest.

use crate::abi::AF_INET;
use crate::image::{Bytes, SIN_ADDR};
use crate::kernel::Kernel;
use crate::kernel::packet::{Ipv4Packet, transport_checksum};
use crate::kernel::stream::{Message, MessageKind, StreamId};

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
    pub(super) fn udp_input(&mut self, packet: &Ipv4Packet<'_>) -> bool {
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

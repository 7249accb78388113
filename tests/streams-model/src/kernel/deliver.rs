//! Frames between the control stream of a PPA and the protocol streams on it.

use crate::abi::{DL_UNITDATA_IND, ETHERTYPE_IP, ETHERTYPE_IPV6};
use crate::kernel::Kernel;
use crate::kernel::packet::{ETHER_HEADER, EtherHeader};
use crate::kernel::stream::{Dl, DlState, Driver, Message, MessageKind, Module, StreamId};

/// Largest value of the type field that is a length.
const MAX_LENGTH_FIELD: u16 = 1500;
/// Bytes of `dl_unitdata_ind_t`.
const UNITDATA_IND_LEN: usize = 24;

impl Kernel {
    /// A frame written on a control stream: a copy to every protocol stream of the PPA that is eligible.
    pub(super) fn frame_from_user(&mut self, control: StreamId, frame: &[u8]) {
        let Ok(stream) = self.stream(control) else { return };
        let (driver, ppa) = (stream.driver, stream.dl.ppa);
        let mac = ppa.and_then(|ppa| self.ppas.get(ppa)).map(|ppa| ppa.mac);
        let (Some(ppa), Some(mac)) = (ppa, mac) else { return };
        self.traffic.written.push((ppa, frame.to_vec()));
        let mut taken = false;
        for id in self.protocol_streams(ppa) {
            let eligible = self.stream(id).is_ok_and(|stream| is_eligible(driver, &stream.dl, mac, frame));
            if eligible {
                taken |= self.hand_up(id, frame);
            }
        }
        if !taken {
            self.traffic.dropped_writes += 1;
        }
    }

    /// Gives a frame to what lies above the driver on this stream. True when it was taken.
    fn hand_up(&mut self, id: StreamId, frame: &[u8]) -> bool {
        let Ok(stream) = self.stream_mut(id) else { return false };
        let packet = payload_of(stream.driver, frame);
        let interface = stream.interface;
        match (stream.modules.last(), interface) {
            (Some(Module::Ip), Some(interface)) => self.ip_input(interface, frame, packet),
            (Some(Module::Arp), Some(interface)) => self.arp_input(interface, packet),
            (Some(_), _) => {}
            (None, _) => {
                if !stream.can_put() {
                    return false;
                }
                let message = indication(stream.driver, &stream.dl, frame);
                stream.put(message);
            }
        }
        true
    }

    /// A packet from a protocol stream: with its Ethernet header it is queued on the control stream of its PPA. False
    /// when the stream is in no state to send, which the driver answers with a `DL_ERROR_ACK`.
    pub(super) fn frame_to_user(&mut self, from: StreamId, destination: [u8; 6], payload: &[u8]) -> bool {
        let Ok(stream) = self.stream(from) else { return false };
        let (driver, sap) = (stream.driver, stream.dl.sap);
        let Some(ppa) = stream.dl.ppa.filter(|_| stream.dl.state == DlState::Idle) else { return false };
        let Some((control, source)) = self.ppas.get(ppa).map(|ppa| (ppa.control, ppa.mac)) else {
            return false;
        };
        self.downward.push("DL_UNITDATA_REQ");
        let kind = if sap <= MAX_LENGTH_FIELD { payload.len() as u16 } else { sap };
        let frame = match driver {
            Driver::Tun => payload.to_vec(),
            _ => EtherHeader { destination, source, kind }.frame(payload),
        };
        self.queue_frame(control, frame);
        true
    }

    /// Queues a frame at the head of a control stream; a full one drops it and tells nobody.
    pub(super) fn queue_frame(&mut self, control: StreamId, frame: Vec<u8>) {
        let Ok(stream) = self.stream_mut(control) else { return };
        if stream.can_put() {
            stream.put(Message::data(frame));
            self.traffic.queued += 1;
        } else {
            self.traffic.dropped_full += 1;
        }
    }
}

/// The driver's acceptance rule. It looks at the stream's SAP and not at its state, so an unbound stream, whose SAP is
/// 0, gets the frames with a length field.
fn is_eligible(driver: Driver, dl: &Dl, mac: [u8; 6], frame: &[u8]) -> bool {
    if dl.promiscuous {
        return true;
    }
    if driver == Driver::Tun {
        let version_6 = frame.first().is_some_and(|byte| byte >> 4 == 6);
        return dl.sap == if version_6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IP };
    }
    let Some(header) = EtherHeader::parse(frame) else { return false };
    if header.kind <= MAX_LENGTH_FIELD && dl.sap == 0 {
        return true;
    }
    let for_us = header.destination == mac || header.destination[0] & 1 != 0;
    header.kind == dl.sap && header.source != mac && for_us
}

fn payload_of(driver: Driver, frame: &[u8]) -> &[u8] {
    match driver {
        Driver::Tun => frame,
        _ => frame.get(ETHER_HEADER..).unwrap_or(&[]),
    }
}

/// What a stream without modules gets: the whole frame when raw, else a `DL_UNITDATA_IND` and the payload.
fn indication(driver: Driver, dl: &Dl, frame: &[u8]) -> Message {
    if dl.raw {
        return Message::data(frame.to_vec());
    }
    let addresses = match EtherHeader::parse(frame) {
        Some(header) if driver == Driver::Tap => {
            [dlsap(&header.destination, dl.sap), dlsap(&header.source, dl.sap)]
        }
        _ => [dlsap(&[], dl.sap), dlsap(&[], dl.sap)],
    };
    let length = addresses[0].len() as u32;
    let group = u32::from(frame.first().is_some_and(|byte| byte & 1 != 0) && driver == Driver::Tap);
    let offset = UNITDATA_IND_LEN as u32;
    let words = [DL_UNITDATA_IND, length, offset, length, offset + length, group];
    let mut control: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    control.extend(addresses.concat());
    Message {
        kind: MessageKind::Proto,
        control: Some(control),
        data: Some(payload_of(driver, frame).to_vec()),
    }
}

/// A data link address: the hardware address, then the SAP in host order.
pub(super) fn dlsap(mac: &[u8], sap: u16) -> Vec<u8> {
    [mac, &sap.to_le_bytes()].concat()
}

//! From the stream head down to the switch: what becomes of a write. The writer is never told. Then link protection: what a
//! link may send.

use std::net::Ipv4Addr;

use crate::abi::{
    self, ETHERTYPE_ARP, ETHERTYPE_IP, ETHERTYPE_IPV6, ETHERTYPE_VLAN, Errno, MPT_IPNOSPOOF, MPT_MACNOSPOOF,
    MPT_RESTRICTED,
};
use crate::call::{Stop, Sys};
use crate::image::Bytes;
use crate::kernel::Kernel;
use crate::kernel::datalink::acks::{Refusal, part};
use crate::kernel::datalink::frame::{Header, is_bindable, sap_of, with_tag};
use crate::kernel::datalink::offload::Packet;
use crate::kernel::datalink::stream::Request;
use crate::kernel::datalink::{DatalinkStream, Link, LinkId, Mac, acks};
use crate::kernel::packet::EtherHeader;
use crate::kernel::settings::Service;
use crate::kernel::stream::StreamId;

/// Most bytes the stream head puts in one message.
const MOST_IN_MESSAGE: usize = 65536;
/// Bytes of `dl_unitdata_req_t`, and where a request tells its priority.
const UNITDATA_LEN: usize = 20;
const UNITDATA_PRIORITY: usize = 16;
/// Bytes of an address with its type.
const ADDRESS: usize = 8;
const MAC: usize = 6;
const LONGEST_802_3: u16 = abi::ETHERMTU as u16;

impl Kernel {
    /// Whether flow control stops ordinary messages of a stream.
    pub(in crate::kernel) fn is_stopped(&self, id: StreamId) -> bool {
        self.datalink(id).is_some_and(DatalinkStream::is_stopped)
    }

    /// A flush of the write side forgets that flow control stopped it.
    pub(in crate::kernel) fn flush_write(&mut self, id: StreamId) {
        if let Some(stream) = self.datalink_mut(id) {
            stream.full = false;
        }
    }

    /// A write: cut into messages, each of which is a frame to the driver.
    pub(in crate::kernel) fn write_datalink(&mut self, id: StreamId, bytes: &[u8], nonblocking: bool) -> Sys {
        if bytes.len() > MOST_IN_MESSAGE {
            self.hazard(
                "a write of more than 65536 bytes is cut in pieces, each of which goes out as a frame",
            );
        }
        let mut written = 0;
        for piece in bytes.chunks(MOST_IN_MESSAGE) {
            if self.is_stopped(id) {
                break;
            }
            self.data_down(id, piece);
            written += piece.len();
        }
        match written {
            0 if !bytes.is_empty() && nonblocking => Err(Errno::EAGAIN.into()),
            0 if !bytes.is_empty() => Err(Stop::Block),
            written => Ok(written as i64),
        }
    }

    /// A data message reaches the driver.
    pub(in crate::kernel) fn data_down(&mut self, id: StreamId, frame: &[u8]) {
        self.note_write(id);
        let sendable =
            self.datalink(id).and_then(|stream| Some((stream.link?, self.raw_frame(stream, frame)?)));
        match sendable {
            Some((link, frame)) => self.hand_down(id, link, frame),
            None => self.traffic.dropped_writes += 1,
        }
    }

    fn note_write(&mut self, id: StreamId) {
        let now = self.timers.now();
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.close_chunks_on_write(now);
        }
    }

    /// The frame a write in raw mode sends; nothing when the driver drops it.
    fn raw_frame(&self, stream: &DatalinkStream, frame: &[u8]) -> Option<Vec<u8>> {
        let link = self.link_of(stream.link?)?;
        let header = Header::parse(frame).filter(|_| stream.is_bound() && stream.raw)?;
        let too_long = frame.len() > link.mtu as usize + header.length;
        let foreign_tag = link.vid != 0 && header.vid() != 0;
        let empty_tag = header.tag.is_some() && header.vid() == 0 && header.priority() == 0;
        if too_long || foreign_tag || empty_tag {
            return None;
        }
        let priority = if header.priority() == 0 { stream.priority } else { 0 };
        let untagged = header.tag.is_none();
        if (priority == 0 || untagged) && link.vid == 0 {
            return Some(frame.to_vec());
        }
        let before = header.tag.unwrap_or(0);
        let priority = if priority == 0 { before & 0xe000 } else { u16::from(priority) << 13 };
        let vid = if link.vid == 0 { before & 0xfff } else { link.vid };
        Some(with_tag(frame, priority | before & 0x1000 | vid))
    }

    /// A frame leaves a stream for its link; flow control stops the stream behind it.
    fn hand_down(&mut self, id: StreamId, link: LinkId, frame: Vec<u8>) {
        let allowed = self.link_of(link).is_some_and(|link| link.may_send(&frame));
        if !allowed {
            self.traffic.dropped_writes += 1;
            return;
        }
        let stops = self.send_limited(link, Packet::plain(frame));
        if stops && let Some(stream) = self.datalink_mut(id) {
            stream.full = true;
        }
    }

    /// A protocol message reaches the driver. Units of data are sent at once, all else waits for the driver's thread.
    pub(in crate::kernel) fn request_down(&mut self, id: StreamId, control: &[u8], data: Option<Vec<u8>>) {
        self.note_write(id);
        if control.len() < 4 {
            return;
        }
        if control.u32_at(0) == abi::DL_UNITDATA_REQ {
            return self.unit_down(id, control, data);
        }
        if control.u32_at(0) == abi::DL_CAPABILITY_REQ {
            self.hazard(
                "DL_CAPABILITY_REQ tells any process a kernel address, and is read and written past its end when a \
                 part of it is short",
            );
        }
        if let Some(stream) = self.datalink_mut(id) {
            stream.pending.push_back(Request { control: control.to_vec(), data, answer: None });
        }
    }

    /// The driver's thread serves what waits on every stream.
    pub(in crate::kernel) fn serve_datalinks(&mut self) {
        let waiting = self.datalink_streams().filter(|(_, stream)| !stream.pending.is_empty());
        let waiting: Vec<_> = waiting.map(|(id, _)| id).collect();
        for id in waiting {
            self.serve_stream(id);
        }
    }

    /// The same, when the calling thread is about to wait.
    pub(crate) fn serve_before_waiting(&mut self) {
        if self.settings.service != Service::Held {
            self.serve_datalinks();
        }
    }

    pub(in crate::kernel) fn serve_stream(&mut self, id: StreamId) {
        while let Some(request) = self.datalink_mut(id).and_then(|stream| stream.pending.pop_front()) {
            match request.answer {
                Some(answer) => self.put_up(id, answer),
                None => self.carry_out(id, &request.control, request.data),
            }
        }
    }

    fn unit_down(&mut self, id: StreamId, control: &[u8], data: Option<Vec<u8>>) {
        match self.unit_frame(id, control, data.as_deref()) {
            Ok(Some((link, frame))) => self.hand_down(id, link, frame),
            Ok(None) => {
                let address = part(control, 8, 4).unwrap_or(&[]).to_vec();
                self.put_up(id, acks::bad_data(&address, data));
            }
            Err(why) => self.put_up(id, acks::error(abi::DL_UNITDATA_REQ, why, data)),
        }
    }

    /// The frame a unit of data makes; nothing when the data is longer than the link takes.
    fn unit_frame(
        &self,
        id: StreamId,
        control: &[u8],
        data: Option<&[u8]>,
    ) -> Result<Option<(LinkId, Vec<u8>)>, Refusal> {
        let refuse = Refusal::from;
        let data = data.filter(|_| control.len() >= UNITDATA_LEN).ok_or_else(|| refuse(abi::DL_BADPRIM))?;
        let stream =
            self.datalink(id).filter(|stream| stream.is_bound()).ok_or_else(|| refuse(abi::DL_OUTSTATE))?;
        let address = part(control, 8, 4).ok_or_else(|| refuse(abi::DL_BADPRIM))?;
        if !control.u32_at(8).is_multiple_of(2) {
            return Err(refuse(abi::DL_BADPRIM));
        }
        let link_id = stream.link.ok_or_else(|| refuse(abi::DL_OUTSTATE))?;
        let link = self.link_of(link_id).ok_or_else(|| refuse(abi::DL_OUTSTATE))?;
        if address.len() != ADDRESS {
            return Err(refuse(abi::DL_BADADDR));
        }
        if data.len() > link.mtu as usize {
            return Ok(None);
        }
        let sap = address.u16_at(MAC);
        if !is_bindable(sap) {
            return Err(refuse(abi::DL_BADADDR));
        }
        let destination: Mac = address.array(0);
        let kind = if sap_of(sap) == 0 { data.len().min(usize::from(LONGEST_802_3)) as u16 } else { sap };
        let frame = EtherHeader { destination, source: link.address, kind }.frame(data);
        let priority = control.u32_at(UNITDATA_PRIORITY).min(7) as u16;
        let tagged = link.vid != 0 && sap != ETHERTYPE_VLAN;
        let frame = if tagged { with_tag(&frame, priority << 13 | link.vid) } else { frame };
        Ok(Some((link_id, frame)))
    }
}

/// Bytes of `mac_protect_t`, and where its addresses begin.
const PROTECTION_LEN: usize = 9228;
const ADDRESSES_AT: usize = 8;
/// Bytes of one allowed address.
const ADDRESS_LEN: usize = 24;
/// Where a packet of each protocol has what is compared.
const IPV4_SOURCE: usize = 12;
const IPV4_HEADER: usize = 20;
const ARP_SENDER_MAC: usize = 8;
const ARP_SENDER_IP: usize = 14;
const ARP_LEN: usize = 28;

/// What is forbidden, and the addresses allowed all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Protection {
    pub(super) kinds: u32,
    pub(super) allowed: Vec<Ipv4Addr>,
}

impl Protection {
    /// `mac_protect_t` as `DL_NOTE_ALLOWED_IPS` carries it.
    pub(super) fn image(&self) -> Vec<u8> {
        let mut image = Vec::with_capacity(PROTECTION_LEN);
        image.extend(self.kinds.to_le_bytes());
        image.extend((self.allowed.len() as u32).to_le_bytes());
        for address in &self.allowed {
            image.extend(4_u32.to_le_bytes());
            image.extend(address.to_ipv6_mapped().octets());
            image.extend([32, 0, 0, 0]);
        }
        debug_assert!(image.len() == ADDRESSES_AT + self.allowed.len() * ADDRESS_LEN, "whole addresses");
        image.resize(PROTECTION_LEN, 0);
        image
    }
}

impl Link {
    /// Whether the link's protection lets it send a frame.
    pub(super) fn may_send(&self, frame: &[u8]) -> bool {
        let kinds = self.protection.kinds;
        let Some(header) = Header::parse(frame) else { return kinds == 0 };
        let spoofed = kinds & MPT_MACNOSPOOF != 0 && header.source != self.address;
        let foreign_tag = header.vid() != 0 && header.vid() != self.vid;
        let plain = matches!(header.sap, ETHERTYPE_IP | ETHERTYPE_IPV6 | ETHERTYPE_ARP);
        let restricted = kinds & MPT_RESTRICTED != 0 && (foreign_tag || !plain);
        let wrong_ip = kinds & MPT_IPNOSPOOF != 0 && !self.ip_may_be_sent(&header, frame);
        !spoofed && !restricted && !wrong_ip
    }

    fn ip_may_be_sent(&self, header: &Header, frame: &[u8]) -> bool {
        let packet = frame.get(header.length..).unwrap_or(&[]);
        let address = |at: usize| packet.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let allowed = |address: Option<[u8; 4]>| {
            address
                .is_some_and(|address| address == [0; 4] || self.protection.allowed.contains(&address.into()))
        };
        match header.sap {
            ETHERTYPE_IP => packet.len() >= IPV4_HEADER && allowed(address(IPV4_SOURCE)),
            ETHERTYPE_ARP => {
                let sender = packet.get(ARP_SENDER_MAC..ARP_SENDER_IP);
                packet.len() >= ARP_LEN
                    && sender == Some(&self.address[..])
                    && allowed(address(ARP_SENDER_IP))
            }
            // Only addresses of version 4 can be allowed here.
            ETHERTYPE_IPV6 => false,
            _ => true,
        }
    }
}

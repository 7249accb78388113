//! From the switch up to the stream head: which streams of a link take a frame, and by which of the two ways.
//!
//! A stream that wants copies beyond its type gets them by the promiscuous way, and then nothing by the way of the
//! bound streams. One that only wants every group address still gets the rest by the latter.
//!
//! The driver gives a frame its form, and the modules above it pass it on.

use crate::abi::{self, ETHERTYPE_VLAN};
use crate::image::put;
use crate::kernel::Kernel;
use crate::kernel::datalink::frame::{Header, Kind, TAG, vid_of_frame, without_tag};
use crate::kernel::datalink::stream::{Entry, PROMISC_MULTI, PROMISC_PHYS, PROMISC_RX_ONLY, PROMISC_SAP};
use crate::kernel::datalink::{DatalinkStream, LinkClass, LinkId};
use crate::kernel::stream::{Message, MessageKind, StreamId};

/// Whether a stream takes a frame that came by one of the two ways.
fn accepts(stream: &DatalinkStream, header: &Header, promiscuous: bool, looped: bool) -> bool {
    if !stream.is_bound() {
        return false;
    }
    if stream.promisc != 0 {
        let still_by_type = stream.promisc == PROMISC_MULTI && header.kind != Kind::Multicast;
        if !promiscuous && !still_by_type {
            return false;
        }
        if stream.promisc & PROMISC_PHYS != 0 {
            return true;
        }
        if looped {
            return false;
        }
    }
    match header.kind {
        Kind::Unicast | Kind::Broadcast => true,
        Kind::Multicast => stream.promisc & PROMISC_MULTI != 0 || stream.groups.contains(&header.destination),
    }
}

impl Kernel {
    /// A frame passes a switch: copies to the promiscuous streams of its clients. Those of a vnic see what their own
    /// link sends, and group frames of their VLAN; those of the link itself see all.
    pub(super) fn copy_to_promiscuous(&mut self, switch: LinkId, frame: &[u8], sender: Option<LinkId>) {
        let group = frame.first().is_some_and(|byte| byte & 1 != 0);
        for (id, link) in self.promiscuous_streams(|link| self.switch_of(link) == switch) {
            let Some(stream) = self.datalink(id) else { continue };
            let own = sender == Some(link);
            if own && stream.promisc & PROMISC_RX_ONLY != 0 && stream.copies() != 0 {
                continue;
            }
            let sees_all = self.sees_all(link) && !stream.copies_groups_only();
            let same_vlan = self.link_of(link).is_some_and(|link| link.vid == vid_of_frame(frame));
            if group && !sees_all && !same_vlan {
                continue;
            }
            if own || sees_all || group {
                self.offer_promiscuous(id, frame, own);
            }
        }
    }

    /// A unicast frame reaches a vnic: copies to its own promiscuous streams.
    pub(super) fn copy_to_own_promiscuous(&mut self, client: LinkId, frame: &[u8]) {
        if self.sees_all(client) {
            return;
        }
        for (id, _) in self.promiscuous_streams(|link| link == client) {
            if self.datalink(id).is_some_and(|stream| !stream.copies_groups_only()) {
                self.offer_promiscuous(id, frame, false);
            }
        }
    }

    fn sees_all(&self, link: LinkId) -> bool {
        self.link_of(link).is_some_and(|link| link.class != LinkClass::Vnic)
    }

    /// Streams that want copies, those bound to the type of tags included, with their link.
    fn promiscuous_streams(&self, on: impl Fn(LinkId) -> bool) -> Vec<(StreamId, LinkId)> {
        let wants = |stream: &DatalinkStream| stream.copies() != 0 || takes_tags(stream);
        let streams = self.datalink_streams().filter(|(_, stream)| wants(stream));
        streams.filter_map(|(id, stream)| Some((id, stream.link?))).filter(|(_, link)| on(*link)).collect()
    }

    fn offer_promiscuous(&mut self, id: StreamId, frame: &[u8], looped: bool) {
        let (Some(header), Some(stream)) = (Header::parse(frame), self.datalink(id)) else { return };
        if takes_tags(stream) {
            return self.offer_tagged(id, frame, &header);
        }
        let every_type = stream.promisc & PROMISC_SAP != 0;
        if !every_type && !stream.link.is_some_and(|link| self.is_bound_by_any(link, header.sap)) {
            return;
        }
        if accepts(stream, &header, true, looped) {
            self.rise(id, header.trimmed(frame), &header);
        }
    }

    /// A stream bound to the type of tags gets tagged frames to the link's address.
    fn offer_tagged(&mut self, id: StreamId, frame: &[u8], header: &Header) {
        let Some(stream) = self.datalink(id) else { return };
        let address = stream.link.and_then(|link| self.link_of(link)).map(|link| link.address);
        if header.tag.is_some()
            && address == Some(header.destination)
            && accepts(stream, header, false, false)
        {
            self.rise(id, frame, header);
        }
    }

    fn is_bound_by_any(&self, link: LinkId, sap: u16) -> bool {
        let entered =
            |stream: &DatalinkStream| stream.link == Some(link) && stream.entry == Some(Entry::Type(sap));
        self.datalink_streams().any(|(_, stream)| entered(stream))
    }

    /// Offers a frame to the streams of a link that are bound to its type.
    pub(super) fn offer_to_bound(&mut self, link: LinkId, frame: &[u8]) {
        let Some(header) = Header::parse(frame) else { return };
        let frame = header.trimmed(frame).to_vec();
        if header.tag.is_some() {
            self.offer_under(link, ETHERTYPE_VLAN, &frame, &header);
            let unused_tag = header.vid() == 0 && header.priority() == 0;
            if unused_tag || header.sap == ETHERTYPE_VLAN && header.vid() == 0 {
                return;
            }
        }
        self.offer_under(link, header.sap, &frame, &header);
    }

    fn offer_under(&mut self, link: LinkId, sap: u16, frame: &[u8], header: &Header) {
        let takes = |(_, stream): &(StreamId, &DatalinkStream)| {
            let entered = stream.link == Some(link) && stream.entry == Some(Entry::Type(sap));
            entered && accepts(stream, header, false, false)
        };
        let takers: Vec<_> = self.datalink_streams().filter(takes).map(|(id, _)| id).collect();
        for id in takers {
            self.rise(id, frame, header);
        }
    }
}

/// Whether tagged frames come to this stream by a way of their own.
fn takes_tags(stream: &DatalinkStream) -> bool {
    stream.entry == Some(Entry::Tags) && stream.copies() == 0
}

/// Bytes of `dl_unitdata_ind_t`, and of each address behind it: room for the longest.
const INDICATION: usize = 24;
const ADDRESS_ROOM: usize = 22;
/// Bytes of an Ethernet address and a type.
const ADDRESS: u32 = 8;

impl Kernel {
    /// Hands a frame up a stream; it is dropped when there is no room above the driver.
    pub(super) fn rise(&mut self, id: StreamId, frame: &[u8], header: &Header) {
        let Some(stream) = self.datalink(id) else { return };
        let vid = stream.link.and_then(|link| self.link_of(link)).map_or(0, |link| link.vid);
        let message = if stream.raw {
            Message::data(if vid == 0 { frame.to_vec() } else { without_tag(frame) })
        } else {
            indication(stream, frame, header, vid)
        };
        if self.has_room_above(id) {
            self.traffic.queued += 1;
            self.put_up(id, message);
        } else {
            self.traffic.dropped_full += 1;
        }
    }

    /// Whether the first queue above the driver takes a message that is not of high priority.
    fn has_room_above(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| match stream.bufmods.last() {
            Some(bufmod) => !bufmod.is_full(),
            None => stream.can_put(),
        })
    }

    /// Puts a message into the lowest queue above the driver.
    pub(super) fn put_up(&mut self, id: StreamId, message: Message) {
        let now = self.timers.now();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let modules = stream.bufmods.len();
        stream.pass_up(modules, message, now);
    }
}

/// A frame as a stream gets it that is not in raw mode.
fn indication(stream: &DatalinkStream, frame: &[u8], header: &Header, vid: u16) -> Message {
    let keeps_tag = header.tag.is_some()
        && vid == 0
        && (stream.entry == Some(Entry::Tags) || stream.promisc & PROMISC_SAP != 0);
    let sap = if keeps_tag { ETHERTYPE_VLAN } else { header.sap };
    let mut control = vec![0; INDICATION + 2 * ADDRESS_ROOM];
    let (to, from) = (INDICATION, INDICATION + ADDRESS_ROOM);
    let words =
        [abi::DL_UNITDATA_IND, ADDRESS, to as u32, ADDRESS, from as u32, u32::from(header.is_group())];
    put(&mut control, 0, &words.map(u32::to_le_bytes).concat());
    put(&mut control, to, &[&header.destination[..], &sap.to_le_bytes()].concat());
    put(&mut control, from, &[&header.source[..], &header.field.to_le_bytes()].concat());
    let payload_at = header.length - if keeps_tag { TAG } else { 0 };
    let payload = frame.get(payload_at..).unwrap_or(&[]).to_vec();
    Message { kind: MessageKind::Proto, control: Some(control), data: Some(payload) }
}

//! From the driver up to the stream head: the form a frame takes, and the modules it passes.

use crate::abi;
use crate::image::put;
use crate::kernel::Kernel;
use crate::kernel::datalink::DatalinkStream;
use crate::kernel::datalink::frame::{Header, TAG, without_tag};
use crate::kernel::datalink::stream::{Entry, PROMISC_SAP};
use crate::kernel::stream::{Message, MessageKind, StreamId};

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
    let sap = if keeps_tag { abi::ETHERTYPE_VLAN } else { header.sap };
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

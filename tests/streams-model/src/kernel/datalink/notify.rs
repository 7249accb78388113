//! Notifications: what a stream that asked for them is told about its link.

use crate::abi;
use crate::kernel::Kernel;
use crate::kernel::datalink::acks::words;
use crate::kernel::datalink::{LinkClass, LinkId};
use crate::kernel::stream::{Message, MessageKind, StreamId};

/// Bytes of `dl_notify_ind_t`.
const INDICATION: u32 = 20;
/// Bits a second of a NIC, and what the indication counts in.
const NIC_SPEED: u64 = 100_000_000;
const KILOBIT: u64 = 1000;
/// Types below this are told as 0.
const LOWEST_TYPE: u16 = 0x600;

/// An indication without an address.
fn plain(note: u32, data: u32) -> Message {
    Message::proto(MessageKind::Proto, words(&[abi::DL_NOTIFY_IND, note, data, 0, 0]))
}

fn with_address(note: u32, data: u32, address: &[u8]) -> Message {
    let head = words(&[abi::DL_NOTIFY_IND, note, data, address.len() as u32, INDICATION]);
    Message::proto(MessageKind::Proto, [&head[..], address].concat())
}

impl Kernel {
    /// All a stream asked for, at once, in the order of the layer below.
    pub(super) fn tell_all(&mut self, id: StreamId) {
        let low_link = self.datalink(id).is_some_and(|stream| stream.low_link);
        if !low_link {
            self.tell_state(id);
        }
        self.tell_address_note(id);
        self.tell_promiscuity_note(id);
        self.tell(id, plain(abi::DL_NOTE_FASTPATH_FLUSH, 0), abi::DL_NOTE_FASTPATH_FLUSH);
        self.tell_size(id);
        self.tell(id, plain(abi::DL_NOTE_CAPAB_RENEG, 0), abi::DL_NOTE_CAPAB_RENEG);
        if low_link {
            self.tell_state(id);
        }
        self.tell_protection(id);
    }

    fn tell(&mut self, id: StreamId, message: Message, note: u32) {
        if self.datalink(id).is_some_and(|stream| stream.notes & note != 0) {
            self.put_up(id, message);
        }
    }

    fn tell_state(&mut self, id: StreamId) {
        let Some(link) = self.datalink(id).and_then(|stream| stream.link) else { return };
        if self.is_up(link) {
            let speed = self.speed_of(link);
            self.tell(id, plain(abi::DL_NOTE_LINK_UP, 0), abi::DL_NOTE_LINK_UP);
            self.tell(id, plain(abi::DL_NOTE_SPEED, speed), abi::DL_NOTE_SPEED);
        } else {
            self.tell(id, plain(abi::DL_NOTE_LINK_DOWN, 0), abi::DL_NOTE_LINK_DOWN);
        }
    }

    fn tell_address_note(&mut self, id: StreamId) {
        let Some(stream) = self.datalink(id) else { return };
        let sap = if stream.sap < LOWEST_TYPE { 0 } else { stream.sap };
        let Some(link) = stream.link.and_then(|link| self.link_of(link)) else { return };
        let address = [&link.address[..], &sap.to_le_bytes()].concat();
        let message = with_address(abi::DL_NOTE_PHYS_ADDR, abi::DL_CURR_PHYS_ADDR, &address);
        self.tell(id, message, abi::DL_NOTE_PHYS_ADDR);
    }

    fn tell_promiscuity_note(&mut self, id: StreamId) {
        let Some(link) = self.datalink(id).and_then(|stream| stream.link) else { return };
        // A vnic has no filter of its own to open.
        let on = self.link_of(link).is_some_and(|link| link.class == LinkClass::Nic)
            && self.lets_everything_in(link);
        let note = if on { abi::DL_NOTE_PROMISC_ON_PHYS } else { abi::DL_NOTE_PROMISC_OFF_PHYS };
        self.tell(id, plain(note, 0), note);
    }

    /// The second form, where it is asked for, goes instead of the first.
    fn tell_size(&mut self, id: StreamId) {
        let Some(stream) = self.datalink(id) else { return };
        let Some(mtu) = stream.link.and_then(|link| self.link_of(link)).map(|link| link.mtu) else { return };
        if stream.notes & abi::DL_NOTE_SDU_SIZE2 != 0 {
            let both = mtu & 0xffff | mtu << 16;
            self.tell(id, plain(abi::DL_NOTE_SDU_SIZE2, both), abi::DL_NOTE_SDU_SIZE2);
        } else {
            self.tell(id, plain(abi::DL_NOTE_SDU_SIZE, mtu), abi::DL_NOTE_SDU_SIZE);
        }
    }

    fn tell_protection(&mut self, id: StreamId) {
        let link = self.datalink(id).and_then(|stream| stream.link).and_then(|link| self.link_of(link));
        let Some(image) = link.map(|link| link.protection.image()) else { return };
        self.tell(id, with_address(abi::DL_NOTE_ALLOWED_IPS, 0, &image), abi::DL_NOTE_ALLOWED_IPS);
    }

    /// What a client of a switch takes for the state of its link: with a neighbour in its VLAN it is always up.
    pub(super) fn is_up(&self, id: LinkId) -> bool {
        let (Some(link), switch) = (self.link_of(id), self.switch_of(id)) else { return false };
        let shares = |other: &LinkId| {
            let same_vlan = self.link_of(*other).is_some_and(|other| other.vid == link.vid);
            *other != id && same_vlan && self.is_active(*other)
        };
        let neighbours = self.is_active(id) && self.clients_of(switch).iter().any(shares);
        neighbours || self.link_of(switch).is_some_and(|link| link.carrier)
    }

    /// In kilobits a second.
    fn speed_of(&self, id: LinkId) -> u32 {
        let switch = self.link_of(self.switch_of(id));
        let nic = switch.is_some_and(|link| link.class == LinkClass::Nic);
        let limit =
            self.link_of(id).and_then(|link| link.bandwidth.as_ref()).map(|limit| limit.bits_per_second);
        let speed = if nic { NIC_SPEED.min(limit.unwrap_or(u64::MAX)) } else { 0 };
        (speed / KILOBIT) as u32
    }

    /// The cable of a link was pulled or plugged in: its own streams hear of it, those of a vnic when it is another
    /// state than they know.
    pub(super) fn tell_carrier(&mut self, switch: LinkId) {
        for client in self.clients_of(switch) {
            let up = self.is_up(client);
            let Some(link) = self.link_of_mut(client) else { continue };
            let news = std::mem::replace(&mut link.told_up, up) != up;
            if news || client == switch {
                for stream in self.streams_of(client) {
                    self.tell_state(stream);
                }
            }
        }
    }

    pub(super) fn tell_new_address(&mut self, link: LinkId) {
        for stream in self.streams_of(link) {
            self.tell_address_note(stream);
        }
    }

    pub(super) fn tell_new_size(&mut self, link: LinkId) {
        for stream in self.streams_of(link) {
            self.tell_size(stream);
        }
    }

    pub(super) fn tell_new_protection(&mut self, link: LinkId) {
        for stream in self.streams_of(link) {
            self.tell_protection(stream);
        }
    }

    pub(super) fn tell_new_capabilities(&mut self, link: LinkId) {
        for stream in self.streams_of(link) {
            self.tell(stream, plain(abi::DL_NOTE_CAPAB_RENEG, 0), abi::DL_NOTE_CAPAB_RENEG);
        }
    }

    /// A NIC begins or ends to let everything in.
    pub(super) fn tell_promiscuity(&mut self, nic: LinkId) {
        for stream in self.streams_of(nic) {
            self.tell_promiscuity_note(stream);
        }
    }
}

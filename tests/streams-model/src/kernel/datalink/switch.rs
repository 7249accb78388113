//! The switch of a NIC or an etherstub: who gets a frame.

use crate::kernel::Kernel;
use crate::kernel::datalink::frame::{
    ADDRESSES, Header, Kind, MINIMUM_ON_WIRE, TAG, is_group, vid_of_frame, without_tag,
};
use crate::kernel::datalink::offload::Packet;
use crate::kernel::datalink::{LinkClass, LinkId, Mac};
use crate::kernel::packet::{BROADCAST, ETHER_HEADER};

/// Where a frame of a client goes.
enum Way {
    /// To one other client, or back to the sender.
    Local(LinkId),
    /// To every client of a group but the sender, then out.
    Group(Vec<LinkId>),
    Out,
}

impl Kernel {
    /// A client of a switch sends a frame now.
    pub(super) fn send_now(&mut self, sender: LinkId, packet: Packet) {
        let switch = self.switch_of(sender);
        if !self.is_active(sender) {
            self.traffic.dropped_writes += 1;
            return;
        }
        let offers = self.link_of(switch).map(|link| link.offloads).unwrap_or_default();
        for packet in packet.without_unoffered(offers) {
            match self.way_of(switch, &packet.frame) {
                Way::Local(to) => self.send_locally(switch, sender, to, packet),
                Way::Group(members) => {
                    // Copied as they are: what the hardware was to do stays undone.
                    for member in members.into_iter().filter(|member| *member != sender) {
                        self.arrive(member, &packet.frame);
                    }
                    self.send_out(switch, sender, packet);
                }
                Way::Out => self.send_out(switch, sender, packet),
            }
        }
    }

    fn way_of(&self, switch: LinkId, frame: &[u8]) -> Way {
        let clients: Vec<_> =
            self.clients_of(switch).into_iter().filter(|client| self.is_active(*client)).collect();
        let Some(destination) = destination_of(frame) else { return Way::Out };
        if clients.len() == 1 {
            return Way::Out;
        }
        if is_group(destination) {
            let members = self.members(switch, destination, vid_of_frame(frame));
            return if members.is_empty() { Way::Out } else { Way::Group(members) };
        }
        match self.client_with(switch, destination, vid_of_frame(frame)) {
            Some(client) => Way::Local(client),
            None => Way::Out,
        }
    }

    fn send_locally(&mut self, switch: LinkId, sender: LinkId, to: LinkId, packet: Packet) {
        self.copy_to_promiscuous(switch, &packet.frame, Some(sender));
        if has_no_payload(&packet.frame) {
            self.traffic.dropped_writes += 1;
            return;
        }
        for frame in packet.finished() {
            self.arrive(to, &frame);
        }
    }

    /// A frame leaves the switch; over an etherstub nobody is there to take it.
    fn send_out(&mut self, switch: LinkId, sender: LinkId, packet: Packet) {
        self.copy_to_promiscuous(switch, &packet.frame, Some(sender));
        let Some(link) = self.link_of(switch) else { return };
        if link.class != LinkClass::Nic || !link.carrier {
            return;
        }
        let peer = link.peer;
        for mut frame in packet.finished() {
            frame.resize(frame.len().max(MINIMUM_ON_WIRE), 0);
            if let Some(link) = self.link_of_mut(switch) {
                link.on_the_wire.push(frame.clone());
            }
            if let Some(peer) = peer {
                self.come_from_wire(peer, &frame);
            }
        }
    }

    /// A frame comes in from the wire of a NIC, whose filter lets in what is meant for it unless told otherwise.
    pub(super) fn come_from_wire(&mut self, nic: LinkId, frame: &[u8]) {
        let Some(header) = Header::parse(frame) else { return };
        let passes = match header.kind {
            Kind::Broadcast => true,
            Kind::Unicast => self.link_of(nic).is_some_and(|link| link.address == header.destination),
            Kind::Multicast => self.has_enabled(nic, header.destination),
        };
        if passes || self.lets_everything_in(nic) {
            self.receive(nic, frame, &header);
        }
    }

    fn receive(&mut self, switch: LinkId, frame: &[u8], header: &Header) {
        self.copy_to_promiscuous(switch, frame, None);
        let clients: Vec<_> =
            self.clients_of(switch).into_iter().filter(|client| self.is_active(*client)).collect();
        if let [only] = clients[..] {
            // The only client gets everything the NIC lets in, whatever its address and VLAN.
            return self.arrive(only, frame);
        }
        let takers = if header.is_group() {
            self.members(switch, header.destination, header.vid())
        } else {
            self.client_with(switch, header.destination, header.vid()).into_iter().collect()
        };
        for taker in takers {
            self.arrive(taker, frame);
        }
    }

    /// Whether a NIC lets every frame in: with a vnic over it, or when a stream asked for it.
    pub(super) fn lets_everything_in(&self, nic: LinkId) -> bool {
        self.clients_of(nic).len() > 1 || self.promiscuity_of(nic) > 0
    }

    fn client_with(&self, switch: LinkId, address: Mac, vid: u16) -> Option<LinkId> {
        let has = |id: &LinkId| {
            self.link_of(*id).is_some_and(|link| link.address == address && link.vid == vid)
                && self.is_active(*id)
        };
        self.clients_of(switch).into_iter().find(has)
    }

    /// The clients of a VLAN that take frames to a group address.
    fn members(&self, switch: LinkId, group: Mac, vid: u16) -> Vec<LinkId> {
        let takes = |id: &LinkId| {
            self.link_of(*id).is_some_and(|link| link.vid == vid)
                && self.is_active(*id)
                && (group == BROADCAST || self.streams_enabled(*id, group))
        };
        self.clients_of(switch).into_iter().filter(takes).collect()
    }

    fn has_enabled(&self, switch: LinkId, group: Mac) -> bool {
        self.clients_of(switch).into_iter().any(|client| self.streams_enabled(client, group))
    }

    /// Whether a stream of this link has enabled a group address.
    fn streams_enabled(&self, link: LinkId, group: Mac) -> bool {
        self.datalink_streams().any(|(_, stream)| stream.link == Some(link) && stream.groups.contains(&group))
    }

    /// A frame reaches a client of a switch: its promiscuous streams, then those that are bound to its type.
    fn arrive(&mut self, client: LinkId, frame: &[u8]) {
        let Some(header_destination) = destination_of(frame) else { return };
        if !is_group(header_destination) {
            self.copy_to_own_promiscuous(client, frame);
        }
        let Some(link) = self.link_of_mut(client) else { return };
        let vid = link.vid;
        let tag = Header::parse(frame).and_then(|header| header.tag);
        if frame.len() < ETHER_HEADER || tag.is_some_and(|_| vid_of_frame(frame) != vid) {
            return;
        }
        let frame = if vid == 0 { frame.to_vec() } else { without_tag(frame) };
        link.arrived.push(frame.clone());
        if link.kernel_client || !self.streams_are_active(client) {
            return;
        }
        self.offer_to_bound(client, &frame);
    }
}

fn destination_of(frame: &[u8]) -> Option<Mac> {
    frame.get(..ADDRESSES)?.get(..6)?.try_into().ok()
}

/// A header and nothing behind it.
fn has_no_payload(frame: &[u8]) -> bool {
    let header = Header::parse(frame).map_or(ETHER_HEADER, |header| header.length);
    frame.len() <= header && header <= ETHER_HEADER + TAG
}

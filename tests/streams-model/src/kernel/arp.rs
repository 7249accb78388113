//! ARP as the host does it: duplicate address detection, announcements, resolution and answers.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::abi::{IFF_DUPLICATE, IFF_UP};
use crate::kernel::Kernel;
use crate::kernel::interface::{Family, InterfaceId, Neighbour, Unit};
use crate::kernel::packet::{ArpPacket, BROADCAST};
use crate::kernel::timers::Event;

/// When the probes of duplicate address detection go out after an interface came up, milliseconds. The first delay is
/// random on a real machine; these are the times that were observed.
const PROBE_TIMES: [u64; 3] = [800, 2200, 3700];
/// When the address is taken for ours, and answered for.
const USABLE_AFTER: u64 = 5250;
const ANNOUNCEMENTS: u64 = 5;
const ANNOUNCE_INTERVAL: u64 = 2000;
const DEFEND_INTERVAL: u64 = 300_000;
const RESOLVE_INTERVAL: u64 = 1000;
/// Requests after the first one for a neighbour that stays silent.
const RESOLVE_RETRIES: u32 = 2;
const RECOVERY_INTERVAL: u64 = 300_000;

impl Kernel {
    /// Starts duplicate address detection for a unit that has just come up.
    pub(super) fn start_detection(&mut self, id: InterfaceId, unit: u32) {
        self.timers.forget_unit(id, unit);
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        if interface.family == Family::V6 {
            return self.start_detection_v6(id, unit);
        }
        let now = self.timers.now();
        let Some(own) = interface.units.get_mut(&unit) else { return };
        own.usable_from = Some(now + USABLE_AFTER);
        if own.is_unspecified() {
            return;
        }
        for at in PROBE_TIMES {
            self.timers.after(at, id, Event::Probe { unit });
        }
        for index in 0..ANNOUNCEMENTS {
            let repeats = index + 1 == ANNOUNCEMENTS;
            self.timers.after(
                USABLE_AFTER + index * ANNOUNCE_INTERVAL,
                id,
                Event::Announce { unit, repeats },
            );
        }
    }

    pub(super) fn send_probe(&mut self, id: InterfaceId, unit: u32) {
        if let Some((mac, address)) = self.ipv4_of(id, unit) {
            let packet = ArpPacket {
                operation: ArpPacket::REQUEST,
                sender_mac: mac,
                sender_ip: [0; 4],
                target_mac: [0; 6],
                target_ip: address,
            };
            self.send_arp(id, BROADCAST, &packet);
        }
    }

    pub(super) fn send_announcement(&mut self, id: InterfaceId, unit: u32, repeats: bool) {
        self.note_recovery(id, unit);
        if let Some((_, address)) = self.ipv4_of(id, unit) {
            self.send_arp_request(id, address, address);
        }
        if repeats {
            self.timers.after(DEFEND_INTERVAL, id, Event::Announce { unit, repeats });
        }
    }

    fn send_arp_request(&mut self, id: InterfaceId, sender_ip: [u8; 4], target_ip: [u8; 4]) {
        let Some(mac) = self.interfaces.get(&id).map(|interface| interface.mac) else { return };
        let operation = ArpPacket::REQUEST;
        let packet = ArpPacket { operation, sender_mac: mac, sender_ip, target_mac: BROADCAST, target_ip };
        self.send_arp(id, BROADCAST, &packet);
    }

    /// ARP packets leave by the ARP stream; without one they do not leave.
    fn send_arp(&mut self, id: InterfaceId, destination: [u8; 6], packet: &ArpPacket) {
        let Some(interface) = self.interfaces.get(&id) else { return };
        let (Some(stream), name) = (interface.arp_stream, interface.name.clone()) else { return };
        if !self.frame_to_user(stream, destination, &packet.bytes()) {
            self.log(format!("arl_dlpi_pending unsolicited ack for DL_UNITDATA_REQ on {name}"));
        }
    }

    fn ipv4_of(&self, id: InterfaceId, unit: u32) -> Option<([u8; 6], [u8; 4])> {
        let interface = self.interfaces.get(&id)?;
        let address = interface.units.get(&unit)?.address.as_slice().try_into().ok()?;
        Some((interface.mac, address))
    }

    /// An ARP packet that came up an ARP stream.
    pub(super) fn arp_input(&mut self, id: InterfaceId, packet: &[u8]) {
        let Some(packet) = ArpPacket::parse(packet) else { return };
        if self.is_conflict(id, &packet) {
            return;
        }
        let ours = self.usable_unit_with(id, packet.target_ip);
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        let asks_us = packet.operation == ArpPacket::REQUEST && ours;
        let from_somebody = packet.sender_ip != [0; 4];
        if from_somebody && (asks_us || interface.neighbours.contains_key(&packet.sender_ip[..])) {
            self.learn(id, &packet.sender_ip, packet.sender_mac);
        }
        if asks_us {
            self.send_arp_reply(id, &packet);
        }
    }

    fn send_arp_reply(&mut self, id: InterfaceId, request: &ArpPacket) {
        let Some(mac) = self.interfaces.get(&id).map(|interface| interface.mac) else { return };
        let reply = ArpPacket {
            operation: ArpPacket::REPLY,
            sender_mac: mac,
            sender_ip: request.target_ip,
            target_mac: request.sender_mac,
            target_ip: request.sender_ip,
        };
        self.send_arp(id, request.sender_mac, &reply);
    }

    /// Whether the unit with this address is up and its detection is over.
    fn usable_unit_with(&self, id: InterfaceId, address: [u8; 4]) -> bool {
        let now = self.timers.now();
        let Some(interface) = self.interfaces.get(&id) else { return false };
        let usable = |from: Option<u64>| from.is_some_and(|from| from <= now);
        interface
            .units
            .values()
            .any(|unit| unit.is_up() && unit.address == address && usable(unit.usable_from))
    }

    /// Somebody else claims an address that is being detected: the unit goes down and is marked.
    fn is_conflict(&mut self, id: InterfaceId, packet: &ArpPacket) -> bool {
        let now = self.timers.now();
        let Some(interface) = self.interfaces.get(&id) else { return false };
        let claimed =
            interface.units.iter().find(|(_, unit)| unit.is_up() && unit.address == packet.sender_ip);
        let Some((&number, unit)) = claimed else { return false };
        if packet.sender_mac == interface.mac || unit.usable_from.is_none_or(|from| from <= now) {
            return false;
        }
        self.give_up_address(id, number, packet.sender_mac);
        true
    }

    /// Takes an address away that somebody else has; in five minutes it is tried again (`ip_arp_excl`).
    pub(super) fn give_up_address(&mut self, id: InterfaceId, unit: u32, owner: [u8; 6]) {
        let Some(name) = self.interfaces.get(&id).map(|interface| interface.unit_name(unit)) else { return };
        // A trial that fails is not told of again.
        if let Some(own) = self.unit_mut(id, unit).filter(|own| !own.was_duplicate) {
            let (address, owner) = (printed(&own.address), owner.map(|byte| format!("{byte:02x}")).join(":"));
            self.log(format!("{name} has duplicate address {address} (in use by {owner}); disabled"));
        }
        self.bring_down(id, unit);
        self.serve();
        if let Some(own) = self.unit_mut(id, unit) {
            own.flags |= IFF_DUPLICATE;
        }
        self.timers.after(RECOVERY_INTERVAL, id, Event::Recover { unit });
    }

    pub(super) fn unit_mut(&mut self, id: InterfaceId, unit: u32) -> Option<&mut Unit> {
        self.interfaces.get_mut(&id)?.units.get_mut(&unit)
    }

    pub(super) fn recover(&mut self, id: InterfaceId, unit: u32) {
        let Some(own) = self.unit_mut(id, unit) else { return };
        own.flags &= !IFF_DUPLICATE;
        own.was_duplicate = true;
        let flags = own.flags | IFF_UP;
        if self.complete_up(id, unit, flags).is_err()
            && let Some(own) = self.unit_mut(id, unit)
        {
            own.flags |= IFF_DUPLICATE;
        }
    }

    /// Detection has ended without a conflict: an address that was a duplicate is told of.
    pub(super) fn note_recovery(&mut self, id: InterfaceId, unit: u32) {
        let Some(name) = self.interfaces.get(&id).map(|interface| interface.unit_name(unit)) else { return };
        let Some(own) = self.unit_mut(id, unit).filter(|own| own.was_duplicate) else { return };
        own.was_duplicate = false;
        // IP keeps IPv4 addresses in the form of IPv6.
        let address = match <[u8; 4]>::try_from(own.address.as_slice()) {
            Ok(octets) => Ipv4Addr::from(octets).to_ipv6_mapped().to_string(),
            Err(_) => printed(&own.address),
        };
        self.log(format!("recovered address {address} on {name}"));
    }

    /// Notes a neighbour's hardware address and sends what waited for it.
    pub(super) fn learn(&mut self, id: InterfaceId, address: &[u8], mac: [u8; 6]) {
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        let neighbour = interface.neighbours.entry(address.to_vec()).or_default();
        neighbour.mac = Some(mac);
        for packet in std::mem::take(&mut neighbour.waiting) {
            self.send_packet(id, mac, &packet);
        }
    }

    /// Sends packets to a neighbour on the link, resolving its address when it is not known.
    pub(super) fn send_to(&mut self, id: InterfaceId, neighbour: [u8; 4], packets: Vec<Vec<u8>>) {
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        if let Some(mac) = interface.neighbours.get(&neighbour[..]).and_then(|known| known.mac) {
            for packet in packets {
                self.send_packet(id, mac, &packet);
            }
            return;
        }
        let asked = interface.neighbours.contains_key(&neighbour[..]);
        interface
            .neighbours
            .entry(neighbour.to_vec())
            .or_insert_with(Neighbour::default)
            .waiting
            .extend(packets);
        if !asked {
            self.resolve_again(id, &neighbour, RESOLVE_RETRIES + 1);
        }
    }

    /// Asks for a neighbour, unless our own address is still being detected; silence ends it.
    pub(super) fn resolve_again(&mut self, id: InterfaceId, target: &[u8], left: u32) {
        let now = self.timers.now();
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        if interface.neighbours.get(target).is_none_or(|neighbour| neighbour.mac.is_some()) {
            return;
        }
        if left == 0 {
            interface.neighbours.remove(target);
            return;
        }
        let usable = interface
            .units
            .values()
            .find(|unit| unit.is_up() && unit.usable_from.is_some_and(|at| at <= now));
        let sender = usable.and_then(|unit| <[u8; 4]>::try_from(unit.address.as_slice()).ok());
        if let (Some(sender), Ok(wanted)) = (sender, <[u8; 4]>::try_from(target)) {
            self.send_arp_request(id, sender, wanted);
            self.timers.after(
                RESOLVE_INTERVAL,
                id,
                Event::Resolve { target: target.to_vec(), left: left - 1 },
            );
        }
    }

    /// A network-layer packet down the interface's IP stream.
    pub(super) fn send_packet(&mut self, id: InterfaceId, destination: [u8; 6], packet: &[u8]) {
        let Some(interface) = self.interfaces.get(&id) else { return };
        let (stream, name) = (interface.ip_stream, interface.name.clone());
        if !self.frame_to_user(stream, destination, packet) {
            self.log(format!("received unsolicited ack for DL_UNITDATA_REQ on {name}"));
        }
    }
}

/// An address of either family in its usual form.
fn printed(address: &[u8]) -> String {
    match (<[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
        (Ok(octets), _) => Ipv4Addr::from(octets).to_string(),
        (_, Ok(octets)) => Ipv6Addr::from(octets).to_string(),
        _ => String::new(),
    }
}

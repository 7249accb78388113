//! IPv6 as the host does it: duplicate address detection, advertisements, listener reports, solicitations.

use crate::kernel::Kernel;
use crate::kernel::interface::InterfaceId;
use crate::kernel::packet::{multicast_mac, transport_checksum};
use crate::kernel::timers::Event;

/// Times after an address came up, milliseconds, as observed.
const SOLICIT_TIMES: [u64; 2] = [1500, 3000];
const ADVERTISE_TIMES: [u64; 3] = [4500, 6500, 8500];
const REPORT_TIMES: [u64; 2] = [7100, 9100];
/// One more report is sent when an address joins while those of another are still to come.
const EXTRA_REPORT: u64 = 11_100;
const USABLE_AFTER: u64 = 4500;

const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const OVERRIDE: u8 = 0x20;
const SOLICITED: u8 = 0x40;
const SOURCE_OPTION: [u8; 2] = [1, 1];
const TARGET_OPTION: [u8; 2] = [2, 1];

const HEADER: usize = 40;
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const ALL_ROUTERS_V2: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16];

/// The link-local address a hardware address gives.
pub(super) fn link_local_address(mac: [u8; 6]) -> Vec<u8> {
    let mut address = vec![0xfe, 0x80, 0, 0, 0, 0, 0, 0];
    address.extend([mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]]);
    address
}

/// Whether an address is valid on its link only.
pub(super) fn is_link_local(address: &[u8]) -> bool {
    address.first() == Some(&0xfe) && address.get(1).is_some_and(|byte| byte & 0xc0 == 0x80)
}

fn solicited_node(address: &[u8]) -> [u8; 16] {
    let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    group[13..].copy_from_slice(&address[13..16]);
    group
}

impl Kernel {
    pub(super) fn start_detection_v6(&mut self, id: InterfaceId, unit: u32) {
        let now = self.timers.now();
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        let Some(own) = interface.units.get_mut(&unit) else { return };
        own.usable_from = Some(now + USABLE_AFTER);
        let joins_in_between = interface.reports_pending > 0;
        interface.reports_pending += REPORT_TIMES.len() as u32 + u32::from(joins_in_between);
        self.downward.push("M_IOCTL(DLIOCHDRINFO)");
        self.send_solicitation(id, unit);
        self.downward.extend(["M_IOCTL(DLIOCHDRINFO)", "DL_ENABMULTI_REQ", "DL_ENABMULTI_REQ"]);
        for at in SOLICIT_TIMES {
            self.timers.after(at, id, Event::Solicit { unit });
        }
        for at in ADVERTISE_TIMES {
            self.timers.after(at, id, Event::Advertise { unit });
        }
        for at in REPORT_TIMES.into_iter().chain(joins_in_between.then_some(EXTRA_REPORT)) {
            self.timers.after(at, id, Event::Report { unit });
        }
    }

    fn ipv6_of(&self, id: InterfaceId, unit: u32) -> Option<([u8; 6], Vec<u8>)> {
        let interface = self.interfaces.get(&id)?;
        Some((interface.mac, interface.units.get(&unit)?.address.clone()))
    }

    pub(super) fn send_solicitation(&mut self, id: InterfaceId, unit: u32) {
        let Some((_, address)) = self.ipv6_of(id, unit) else { return };
        let group = solicited_node(&address);
        let message = [&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0][..], &address].concat();
        self.send_icmpv6(id, &[0; 16], &group, message);
    }

    pub(super) fn send_advertisement(&mut self, id: InterfaceId, unit: u32) {
        self.note_recovery(id, unit);
        let Some((mac, address)) = self.ipv6_of(id, unit) else { return };
        let message = advertisement(OVERRIDE, &address, mac);
        self.send_icmpv6(id, &address, &ALL_NODES, message);
    }

    /// A version 2 listener report for the group of a unit's address, sent from the link-local address.
    pub(super) fn send_report(&mut self, id: InterfaceId, unit: u32) {
        let Some((_, address)) = self.ipv6_of(id, unit) else { return };
        let Some((_, source)) = self.ipv6_of(id, 0) else { return };
        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.reports_pending = interface.reports_pending.saturating_sub(1);
        }
        let mut message = vec![143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0];
        message.extend(solicited_node(&address));
        fill_checksum(&source, &ALL_ROUTERS_V2, &mut message);
        // A hop-by-hop header with the router alert, padded to 8 bytes.
        let payload = [&[ICMPV6, 0, 5, 2, 0, 0, 0, 0][..], &message].concat();
        let packet = packet(&source, &ALL_ROUTERS_V2, 0, 1, &payload);
        self.send_packet(id, multicast_mac(&ALL_ROUTERS_V2), &packet);
    }

    fn send_icmpv6(&mut self, id: InterfaceId, source: &[u8], group: &[u8], mut message: Vec<u8>) {
        fill_checksum(source, group, &mut message);
        let packet = packet(source, group, ICMPV6, 255, &message);
        self.send_packet(id, multicast_mac(group), &packet);
    }

    /// An IPv6 packet from the guest. The model answers neighbour solicitations and sees conflicts, no more.
    pub(super) fn ipv6_input(&mut self, id: InterfaceId, packet: &[u8]) {
        let Some((source, message)) = icmpv6_of(packet) else { return };
        let Some(target) = message.get(8..24) else { return };
        let now = self.timers.now();
        let Some(interface) = self.interfaces.get(&id) else { return };
        let Some((&number, unit)) =
            interface.units.iter().find(|(_, unit)| unit.is_up() && unit.address == target)
        else {
            return;
        };
        let detecting = unit.usable_from.is_none_or(|from| from > now);
        let has_link_local = interface.units.get(&0).is_some_and(|unit| is_link_local(&unit.address));
        match (message[0], option_mac(message, TARGET_OPTION), option_mac(message, SOURCE_OPTION)) {
            (ADVERTISEMENT, owner, _) if detecting => {
                self.give_up_address(id, number, owner.unwrap_or([0; 6]));
            }
            (SOLICITATION, _, Some(asker)) if !detecting && (has_link_local || !is_link_local(source)) => {
                self.answer_solicitation(id, number, source, asker);
            }
            _ => {}
        }
    }

    fn answer_solicitation(&mut self, id: InterfaceId, unit: u32, asker: &[u8], asker_mac: [u8; 6]) {
        let Some((mac, address)) = self.ipv6_of(id, unit) else { return };
        self.learn(id, asker, asker_mac);
        let mut message = advertisement(SOLICITED | OVERRIDE, &address, mac);
        fill_checksum(&address, asker, &mut message);
        let packet = packet(&address, asker, ICMPV6, 255, &message);
        self.send_packet(id, asker_mac, &packet);
    }
}

fn advertisement(flags: u8, address: &[u8], mac: [u8; 6]) -> Vec<u8> {
    [&[ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0][..], address, &TARGET_OPTION, &mac].concat()
}

fn packet(source: &[u8], destination: &[u8], next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0][..], &length, &[next, hops], source, destination, payload].concat()
}

fn fill_checksum(source: &[u8], destination: &[u8], message: &mut [u8]) {
    let sum = transport_checksum(source, destination, ICMPV6, message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// Source address and message of a well-formed ICMPv6 packet without extension headers.
fn icmpv6_of(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = packet.get(..HEADER).filter(|header| header[0] >> 4 == 6 && header[6] == ICMPV6)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = packet.get(HEADER..HEADER + length)?;
    let good = transport_checksum(&header[8..24], &header[24..40], ICMPV6, message) == 0;
    good.then_some((&header[8..24], message))
}

/// The hardware address in the one option behind the target.
fn option_mac(message: &[u8], kind: [u8; 2]) -> Option<[u8; 6]> {
    message.get(24..26).filter(|option| *option == kind)?;
    message.get(26..32)?.try_into().ok()
}

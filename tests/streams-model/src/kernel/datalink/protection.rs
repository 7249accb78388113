//! Link protection: what a link may send.

use std::net::Ipv4Addr;

use crate::abi::{
    ETHERTYPE_ARP, ETHERTYPE_IP, ETHERTYPE_IPV6, MPT_IPNOSPOOF, MPT_MACNOSPOOF, MPT_RESTRICTED,
};
use crate::kernel::datalink::Link;
use crate::kernel::datalink::frame::Header;

/// Bytes of `mac_protect_t`, and where its addresses begin.
pub(super) const PROTECTION_LEN: usize = 9228;
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

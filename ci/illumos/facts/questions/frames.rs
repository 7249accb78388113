//! The few frames that a guest sends here, and what they are answered with.

use tap_plumb::internet_checksum;

use super::interface::{GUEST, HOST};

/// Locally administered.
pub(crate) const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ARP: u16 = 0x0806;
const IP: u16 = 0x0800;

fn ethernet(to: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &GUEST_MAC, &kind.to_be_bytes(), payload].concat()
}

/// The guest asks who has the host's address.
pub(crate) fn arp_request() -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    ethernet([0xff; 6], ARP, &[&fixed[..], &GUEST_MAC, &GUEST, &[0; 6], &HOST].concat())
}

/// The guest pings the host, 98 bytes.
pub(crate) fn echo_request(to: [u8; 6]) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0, 7, 0, 1][..], &[0x55; 56]].concat();
    let sum = internet_checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut ip = [&[0x45, 0, 0, 84, 0, 1, 0, 0, 64, 1, 0, 0][..], &GUEST, &HOST].concat();
    let sum = internet_checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(to, IP, &[ip, icmp].concat())
}

/// What a frame of the host is to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Does anybody have this address? Its sender's is zero.
    Probe,
    /// This is my address; asked as a question nobody is to answer.
    Announcement,
    ArpReply,
    ArpRequest,
    EchoReply {
        /// Both checksums are complete.
        complete: bool,
    },
    Other,
}

pub(crate) fn kind_of(frame: &[u8]) -> Kind {
    let word = |at: usize| frame.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let four = |at: usize| frame.get(at..at + 4);
    match (word(12), word(20), frame.get(34)) {
        (Some(ARP), Some(1), _) if four(28) == Some(&[0; 4]) => Kind::Probe,
        (Some(ARP), Some(1), _) if four(28) == four(38) => Kind::Announcement,
        (Some(ARP), Some(1), _) => Kind::ArpRequest,
        (Some(ARP), ..) => Kind::ArpReply,
        (Some(IP), _, Some(0)) => {
            let complete = internet_checksum(&frame[14..34]) == 0 && internet_checksum(&frame[34..]) == 0;
            Kind::EchoReply { complete }
        }
        _ => Kind::Other,
    }
}

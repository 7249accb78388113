//! What a guest behind a tap device sends.

pub(crate) const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

fn ethernet(destination: [u8; 6], source: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &kind.to_be_bytes(), payload].concat()
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An ARP request for `target` by the guest at `sender`.
pub(crate) fn arp_request(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    let packet = [&fixed[..], &GUEST_MAC, &sender, &[0; 6], &target].concat();
    ethernet(BROADCAST, GUEST_MAC, 0x0806, &packet)
}

/// An ICMP echo request of `length` bytes of frame.
pub(crate) fn echo_request(host_mac: [u8; 6], from: [u8; 4], to: [u8; 4], length: usize) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    icmp.extend((0..length - 42).map(|index| index as u8));
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    ethernet(host_mac, GUEST_MAC, 0x0800, &ipv4(from, to, 1, &icmp))
}

fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(((20 + payload.len()) as u16).to_be_bytes());
    header.extend([0, 7, 0, 0, 64, protocol, 0, 0]);
    header.extend(from);
    header.extend(to);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&header[..], payload].concat()
}

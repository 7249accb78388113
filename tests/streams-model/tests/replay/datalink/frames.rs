//! The frames the observer made, from what the record keeps of them.

use super::super::line::Line;

pub(super) const SIM1: [u8; 6] = [2, 8, 0x20, 0, 0, 2];
/// Bytes of a frame the record keeps.
const KEPT: usize = 20;
/// From here on the observer's frames are zero.
const ZEROS_FROM: usize = 60000;
/// Addresses, ports and payload of the observer's packets.
const PACKET_SENDER: [u8; 4] = [10, 0, 0, 9];
const PACKET_TARGET: [u8; 4] = [10, 0, 0, 5];
const PORTS: [u8; 4] = [0x30, 0x39, 0, 0x50];
const TCP: u8 = 6;
const UDP: u8 = 17;

pub(super) fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).map_while(byte).collect()
}

pub(super) fn mac_of(hex: &str) -> Option<[u8; 6]> {
    bytes_of(hex).try_into().ok()
}

/// A frame of this length: byte i is i, but for the header and the number the payload begins with.
pub(super) fn numbered(length: usize, head: &[u8], number: u8) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length).map(|at| if at < ZEROS_FROM { at as u8 } else { 0 }).collect();
    let kept = head.len().min(length);
    frame[..kept].copy_from_slice(&head[..kept]);
    if head.len() <= 14 && length > 14 {
        frame[14] = number;
    }
    frame
}

pub(super) fn header(destination: [u8; 6], source: [u8; 6], kind: u16) -> Vec<u8> {
    [&destination[..], &source, &kind.to_be_bytes()].concat()
}

/// The frame a line writes, rebuilt from the 20 bytes it keeps.
pub(super) fn written(line: &Line, length: usize) -> Option<Vec<u8>> {
    let head = bytes_of(line.note.strip_prefix("frame=")?);
    let is_packet = head.get(12..16) == Some(&[8, 0, 0x45, 0]) && head.len() == KEPT;
    if is_packet && usize::from(u16::from_be_bytes([head[16], head[17]])) + 14 == length {
        return Some(packet(line, &head, length));
    }
    Some(numbered(length, &head, 0))
}

/// A packet whose bytes the record does not keep: only its checksums matter.
fn packet(line: &Line, head: &[u8], length: usize) -> Vec<u8> {
    let protocol = if line.args.contains("TCP") { TCP } else { UDP };
    let told =
        line.args.split("from ").nth(1).and_then(|rest| rest.trim().parse::<std::net::Ipv4Addr>().ok());
    let sender = told.map_or(PACKET_SENDER, |address| address.octets());
    let mut ip = head[14..KEPT].to_vec();
    ip.extend([0, 0, 64, protocol, 0, 0]);
    ip.extend(sender);
    ip.extend(PACKET_TARGET);
    let sum = internet_checksum(&[&ip]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut segment = PORTS.to_vec();
    let total = (length - 34) as u16;
    if protocol == TCP {
        segment.extend([0, 1, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0x40, 0, 0, 0, 0, 0]);
    } else {
        segment.extend(total.to_be_bytes());
        segment.extend([0, 0]);
    }
    let payload = length - 34 - segment.len();
    segment.extend((0..payload).map(|at| (1 + 7 * at) as u8));
    let pseudo = [&ip[12..20], &[0, protocol], &total.to_be_bytes()].concat();
    let unfinished = line.args.contains("pseudo-header");
    let sum =
        if unfinished { !internet_checksum(&[&pseudo]) } else { internet_checksum(&[&pseudo, &segment]) };
    let field = if protocol == TCP { 16 } else { 6 };
    segment[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    [&head[..14], &ip, &segment].concat()
}

/// The whole of a frame that the record cuts: its last bytes go on in the same steps.
pub(super) fn continued(hex: &str, length: usize) -> Vec<u8> {
    let mut frame = bytes_of(hex);
    frame.truncate(length);
    let step = match frame[..] {
        [.., before, last] => last.wrapping_sub(before),
        _ => 0,
    };
    while frame.len() < length {
        frame.push(frame.last().copied().unwrap_or(0).wrapping_add(step));
    }
    frame
}

pub(super) fn internet_checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for pair in pieces.iter().flat_map(|piece| piece.chunks(2)) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

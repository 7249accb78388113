//! The frames the observer made, from what the record keeps of them, and the record's words for messages and frames.

use std::fmt::Write as _;

use streams_model::abi;

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
        return Some(packet_of(line, &head, length));
    }
    Some(numbered(length, &head, 0))
}

/// A packet whose bytes the record does not keep: only its checksums matter.
fn packet_of(line: &Line, head: &[u8], length: usize) -> Vec<u8> {
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

/// The names of the stations on the network.
const NAMES: &[([u8; 6], &str)] = &[
    ([2, 8, 0x20, 0, 0, 1], "sim0"),
    ([2, 8, 0x20, 0, 0, 2], "sim1"),
    ([2, 8, 0x20, 0, 1, 0], "vnic0"),
    ([2, 8, 0x20, 0, 1, 1], "vnic1"),
    ([2, 8, 0x20, 0, 9, 9], "foreign"),
    ([0xff; 6], "bcast"),
    ([1, 0, 0x5e, 0, 0, 0x51], "mcast1"),
    ([1, 0, 0x5e, 0, 0, 0x52], "mcast2"),
];
/// Primitives that the model has no name for: it refuses them all.
const OTHER_PRIMITIVES: &[(u32, &str)] = &[
    (0xd, "DL_CONNECT_REQ"),
    (0x1b, "DL_SUBS_BIND_REQ"),
    (0x29, "DL_XID_REQ"),
    (0x2d, "DL_TEST_REQ"),
    (0x34, "DL_GET_STATISTICS_REQ"),
];
/// DLPI errors, which share their numbers with other things.
const ERRORS: &[(u32, &str)] = &[
    (0x1, "DL_BADADDR"),
    (0x3, "DL_OUTSTATE"),
    (0x4, "DL_SYSERR"),
    (0x6, "DL_BADDATA"),
    (0x7, "DL_UNSUPPORTED"),
    (0x8, "DL_BADPPA"),
    (0x9, "DL_BADPRIM"),
    (0xa, "DL_BADQOSPARAM"),
    (0xb, "DL_BADQOSTYPE"),
    (0x12, "DL_NOTSUPPORTED"),
    (0x14, "DL_NOTENAB"),
    (0x16, "DL_NOAUTO"),
];
/// Bytes of an address an indication's words show.
const SHOWN: usize = 16;

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn word(control: &[u8], index: usize) -> u32 {
    let bytes = control.get(index * 4..index * 4 + 4).unwrap_or(&[0; 4]);
    u32::from_le_bytes(bytes.try_into().unwrap_or_default())
}

fn name_in(table: &[(u32, &str)], value: u32) -> String {
    let found = table.iter().find(|(known, _)| *known == value);
    found.map_or_else(|| format!("{value:#x}"), |(_, name)| (*name).to_owned())
}

fn primitive(value: u32) -> String {
    match OTHER_PRIMITIVES.iter().find(|(known, _)| *known == value) {
        Some((_, name)) => (*name).to_owned(),
        None if abi::DLPI_PRIMITIVES.iter().any(|(_, known)| *known == i64::from(value)) => {
            abi::primitive_name(value)
        }
        None => format!("prim_{value:#x}"),
    }
}

fn note(value: u32) -> String {
    let found = abi::DLPI_NOTES.iter().find(|(_, known)| *known == i64::from(value));
    found.map_or_else(|| format!("{value:#x}"), |(name, _)| (*name).to_owned())
}

/// Bytes that a message's words point at, by offset and length.
fn pointed(control: &[u8], length_index: usize, offset_index: usize) -> &[u8] {
    let (length, offset) = (word(control, length_index) as usize, word(control, offset_index) as usize);
    control.get(offset..offset + length).unwrap_or(&[])
}

/// A control part, decoded.
pub(super) fn decoded(control: &[u8]) -> String {
    let kind = word(control, 0);
    let name = primitive(kind);
    match kind {
        abi::DL_OK_ACK => format!("{name} of {}", primitive(word(control, 1))),
        abi::DL_ERROR_ACK => {
            let (of, why) = (primitive(word(control, 1)), name_in(ERRORS, word(control, 2)));
            format!("{name} of {of}: {why} unix_errno={}", word(control, 3))
        }
        abi::DL_NOTIFY_IND => {
            let address = pointed(control, 3, 4);
            let shown = &address[..address.len().min(SHOWN)];
            let shown = if shown.is_empty() { "-".to_owned() } else { hex(shown) };
            format!("{name} {} data={} addr={shown}", note(word(control, 1)), word(control, 2))
        }
        abi::DL_UNITDATA_IND => {
            let (to, from) = (hex(pointed(control, 1, 2)), hex(pointed(control, 3, 4)));
            format!("{name} dst={to} src={from} group={}", word(control, 5))
        }
        abi::DL_UDERROR_IND => format!("{name} {}", name_in(ERRORS, word(control, 4))),
        abi::DL_NOTIFY_ACK => format!("{name} supported={:#x}", word(control, 1)),
        abi::DL_PHYS_ADDR_ACK => {
            let address = hex(pointed(control, 1, 2));
            format!("{name} len={} off={} addr={address}", word(control, 1), word(control, 2))
        }
        abi::DL_BIND_ACK => {
            let address = hex(pointed(control, 2, 3));
            let (sap, conind, xidtest) = (word(control, 1), word(control, 4), word(control, 5));
            format!("{name} sap={sap:#x} addr={address} max_conind={conind} xidtest={xidtest}")
        }
        _ => name,
    }
}

fn station(address: &[u8]) -> String {
    let found = NAMES.iter().find(|(known, _)| known[..] == *address);
    found.map_or_else(|| hex(address), |(_, name)| (*name).to_owned())
}

/// A frame in one group of braces.
pub(super) fn in_words(frame: &[u8]) -> String {
    let Some(head) = frame.get(..14) else { return format!("{{{} {}}}", frame.len(), hex(frame)) };
    let payload = &frame[14..frame.len().min(18)];
    let (from, to) = (station(&head[6..12]), station(&head[..6]));
    format!("{{{} {from}>{to} {} {}}}", frame.len(), hex(&head[12..]), hex(payload))
}

/// A frame that carries a packet, with the verdict on its checksums.
pub(super) fn packet_in_words(bytes: &[u8]) -> String {
    let Some(ip) = bytes.get(14..34) else { return in_words(bytes) };
    let (from, to) = (station(&bytes[6..12]), station(&bytes[..6]));
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let right = |is_right: bool| if is_right { "right" } else { "wrong" };
    let header = right(internet_checksum(&[ip]) == 0);
    let segment = bytes.get(34..(14 + total).min(bytes.len())).unwrap_or(&[]);
    let pseudo = [&ip[12..20], &[0, ip[9]], &(segment.len() as u16).to_be_bytes()].concat();
    let transport = right(internet_checksum(&[&pseudo, segment]) == 0);
    let name = if ip[9] == 6 { "tcp" } else { "udp" };
    format!(
        "{{{} {from}>{to} ip total {total}, ip header checksum {header}, {name} checksum {transport}}}",
        bytes.len()
    )
}

/// Whether the record's digits are those of the bytes; masked ones match anything.
pub(super) fn digits_match(observed: &str, bytes: &[u8]) -> bool {
    let model = hex(bytes);
    observed.len() <= model.len()
        && observed.chars().zip(model.chars()).all(|(seen, own)| seen == own || matches!(seen, 'K' | 'U'))
}

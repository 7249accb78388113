//! Ethernet frames as the data link layer sees them: header, VLAN tag, length field.

use crate::abi::{ETHERMTU, ETHERTYPE_VLAN};
use crate::kernel::packet::{BROADCAST, ETHER_HEADER};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Bytes of a VLAN tag.
pub(super) const TAG: usize = 4;
/// Bytes of the two addresses.
pub(super) const ADDRESSES: usize = 12;
/// Bytes of a frame on a wire, without its check sequence, at the least.
pub(super) const MINIMUM_ON_WIRE: usize = 60;
/// The bit of a tag that says the addresses are in another order; such a frame is refused.
const CANONICAL: u16 = 0x1000;

/// The kind of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unicast,
    Multicast,
    Broadcast,
}

/// A header, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) destination: Mac,
    pub(super) source: Mac,
    pub(super) kind: Kind,
    /// The type behind the tag, or the length.
    pub(super) field: u16,
    /// The type streams are bound to; 0 for every frame with a length field.
    pub(super) sap: u16,
    pub(super) tag: Option<u16>,
    pub(super) length: usize,
    /// The whole frame's length, when its field tells.
    told_length: Option<usize>,
}

impl Header {
    /// Takes the header of a frame apart; nothing when it is cut off.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let outer = u16::from_be_bytes(frame.get(ADDRESSES..ETHER_HEADER)?.try_into().ok()?);
        let destination: Mac = frame.get(..6)?.try_into().ok()?;
        let mut header = Self {
            destination,
            source: frame.get(6..ADDRESSES)?.try_into().ok()?,
            kind: kind_of(destination),
            field: outer,
            sap: sap_of(outer),
            tag: None,
            length: ETHER_HEADER,
            told_length: (usize::from(outer) <= ETHERMTU as usize).then(|| ETHER_HEADER + usize::from(outer)),
        };
        if outer == ETHERTYPE_VLAN {
            let tag = u16::from_be_bytes(frame.get(ETHER_HEADER..ETHER_HEADER + 2)?.try_into().ok()?);
            let inner = u16::from_be_bytes(frame.get(ETHER_HEADER + 2..ETHER_HEADER + TAG)?.try_into().ok()?);
            if tag & CANONICAL != 0 {
                return None;
            }
            header.field = inner;
            header.sap = if is_bindable(inner) { sap_of(inner) } else { ETHERTYPE_VLAN };
            header.tag = Some(tag);
            header.length += TAG;
        }
        Some(header)
    }

    pub(super) fn vid(&self) -> u16 {
        self.tag.map_or(0, vid_of)
    }

    pub(super) fn priority(&self) -> u8 {
        self.tag.map_or(0, priority_of)
    }

    pub(super) fn is_group(&self) -> bool {
        self.kind != Kind::Unicast
    }

    /// The frame without what was padded behind its length field.
    pub(super) fn trimmed<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        match self.told_length {
            // A field of 0 tells a length of 14, not that there is none.
            Some(told) if told < frame.len() => &frame[..told],
            _ => frame,
        }
    }
}

fn kind_of(destination: Mac) -> Kind {
    if destination == BROADCAST {
        Kind::Broadcast
    } else if is_group(destination) {
        Kind::Multicast
    } else {
        Kind::Unicast
    }
}

pub(super) fn is_group(address: Mac) -> bool {
    address[0] & 1 != 0
}

/// Whether a stream can be bound to a type or length: between the two lies a gap.
pub(super) fn is_bindable(sap: u16) -> bool {
    sap <= ETHERMTU as u16 || sap >= 0x600
}

/// What a frame with this field is entered under.
pub(super) fn sap_of(field: u16) -> u16 {
    if field <= ETHERMTU as u16 { 0 } else { field }
}

pub(super) fn vid_of(tag: u16) -> u16 {
    tag & 0xfff
}

pub(super) fn priority_of(tag: u16) -> u8 {
    (tag >> 13) as u8
}

/// The VLAN of a frame whose header need not be whole: 0 when it is not tagged.
pub(super) fn vid_of_frame(frame: &[u8]) -> u16 {
    tag_of(frame).map_or(0, vid_of)
}

fn tag_of(frame: &[u8]) -> Option<u16> {
    let outer = frame.get(ADDRESSES..ETHER_HEADER)?;
    let tag = frame.get(ETHER_HEADER..ETHER_HEADER + 2)?;
    (outer == ETHERTYPE_VLAN.to_be_bytes()).then(|| u16::from_be_bytes([tag[0], tag[1]]))
}

/// The frame with a tag put in, or with the tag it has overwritten.
pub(super) fn with_tag(frame: &[u8], tag: u16) -> Vec<u8> {
    let rest = if tag_of(frame).is_some() { ETHER_HEADER + 2 } else { ADDRESSES };
    [&frame[..ADDRESSES], &ETHERTYPE_VLAN.to_be_bytes(), &tag.to_be_bytes(), &frame[rest..]].concat()
}

/// The frame without its tag.
pub(super) fn without_tag(frame: &[u8]) -> Vec<u8> {
    match tag_of(frame) {
        Some(_) => [&frame[..ADDRESSES], frame.get(ADDRESSES + TAG..).unwrap_or(&[])].concat(),
        None => frame.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTAGGED: [u8; 18] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 9, 9, 9, 9];

    #[test]
    fn a_tag_put_in_is_taken_out_again() {
        let tagged = with_tag(&UNTAGGED, 0x6005);
        let header = Header::parse(&tagged).expect("a header");
        assert_eq!((header.vid(), header.priority(), header.sap, header.length), (5, 3, 0x800, 18));
        assert_eq!(without_tag(&tagged), UNTAGGED);
        assert_eq!(vid_of_frame(&with_tag(&tagged, 7)), 7);
    }

    #[test]
    fn a_length_field_tells_where_a_frame_ends() {
        let mut frame = [0; 60];
        frame[13] = 38;
        let header = Header::parse(&frame).expect("a header");
        assert_eq!((header.sap, header.trimmed(&frame).len()), (0, 52));
        frame[13] = 0;
        assert_eq!(Header::parse(&frame).expect("a header").trimmed(&frame).len(), 14);
    }

    #[test]
    fn a_header_that_is_cut_off_is_none() {
        assert_eq!(Header::parse(&UNTAGGED[..13]), None);
        assert_eq!(Header::parse(&with_tag(&UNTAGGED, 5)[..17]), None);
    }
}

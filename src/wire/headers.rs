//! Byte positions of the headers that are read or rewritten, and a reader that checks lengths.

use crate::wire::reject::RejectReason;

/// IEEE 802.3, 802.1Q.
pub(crate) mod ethernet {
    pub(crate) const LEN: usize = 14;
    pub(crate) const TYPE: usize = 12;
    pub(crate) const TAG_LEN: usize = 4;
    /// As many as Linux follows.
    pub(crate) const MOST_TAGS: usize = 8;
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const IPV6: u16 = 0x86dd;
    pub(crate) const VLAN: u16 = 0x8100;
    pub(crate) const SERVICE_VLAN: u16 = 0x88a8;
}

/// RFC 791; numbers count from the start of the header.
pub(crate) mod ipv4 {
    use std::ops::Range;

    pub(crate) const LEN: usize = 20;
    pub(crate) const LONGEST: usize = 60;
    pub(crate) const TOTAL_LENGTH: usize = 2;
    pub(crate) const IDENTIFICATION: usize = 4;
    pub(crate) const FRAGMENT: usize = 6;
    pub(crate) const TIME_TO_LIVE: usize = 8;
    pub(crate) const PROTOCOL: usize = 9;
    pub(crate) const CHECKSUM: usize = 10;
    pub(crate) const ADDRESSES: Range<usize> = 12..20;
    pub(crate) const MORE_FRAGMENTS: u16 = 0x2000;
    pub(crate) const FRAGMENT_OFFSET: u16 = 0x1fff;
    pub(crate) const FRAGMENT_UNIT: usize = 8;
}

/// RFC 8200.
pub(crate) mod ipv6 {
    use std::ops::Range;

    pub(crate) const LEN: usize = 40;
    pub(crate) const PAYLOAD_LENGTH: usize = 4;
    pub(crate) const NEXT_HEADER: usize = 6;
    pub(crate) const ADDRESSES: Range<usize> = 8..40;
    /// Extension headers are measured in these, and the first one is not counted.
    pub(crate) const UNIT: usize = 8;
    pub(crate) const SEGMENTS_LEFT: usize = 3;
    /// RFC 6275 6.3.
    pub(crate) const HOME_ADDRESS_OPTION: u8 = 0xc9;
}

/// RFC 9293.
pub(crate) mod tcp {
    pub(crate) const LEN: usize = 20;
    pub(crate) const LONGEST: usize = 60;
    pub(crate) const SEQUENCE: usize = 4;
    pub(crate) const DATA_OFFSET: usize = 12;
    pub(crate) const FLAGS: usize = 13;
    pub(crate) const CHECKSUM: usize = 16;
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const PSH: u8 = 0x08;
    /// RFC 3168.
    pub(crate) const CWR: u8 = 0x80;
}

/// RFC 768.
pub(crate) mod udp {
    pub(crate) const LEN: usize = 8;
    pub(crate) const LENGTH: usize = 4;
    pub(crate) const CHECKSUM: usize = 6;
}

/// <https://www.iana.org/assignments/protocol-numbers>
pub(crate) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const IPV6: u8 = 41;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const DESTINATION_OPTIONS: u8 = 60;
}

/// The first bytes of a frame, and how long the whole is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front<'h> {
    pub(crate) bytes: &'h [u8],
    pub(crate) frame_len: usize,
}

impl Front<'_> {
    /// Reads `N` bytes at `at`. A frame that ends before is cut short; bytes that were not fetched make headers too long.
    pub(crate) fn read<const N: usize>(&self, at: usize) -> Result<[u8; N], RejectReason> {
        match self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => Ok(*bytes),
            None if at + N > self.frame_len => Err(RejectReason::Truncated),
            None => Err(RejectReason::HeadersTooLong),
        }
    }

    pub(crate) fn byte(&self, at: usize) -> Result<u8, RejectReason> {
        self.read::<1>(at).map(|[byte]| byte)
    }

    pub(crate) fn word(&self, at: usize) -> Result<u16, RejectReason> {
        self.read(at).map(u16::from_be_bytes)
    }
}

/// Overwrites 16 bits of a header whose length has been checked.
#[inline]
pub(crate) fn put_word(header: &mut [u8], at: usize, value: u16) {
    header[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

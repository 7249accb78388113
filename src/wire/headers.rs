//! Byte positions of the headers that are read or rewritten.
#![expect(unreachable_pub, reason = "a table: its one door is the module")]

/// IEEE 802.3, 802.1Q.
pub mod ethernet {
    pub const LEN: usize = 14;
    pub const TYPE: usize = 12;
    pub const TAG_LEN: usize = 4;
    /// As many as Linux follows.
    pub const MOST_TAGS: usize = 8;
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const SERVICE_VLAN: u16 = 0x88a8;
}

/// RFC 791; numbers count from the start of the header.
pub mod ipv4 {
    use std::ops::Range;

    pub const LEN: usize = 20;
    pub const LONGEST: usize = 60;
    pub const TOTAL_LENGTH: usize = 2;
    pub const IDENTIFICATION: usize = 4;
    pub const FRAGMENT: usize = 6;
    pub const PROTOCOL: usize = 9;
    pub const CHECKSUM: usize = 10;
    pub const ADDRESSES: Range<usize> = 12..20;
    pub const MORE_FRAGMENTS: u16 = 0x2000;
    pub const FRAGMENT_OFFSET: u16 = 0x1fff;
    pub const FRAGMENT_UNIT: usize = 8;
    pub const NO_OPERATION: u8 = 1;
    pub const LOOSE_ROUTE: u8 = 131;
    pub const STRICT_ROUTE: u8 = 137;
    /// Where an option has its length, and a source route the pointer to its next address, which counts bytes from 1.
    pub const OPTION_LENGTH: usize = 1;
    pub const ROUTE_POINTER: usize = 2;
}

/// RFC 8200.
pub mod ipv6 {
    use std::ops::Range;

    pub const LEN: usize = 40;
    pub const PAYLOAD_LENGTH: usize = 4;
    pub const NEXT_HEADER: usize = 6;
    pub const ADDRESSES: Range<usize> = 8..40;
    /// Extension headers are measured in these, and the first one is not counted.
    pub const UNIT: usize = 8;
    pub const SEGMENTS_LEFT: usize = 3;
    /// The fragment header (RFC 8200 4.5): next header, a reserved byte, offset and flag, identification.
    pub const FRAGMENT_HEADER: usize = 8;
    pub const FRAGMENT_OFFSET: usize = 2;
    pub const IDENTIFICATION: usize = 4;
    /// The offset counts units of 8 bytes and stands above three bits. So an offset in bytes can be stored as it is.
    pub const MORE_FRAGMENTS: u16 = 1;
    /// RFC 6275 6.3.
    pub const HOME_ADDRESS_OPTION: u8 = 0xc9;
}

/// RFC 9293.
pub mod tcp {
    pub const LEN: usize = 20;
    pub const LONGEST: usize = 60;
    pub const SEQUENCE: usize = 4;
    pub const DATA_OFFSET: usize = 12;
    pub const FLAGS: usize = 13;
    pub const CHECKSUM: usize = 16;
    pub const FIN: u8 = 0x01;
    pub const PSH: u8 = 0x08;
    /// RFC 3168.
    pub const CWR: u8 = 0x80;
}

/// RFC 768.
pub mod udp {
    pub const LEN: usize = 8;
    pub const LENGTH: usize = 4;
    pub const CHECKSUM: usize = 6;
}

/// <https://www.iana.org/assignments/protocol-numbers>
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION_OPTIONS: u8 = 60;
}

/// Overwrites 16 bits of a header whose length has been checked.
#[inline]
pub fn put_word(header: &mut [u8], at: usize, value: u16) {
    header[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

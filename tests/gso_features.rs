//! Feature bits of a virtio network device and offloads, both ways.

use tap_plumb::Offload;

const CSUM: u64 = 1;
const GUEST_CSUM: u64 = 1 << 1;
const GUEST_TSO4: u64 = 1 << 7;
const GUEST_TSO6: u64 = 1 << 8;
const GUEST_ECN: u64 = 1 << 9;
const GUEST_UFO: u64 = 1 << 10;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const HOST_ECN: u64 = 1 << 13;
const HOST_UFO: u64 = 1 << 14;
const MRG_RXBUF: u64 = 1 << 15;
const VERSION_1: u64 = 1 << 32;
const GUEST_USO4: u64 = 1 << 54;
const GUEST_USO6: u64 = 1 << 55;
const HOST_USO: u64 = 1 << 56;
const TRANSMIT: u64 = CSUM | HOST_TSO4 | HOST_TSO6 | HOST_ECN | HOST_USO;
const RECEIVE: u64 = GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN | GUEST_USO4 | GUEST_USO6;

/// The flags of an offload, in the order of its fields.
fn flags(offload: Offload) -> [bool; 5] {
    [offload.checksum, offload.tcp4, offload.tcp6, offload.tcp_ecn, offload.udp]
}

/// Row B16.
#[test]
fn acknowledged_bits_become_offloads() {
    let table = [
        (0, [false; 5]),
        (GUEST_CSUM, [true, false, false, false, false]),
        (GUEST_CSUM | GUEST_TSO4, [true, true, false, false, false]),
        (GUEST_CSUM | GUEST_TSO6 | GUEST_ECN, [true, false, true, true, false]),
        (GUEST_CSUM | GUEST_TSO4 | GUEST_ECN, [true, true, false, true, false]),
        (GUEST_CSUM | GUEST_USO4 | GUEST_USO6, [true, false, false, false, true]),
        (RECEIVE, [true; 5]),
        // A bit without what it depends on.
        (RECEIVE & !GUEST_CSUM, [false; 5]),
        (GUEST_CSUM | GUEST_ECN, [true, false, false, false, false]),
        (GUEST_CSUM | GUEST_USO4, [true, false, false, false, false]),
        (GUEST_CSUM | GUEST_USO6, [true, false, false, false, false]),
        // What a guest may send, and fragments, say nothing about receiving.
        (TRANSMIT | GUEST_UFO | HOST_UFO, [false; 5]),
    ];
    for (bits, expected) in table {
        assert_eq!(flags(Offload::from_virtio_features(bits)), expected, "{bits:#x}");
    }
}

/// Row B16.
#[test]
fn the_header_has_room_for_a_buffer_count_where_there_is_one() {
    for (bits, len) in [(0, 10), (VERSION_1, 12), (MRG_RXBUF, 12), (VERSION_1 | MRG_RXBUF, 12), (RECEIVE, 10)]
    {
        assert_eq!(Offload::from_virtio_features(bits).header_len, len);
    }
}

/// Row B16.
#[test]
fn what_is_offered_needs_nothing_that_is_not() {
    assert_eq!(Offload::NONE.virtio_features(), TRANSMIT);
    assert_eq!(Offload::ALL.virtio_features(), TRANSMIT | RECEIVE);
    let mut ecn = Offload::NONE;
    (ecn.checksum, ecn.tcp_ecn, ecn.tcp4) = (true, true, true);
    assert_eq!(
        ecn.virtio_features(),
        TRANSMIT | GUEST_CSUM | GUEST_TSO4 | GUEST_ECN,
        "one kind of TCP is enough"
    );
    for bits in 0..32_u8 {
        let has = |bit: u8| bits & 1 << bit != 0;
        let mut offload = Offload::NONE;
        (offload.checksum, offload.tcp4, offload.tcp6) = (has(0), has(1), has(2));
        (offload.tcp_ecn, offload.udp) = (has(3), has(4));
        let offered = offload.virtio_features();
        let back = Offload::from_virtio_features(offered);
        assert_eq!(back.virtio_features(), offered, "{offload:?}");
        assert_eq!(back.checksum, offload.checksum);
        assert_eq!(offered & (GUEST_UFO | HOST_UFO), 0, "fragments are never offered");
        assert_eq!(offered & TRANSMIT, TRANSMIT, "software does what the host cannot");
    }
}

#[test]
fn a_header_of_its_own_has_one_of_two_lengths() {
    for len in [10, 12] {
        let offload = Offload::with_header(len).unwrap();
        assert_eq!((offload.header_len, flags(offload)), (len, [false; 5]));
    }
    for len in [0, 9, 11, 13, 20] {
        assert_eq!(Offload::with_header(len), None);
    }
}

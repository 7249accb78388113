//! Which frames arrive, by the levels of promiscuity, and what a neighbour's IP leaves to the hardware.

use streams_model::abi::{
    DL_PROMISC_MULTI as MULTI, DL_PROMISC_PHYS as PHYS, DL_PROMISC_RX_ONLY as RX_ONLY, DL_PROMISC_SAP as SAP,
};
use streams_model::{LinkClass, Offload, Offloads, abi};

use super::{
    BROADCAST, Datalink, FAR, FOREIGN, GROUP, NIC, OTHER, OWN, PATH, RECOMMENDED, bold_network, frame,
    network, words,
};

/// Levels, then how often each arrives: unicast of the bound type and of another, broadcast of both, multicast that
/// nobody enabled, and whether the NIC lets all in.
type Row = (&'static [u32], [usize; 5], usize);

const TABLE: &[Row] = &[
    (&[], [1, 0, 1, 0, 0], 0),
    (&[SAP], [1, 1, 1, 1, 0], 0),
    (&[SAP, RX_ONLY], [1, 1, 1, 1, 0], 0),
    (&[SAP, MULTI], [1, 1, 1, 1, 1], 1),
    (&[SAP, MULTI, RX_ONLY], [1, 1, 1, 1, 1], 1),
    (&[MULTI], [1, 0, 2, 0, 1], 1),
    (&[MULTI, RX_ONLY], [0, 0, 1, 0, 1], 1),
    (&[RX_ONLY], [0, 0, 0, 0, 0], 0),
    (&[PHYS], [1, 0, 1, 0, 1], 1),
    (&[PHYS, SAP], [1, 1, 1, 1, 1], 1),
    (&[PHYS, RX_ONLY], [1, 0, 1, 0, 1], 1),
    (&[PHYS, SAP, MULTI, RX_ONLY], [1, 1, 1, 1, 1], 1),
];

#[test]
fn the_table_of_what_arrives() {
    for (levels, expected, promiscuity) in TABLE {
        let mut caller = bold_network();
        // Bound first: levels set before the binding enter the stream under no type.
        let fd = caller.attach(PATH, &[], 0x800);
        for level in *levels {
            caller.ask(fd, &words(&[abi::DL_PROMISCON_REQ, *level]));
        }
        let sent = [(OWN, 0x800), (OWN, 0x806), (BROADCAST, 0x800), (BROADCAST, 0x806), (GROUP, 0x800)];
        let seen = sent.map(|(to, kind)| {
            caller.kernel.wire_brings("net0", &frame(to, FAR, kind, 60)).expect("a NIC");
            caller.drain(fd).len()
        });
        assert_eq!(seen, *expected, "{levels:?}");
        assert_eq!(caller.kernel.datalink_states()[1].promiscuity, *promiscuity, "{levels:?}");
    }
}

#[test]
fn neighbours_frames_arrive_like_those_of_the_wire() {
    for (levels, expected, _) in TABLE {
        let mut caller = bold_network();
        let fd = caller.attach(PATH, &[], 0x800);
        for level in *levels {
            caller.ask(fd, &words(&[abi::DL_PROMISCON_REQ, *level]));
        }
        let sent = [(OWN, 0x800), (OWN, 0x806), (BROADCAST, 0x800), (BROADCAST, 0x806), (GROUP, 0x800)];
        let seen = sent.map(|(to, kind)| {
            caller.kernel.link_sends("vnic1", &frame(to, OTHER, kind, 60)).expect("a link");
            caller.drain(fd).len()
        });
        assert_eq!(seen, *expected, "{levels:?}");
    }
}

#[test]
fn own_frames_come_back_only_to_the_physical_level_without_the_option() {
    for (levels, expected, to_itself) in [
        (&[SAP, MULTI][..], 0, 1),
        (&[SAP, MULTI, RX_ONLY], 0, 1),
        (&[PHYS, SAP], 1, 2),
        (&[PHYS, SAP, RX_ONLY], 0, 1),
    ] {
        let mut caller = bold_network();
        let fd = caller.attach(PATH, levels, 0);
        let twin = caller.attach(PATH, &[], 0x800);
        for to in [FAR, BROADCAST, GROUP, OTHER] {
            for writer in [fd, twin] {
                caller.write(writer, &frame(to, OWN, 0x800, 60));
                assert_eq!(caller.drain(fd).len(), expected, "{levels:?} {to:?}");
                assert_eq!(caller.drain(twin).len(), 0, "{to:?}");
            }
        }
        caller.write(fd, &frame(OWN, OWN, 0x800, 60));
        assert_eq!(caller.drain(fd).len(), to_itself, "{levels:?} to itself");
    }
}

#[test]
fn without_every_type_a_promiscuous_stream_gets_what_somebody_is_bound_to() {
    let mut caller = bold_network();
    let fd = caller.attach(PATH, &[PHYS], 0);
    let bring = |caller: &mut crate::caller::Caller| {
        caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x88cc, 60)).expect("a NIC");
        caller.drain(fd).len()
    };
    assert_eq!(bring(&mut caller), 0);
    let other = caller.attach(PATH, &[], 0x88cc);
    assert_eq!(bring(&mut caller), 1);
    caller.close(other);
    assert_eq!(bring(&mut caller), 0);
    // Bound while it wanted every type, a stream counts for none.
    caller.attach(PATH, &[SAP], 0x88cc);
    assert_eq!(bring(&mut caller), 0);
}

#[test]
fn a_vnic_does_not_see_its_neighbours_and_the_link_below_sees_all() {
    let mut caller = bold_network();
    let fd = caller.attach(PATH, &[PHYS, SAP, MULTI], 0);
    let below = caller.attach("/dev/net/net0", &[SAP], 0x800);
    caller.kernel.link_sends("vnic1", &frame(FAR, OTHER, 0x800, 60)).expect("a link");
    caller.kernel.wire_brings("net0", &frame(OTHER, FAR, 0x800, 60)).expect("a NIC");
    caller.kernel.wire_brings("net0", &frame(FOREIGN, FAR, 0x800, 60)).expect("a NIC");
    assert_eq!((caller.drain(fd).len(), caller.drain(below).len()), (0, 3));
    assert_eq!(caller.kernel.take_arrived_frames("vnic1").expect("a link").len(), 1);
}

#[test]
fn the_only_client_of_a_nic_gets_what_is_not_for_it() {
    let mut caller = network();
    caller.kernel.delete_link("vnic1").expect("nobody uses it");
    let fd = caller.attach(PATH, &[], 0x800);
    for (to, expected) in [(OWN, 1), (FOREIGN, 1), (NIC, 1), (GROUP, 0)] {
        caller.kernel.wire_brings("net0", &frame(to, FAR, 0x800, 60)).expect("a NIC");
        assert_eq!(caller.drain(fd).len(), expected, "{to:?}");
    }
    caller.kernel.create_vnic("vnic1", "net0", OTHER, 0).expect("makes another");
    caller.kernel.wire_brings("net0", &frame(FOREIGN, FAR, 0x800, 60)).expect("a NIC");
    assert_eq!(caller.drain(fd).len(), 0, "with a neighbour it stops");
}

#[test]
fn padding_behind_a_length_field_is_taken_off() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    for (length, expected) in [(0, 14), (1, 15), (38, 52), (46, 60), (47, 60)] {
        caller.kernel.wire_brings("net0", &frame(OWN, FAR, length, 60)).expect("a NIC");
        assert_eq!(caller.drain(fd)[0].len(), expected, "{length}");
    }
}

#[test]
fn frames_longer_than_the_own_mtu_arrive_over_an_etherstub() {
    let mut caller = crate::caller::Caller::default();
    caller.kernel.create_etherstub("stub0", NIC).expect("makes it");
    caller.kernel.create_vnic("vnic0", "stub0", OWN, 0).expect("makes it");
    caller.kernel.create_vnic("vnic1", "stub0", OTHER, 0).expect("makes it");
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    assert_eq!(caller.kernel.set_link_mtu("vnic0", 1500), Ok(()));
    caller.kernel.link_sends("vnic1", &frame(OWN, OTHER, 0x800, 9014)).expect("a link");
    assert_eq!(caller.drain(fd)[0].len(), 9014);
    assert_eq!(caller.kernel.datalink_states()[0].class, LinkClass::Etherstub);
}

#[test]
fn before_raw_mode_frames_come_as_units_of_data_and_stay_so() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    caller.ask(fd, &super::bind(0x800));
    caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x800, 60)).expect("a NIC");
    caller.ioctl(fd, abi::DLIOCRAW, 0);
    caller.kernel.wire_brings("net0", &frame(BROADCAST, FAR, 0x800, 60)).expect("a NIC");
    let got = caller.getmsg(fd, 256, 2000);
    let control = got.control.expect("an indication");
    assert_eq!((control.len(), got.data.map(|data| data.len())), (68, Some(46)));
    assert_eq!(control[24..32], [&OWN[..], &[0, 8]].concat());
    assert_eq!(caller.drain(fd), [frame(BROADCAST, FAR, 0x800, 60)]);
}

/// A UDP packet whose checksum holds the pseudo header's sum alone.
fn unfinished(to: [u8; 6]) -> Vec<u8> {
    let mut sent = frame(to, OTHER, 0x800, 74);
    sent[14..34].copy_from_slice(&[0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 10, 0, 0, 5]);
    sent[34..42].copy_from_slice(&[0x30, 0x39, 0, 0x50, 0, 40, 0x14, 0x47]);
    sent
}

fn is_finished(frame: &[u8]) -> bool {
    let pseudo = [&frame[26..34], &[0, 17, 0, 40], &frame[34..]].concat();
    let sum: u32 = pseudo.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

#[test]
fn only_group_frames_over_an_offering_nic_arrive_unfinished() {
    let left = Offload { partial: Some((20, 26, 60)), ..Offload::default() };
    for offers in [false, true] {
        for to in [OWN, BROADCAST] {
            let mut caller = network();
            let offloads = Offloads { partial_checksum: offers, ..Offloads::default() };
            caller.kernel.set_offloads("net0", offloads).expect("a NIC");
            let fd = caller.attach(PATH, RECOMMENDED, 0);
            caller.kernel.link_sends_with("vnic1", &unfinished(to), left).expect("a link");
            let seen = is_finished(&caller.drain(fd)[0]);
            assert_eq!(seen, !offers || to == OWN, "offered {offers}, to {to:?}");
            let wire = caller.kernel.take_wire_frames("net0").expect("a NIC");
            assert!(wire.iter().all(|frame| is_finished(frame)), "the wire gets it right");
        }
    }
}

#[test]
fn segments_are_cut_before_a_neighbour_gets_them() {
    let mut caller = network();
    caller
        .kernel
        .set_offloads("net0", Offloads { segmentation: true, ..Offloads::default() })
        .expect("a NIC");
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    let mut sent = frame(OWN, OTHER, 0x800, 54 + 2500);
    sent[14..34].copy_from_slice(&[0x45, 0, 9, 0xec, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 9, 10, 0, 0, 5]);
    sent[46] = 0x50;
    let left = Offload { mss: Some(1000), ..Offload::default() };
    caller.kernel.link_sends_with("vnic1", &sent, left).expect("a link");
    let lengths: Vec<_> = caller.drain(fd).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1054, 1054, 554]);
}

//! What a neighbour's IP leaves to the hardware.

use streams_model::{Offload, Offloads};

use super::{BROADCAST, Datalink, OTHER, OWN, PATH, RECOMMENDED, frame, network};

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

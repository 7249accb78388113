//! What becomes of a write: the writer is told that all is well. Then flow control: a limited link queues, then stops its
//! writers.

use std::time::Duration;

use streams_model::{Call, Errno, Outcome, abi};

use super::{
    BROADCAST, Datalink, FAR, FOREIGN, NIC, OTHER, OWN, PATH, RECOMMENDED, bind, bold_network, frame,
    network, nothing, words,
};
use crate::caller::Caller;
use crate::{done, failed};

/// The lengths of what a write puts on the wire.
fn lengths(caller: &mut Caller) -> Vec<usize> {
    caller.kernel.take_wire_frames("net0").expect("a NIC").iter().map(Vec::len).collect()
}

#[test]
fn lengths_decide_and_nobody_says_so() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    for (length, expected) in
        [(14, Some(60)), (15, Some(60)), (61, Some(61)), (1514, Some(1514)), (1515, None)]
    {
        assert_eq!(caller.write(fd, &frame(FAR, OWN, 0x800, length)), done(length as i64));
        assert_eq!(lengths(&mut caller), expected.into_iter().collect::<Vec<_>>(), "{length}");
    }
    for length in [0, 1, 13] {
        assert_eq!(caller.write(fd, &frame(FAR, OWN, 0x800, 14)[..length]), done(length as i64));
    }
    assert_eq!(lengths(&mut caller), [0; 0]);
}

#[test]
fn a_vector_is_one_frame_wherever_it_is_cut() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    let sent = frame(FAR, OWN, 0x800, 200);
    for cut in [1, 6, 13, 14, 100] {
        assert_eq!(caller.writev(fd, &[&sent[..cut], &[], &sent[cut..]]), done(200));
        assert_eq!(caller.kernel.take_wire_frames("net0"), Ok(vec![sent.clone()]), "{cut}");
    }
}

#[test]
fn a_tag_is_sent_as_it_is_unless_it_says_nothing() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    let tagged = |tag: u16, length: usize| {
        let mut sent = frame(FAR, OWN, abi::ETHERTYPE_VLAN, length);
        sent[14..18].copy_from_slice(&[&tag.to_be_bytes()[..], &[8, 0]].concat());
        sent
    };
    let cases = [(5, 1518, true), (5, 1519, false), (0x6000, 64, true), (0, 64, false), (4095, 64, true)];
    for (tag, length, arrives) in cases {
        caller.write(fd, &tagged(tag, length));
        assert_eq!(lengths(&mut caller).len(), usize::from(arrives), "tag {tag:#x}, {length} bytes");
    }
    caller.write(fd, &tagged(5, 64)[..17]);
    assert_eq!(lengths(&mut caller), [0; 0]);
}

#[test]
fn a_vnic_in_a_vlan_tags_what_it_sends_and_untags_what_it_gets() {
    let mut caller = network();
    caller.kernel.create_vnic("vnic5", "net0", [2, 8, 0x20, 0, 1, 5], 5).expect("makes it");
    let own = [2, 8, 0x20, 0, 1, 5];
    let fd = caller.attach("/dev/net/vnic5", RECOMMENDED, 0);
    caller.write(fd, &frame(FAR, own, 0x800, 60));
    let sent = caller.kernel.take_wire_frames("net0").expect("a NIC");
    assert_eq!((sent[0].len(), &sent[0][12..18]), (64, &[0x81, 0, 0, 5, 8, 0][..]));
    caller.kernel.wire_brings("net0", &[&own[..], &FAR, &sent[0][12..]].concat()).expect("a NIC");
    caller.kernel.wire_brings("net0", &frame(own, FAR, 0x800, 60)).expect("a NIC");
    assert_eq!(caller.drain(fd), [frame(own, FAR, 0x800, 60)], "the one without a tag is not for it");
}

#[test]
fn neighbours_get_frames_as_they_are_but_no_bare_header() {
    let mut caller = network();
    let (fd, other) = (caller.attach(PATH, RECOMMENDED, 0), caller.attach("/dev/net/vnic1", RECOMMENDED, 0));
    for (to, length, arrives) in
        [(OTHER, 14, false), (OTHER, 15, true), (BROADCAST, 14, true), (BROADCAST, 59, true)]
    {
        let sent = frame(to, OWN, 0x800, length);
        caller.write(fd, &sent);
        let expected = if arrives { vec![sent] } else { Vec::new() };
        assert_eq!(caller.drain(other), expected, "{to:?} {length}");
    }
    assert_eq!(lengths(&mut caller), [60, 60], "the broadcasts go out too, padded");
    caller.write(fd, &frame(OWN, OWN, 0x800, 60));
    assert_eq!((lengths(&mut caller), caller.drain(fd).len()), (vec![], 1), "its own address comes back");
}

#[test]
fn the_address_of_the_link_below_is_its_streams() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    caller.write(fd, &frame(NIC, OWN, 0x800, 60));
    assert_eq!(lengths(&mut caller), [60], "nobody uses it: it is sought on the wire");
    let below = caller.attach("/dev/net/net0", &[], 0x800);
    caller.write(fd, &frame(NIC, OWN, 0x800, 60));
    assert_eq!((lengths(&mut caller), caller.drain(below).len()), (vec![], 1));
}

#[test]
fn what_is_written_in_another_state_vanishes() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    let sent = frame(FAR, OWN, 0x800, 60);
    assert_eq!(caller.write(fd, &sent), done(60), "neither raw nor bound");
    caller.ask(fd, &bind(0x800));
    assert_eq!(caller.write(fd, &sent), done(60), "not raw");
    assert_eq!(lengths(&mut caller), [0; 0]);
    caller.ioctl(fd, abi::DLIOCRAW, 0);
    caller.write(fd, &sent);
    assert_eq!(lengths(&mut caller), [60]);
    caller.ask(fd, &words(&[abi::DL_UNBIND_REQ]));
    caller.ask(fd, &bind(0x800));
    caller.write(fd, &sent);
    assert_eq!(lengths(&mut caller), [0; 0], "raw mode ended with the binding");
}

#[test]
fn putmsg_has_its_own_rules() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    let sent = frame(FAR, OWN, 0x800, 60);
    assert_eq!(caller.putmsg_with(fd, None, Some(&sent), abi::RS_HIPRI), failed(Errno::EINVAL));
    assert_eq!(caller.putmsg(fd, None, Some(&vec![0; 65537])), failed(Errno::ERANGE));
    assert_eq!(caller.putmsg(fd, Some(&[]), Some(&sent)), done(0), "no primitive: dropped");
    assert_eq!((lengths(&mut caller), caller.read(fd, 2000)), (vec![], nothing()));
    let address = [&FAR[..], &0x800_u16.to_le_bytes()].concat();
    let unit = [words(&[abi::DL_UNITDATA_REQ, 8, 20, 0, 0]), address].concat();
    assert_eq!(caller.putmsg(fd, Some(&unit), Some(&[5; 46])), done(0));
    assert_eq!(lengths(&mut caller), [60], "in raw mode too");
    caller.putmsg(fd, Some(&unit), Some(&[5; 1501]));
    assert_eq!(caller.primitive(fd), abi::DL_UDERROR_IND);
    caller.putmsg(fd, Some(&unit), None);
    assert_eq!(caller.primitive(fd), abi::DL_ERROR_ACK);
}

#[test]
fn a_write_beyond_a_message_is_cut_into_frames() {
    let mut caller = bold_network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    assert_eq!(caller.write(fd, &vec![0; 65550]), done(65550));
    assert_eq!(lengths(&mut caller), [60], "14 bytes of rubbish");
}

#[test]
fn protection_drops_what_it_forbids() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    caller.kernel.set_protection("vnic0", abi::MPT_MACNOSPOOF, &[]).expect("a link");
    assert_eq!(caller.write(fd, &frame(FAR, FOREIGN, 0x800, 60)), done(60));
    caller.write(fd, &frame(FAR, OWN, 0x88cc, 60));
    assert_eq!(lengths(&mut caller), [60]);
    caller.kernel.set_protection("vnic0", abi::MPT_RESTRICTED, &[]).expect("a link");
    for (kind, arrives) in [(0x800, 1), (0x806, 1), (0x86dd, 1), (0x88cc, 0), (46, 0)] {
        caller.write(fd, &frame(FAR, FOREIGN, kind, 60));
        assert_eq!(lengths(&mut caller).len(), arrives, "{kind:#x}");
    }
    caller.kernel.set_protection("vnic0", abi::MPT_IPNOSPOOF, &[[10, 0, 0, 5].into()]).expect("a link");
    for (last, arrives) in [(5, 1), (9, 0)] {
        let mut sent = frame(FAR, OWN, 0x800, 60);
        sent[26..30].copy_from_slice(&[10, 0, 0, last]);
        caller.write(fd, &sent);
        assert_eq!(lengths(&mut caller).len(), arrives, "from 10.0.0.{last}");
    }
}

fn until_refused(caller: &mut Caller, fd: i32) -> usize {
    let sent = frame(FAR, OWN, 0x800, 1514);
    (0..5000).take_while(|_| caller.write(fd, &sent) == done(1514)).count()
}

#[test]
fn a_limited_link_stops_its_writers_and_loses_nothing() {
    let mut caller = network();
    caller.kernel.set_maxbw("vnic0", Some(2_000_000)).expect("a link");
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    assert_eq!(until_refused(&mut caller, fd), 1004);
    let sent = frame(FAR, OWN, 0x800, 60);
    assert_eq!(caller.write(fd, &sent), failed(Errno::EAGAIN));
    assert_eq!(caller.putmsg(fd, None, Some(&sent)), failed(Errno::EAGAIN));
    assert_eq!(caller.putmsg(fd, Some(&words(&[abi::DL_INFO_REQ])), None), failed(Errno::EAGAIN));
    assert_eq!(caller.ask(fd, &words(&[abi::DL_INFO_REQ])).len(), 172, "urgent ones pass");
    assert_eq!(caller.str_ioctl(fd, abi::DLIOCRAW, 0, &[]).0, done(0), "and ioctls");
    assert_eq!(
        (caller.kernel.poll_events(fd, abi::POLLOUT), caller.ioctl(fd, abi::I_CANPUT, 0)),
        (0, done(0))
    );
    caller.kernel.advance(Duration::from_secs(6));
    assert_eq!(caller.kernel.poll_events(fd, abi::POLLOUT), abi::POLLOUT);
    assert_eq!(caller.kernel.take_wire_frames("net0").expect("a NIC").len(), 1004);
}

#[test]
fn a_blocking_writer_sleeps_until_there_is_room() {
    let mut caller = network();
    caller.kernel.set_maxbw("vnic0", Some(2_000_000)).expect("a link");
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    until_refused(&mut caller, fd);
    caller.call(Call::Fcntl { fd, command: abi::F_SETFL, argument: i64::from(abi::O_RDWR) });
    let sent = frame(FAR, OWN, 0x800, 60);
    assert_eq!(caller.write(fd, &sent), Outcome::WouldBlock);
    caller.kernel.advance(Duration::from_secs(6));
    assert_eq!(caller.write(fd, &sent), done(60));
}

#[test]
fn a_slow_reader_pushes_nobody_back() {
    let mut caller = network();
    let (fd, other) = (caller.attach(PATH, RECOMMENDED, 0), caller.attach("/dev/net/vnic1", RECOMMENDED, 0));
    for _ in 0..50 {
        assert_eq!(caller.write(fd, &frame(OTHER, OWN, 0x800, 1514)), done(1514));
    }
    assert_eq!((caller.drain(other).len(), caller.kernel.traffic().dropped_full), (4, 46));
}

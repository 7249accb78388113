//! Flow control: a limited link queues, then stops its writers.

use std::time::Duration;

use streams_model::{Call, Errno, Outcome, abi};

use super::{Datalink, FAR, OWN, PATH, RECOMMENDED, frame, network, words};
use crate::caller::Caller;
use crate::{done, failed};

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
        assert_eq!(caller.write(fd, &frame(super::OTHER, OWN, 0x800, 1514)), done(1514));
    }
    assert_eq!((caller.drain(other).len(), caller.kernel.traffic().dropped_full), (4, 46));
}

//! The stream head: what it holds, bufmod below it, and the ways to read.

use std::time::Duration;

use streams_model::{Errno, Service, abi};

use super::{Datalink, FAR, OWN, PATH, RECOMMENDED, bind, bold_network, frame, network, nothing, words};
use crate::caller::Caller;
use crate::{done, failed};

/// So many frames to a reader that does not read, then how many it can.
fn burst(caller: &mut Caller, fd: i32, count: usize, length: usize) -> usize {
    for _ in 0..count {
        caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x800, length)).expect("a NIC");
    }
    caller.drain(fd).len()
}

/// bufmod as an attach sets it up.
fn push_bufmod(caller: &mut Caller, fd: i32, chunk: u32, flags: u32) {
    assert_eq!(caller.push(fd, "bufmod"), done(0));
    for (request, value) in [(abi::SBIOCSFLAGS, flags), (abi::SBIOCSCHUNK, chunk)] {
        assert_eq!(caller.str_ioctl(fd, request, 4, &value.to_le_bytes()).0, done(0));
    }
    assert_eq!(caller.str_ioctl(fd, abi::SBIOCSTIME, 16, &[0; 16]).0, done(0));
}

const WHOLE_FRAMES: u32 = abi::SB_NO_HEADER | abi::SB_NO_PROTO_CVT;

#[test]
fn a_bare_head_holds_5120_bytes_and_drops_the_newest() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    for (length, expected) in [(60, 86), (100, 52), (256, 20), (1514, 4)] {
        assert_eq!(burst(&mut caller, fd, 200, length), expected, "{length}");
    }
}

#[test]
fn bufmod_raises_the_limit_and_keeps_frames_apart() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    push_bufmod(&mut caller, fd, 65536, WHOLE_FRAMES);
    caller.ioctl(fd, abi::DLIOCRAW, 0);
    caller.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD));
    caller.ask(fd, &bind(0x800));
    assert_eq!(burst(&mut caller, fd, 300, 1514), 174);
    assert_eq!(burst(&mut caller, fd, 5000, 60), 4378, "four chunks and 512 bytes");
    caller.str_ioctl(fd, abi::SBIOCSFLAGS, 4, &(WHOLE_FRAMES | abi::SB_NO_DROPS).to_le_bytes());
    assert_eq!(burst(&mut caller, fd, 300, 1514), 175, "one waits in bufmod");
    caller.str_ioctl(fd, abi::SBIOCSSNAP, 4, &1000_u32.to_le_bytes());
    caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x800, 1514)).expect("a NIC");
    assert_eq!(caller.read(fd, 2000).0, done(1000));
    assert_eq!(caller.str_ioctl(fd, abi::SBIOCGCHUNK, 4, &[9; 4]), (done(0), 4, vec![0; 4]));
    assert_eq!(caller.str_ioctl(fd, abi::SBIOCSCHUNK, 2, &[0; 2]).0, failed(Errno::EINVAL));
}

#[test]
fn bufmod_as_it_is_pushed_holds_back_until_a_chunk_is_full() {
    let mut caller = bold_network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    caller.push(fd, "bufmod");
    assert_eq!(burst(&mut caller, fd, 20, 100), 0);
    caller.kernel.advance(Duration::from_secs(600));
    assert_eq!(caller.read(fd, 9000), nothing());
    assert_eq!(burst(&mut caller, fd, 62, 100), 1);
    caller.ioctl(fd, abi::I_POP, 0);
    assert_eq!(caller.read(fd, 9000), nothing(), "what it held is lost");
}

#[test]
fn bufmod_gives_a_chunk_away_when_its_time_is_over() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    caller.push(fd, "bufmod");
    let half_a_second = [0_u64.to_le_bytes(), 500_000_u64.to_le_bytes()].concat();
    caller.str_ioctl(fd, abi::SBIOCSTIME, 16, &half_a_second);
    assert_eq!(burst(&mut caller, fd, 2, 60), 0);
    caller.kernel.advance(Duration::from_millis(490));
    assert_eq!(caller.read(fd, 9000), nothing());
    caller.kernel.advance(Duration::from_millis(20));
    let (outcome, chunk) = caller.read(fd, 9000);
    assert_eq!((outcome, &chunk[..12]), (done(176), &words(&[60, 60, 88])[..]));
}

#[test]
fn read_modes_keep_frames_apart_or_do_not() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    for (mode, expected) in [(abi::RNORM, vec![90]), (abi::RMSGD, vec![50, 40]), (abi::RMSGN, vec![50, 40])] {
        caller.ioctl(fd, abi::I_SRDOPT, i64::from(mode));
        for length in [50, 40] {
            caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x800, length)).expect("a NIC");
        }
        let lengths: Vec<_> = caller.drain(fd).iter().map(Vec::len).collect();
        assert_eq!(lengths, expected, "{mode}");
    }
    caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x800, 200)).expect("a NIC");
    assert_eq!(caller.readv(fd, &[14, 500]).0, done(200));
}

#[test]
fn looking_takes_nothing() {
    let mut caller = network();
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    assert_eq!(caller.peek(fd, 14), (done(0), Some(Vec::new())));
    for length in [100, 60] {
        caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x800, length)).expect("a NIC");
    }
    assert_eq!(caller.ioctl_bytes(fd, abi::I_NREAD, &[0; 4]), (done(2), 100_u32.to_le_bytes().to_vec()));
    assert_eq!(caller.peek(fd, 14), (done(1), Some(frame(OWN, FAR, 0x800, 14))));
    caller.ioctl(fd, abi::I_FLUSH, i64::from(abi::FLUSHR));
    assert_eq!(caller.read(fd, 2000), nothing());
}

#[test]
fn answers_go_ahead_of_frames_and_there_is_room_for_one() {
    let mut caller = network();
    caller.kernel.set_service(Service::Prompt);
    let fd = caller.attach(PATH, RECOMMENDED, 0);
    caller.kernel.wire_brings("net0", &frame(OWN, FAR, 0x800, 60)).expect("a NIC");
    let all = abi::POLLIN | abi::POLLPRI | abi::POLLRDNORM | abi::POLLOUT;
    assert_eq!(caller.kernel.poll_events(fd, all), abi::POLLIN | abi::POLLRDNORM | abi::POLLOUT);
    for request in [abi::DL_INFO_REQ, abi::DL_UNBIND_REQ] {
        caller.putmsg(fd, Some(&words(&[request])), None);
    }
    assert_eq!(caller.kernel.poll_events(fd, all), abi::POLLPRI | abi::POLLOUT);
    assert_eq!(caller.read(fd, 2000).0, failed(Errno::EBADMSG));
    let (got, flags) = caller.getmsg_with(fd, Some(256), None, abi::RS_HIPRI);
    assert_eq!((got.control.map(|control| control.len()), flags), (Some(172), abi::RS_HIPRI));
    assert_eq!(caller.read(fd, 2000).0, done(60), "the second answer found no room");
}

#[test]
fn an_answer_is_there_once_the_caller_waits() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    caller.putmsg(fd, Some(&words(&[abi::DL_INFO_REQ])), None);
    assert_eq!(caller.getmsg(fd, 256, 0).outcome, failed(Errno::EAGAIN));
    let mut arena = streams_model::Arena::new();
    let entry = [&fd.to_le_bytes()[..], &abi::POLLPRI.to_le_bytes(), &[0; 2]].concat();
    let call = streams_model::Call::Poll { fds: arena.put(&entry), count: 1 };
    assert_eq!(caller.kernel.call(&mut arena, call), done(1));
    assert_eq!(caller.primitive(fd), abi::DL_INFO_ACK);
}

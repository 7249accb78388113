//! The stream head: modules, queue lengths, flushing and descriptors. Then message boundaries: read in its three modes,
//! getmsg, and what protocol messages do to both.

use streams_model::abi::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, O_CLOEXEC, O_RDWR, POLLERR, POLLHUP,
    POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDNORM,
};
use streams_model::{Arena, Call, Errno, Message, MessageKind, Outcome, abi};

use crate::caller::{Caller, Got};
use crate::{done, failed};

#[test]
fn arp_is_a_pass_through_above_ip_and_the_real_module_elsewhere() {
    for (path, pushes, names) in [
        ("/dev/udp", &["arp"][..], "dummymod udp"),
        ("/dev/ip", &["arp"], "dummymod ip"),
        ("/dev/tap", &["arp"], "arp tap"),
        ("/dev/tap", &["ip"], "ip tap"),
        ("/dev/tap", &["ip", "arp"], "dummymod ip tap"),
    ] {
        let mut caller = Caller::default();
        let fd = caller.must_open(path);
        for module in pushes {
            assert_eq!(caller.push(fd, module), done(0));
        }
        assert_eq!(caller.list(fd), (done(0), names.split(' ').map(str::to_owned).collect()));
        let count = names.split(' ').count() as i64;
        assert_eq!(caller.ioctl(fd, abi::I_LIST, 0), done(count));
        assert_eq!(caller.close(fd), done(0));
        assert_eq!(caller.kernel.open_streams(), 0);
    }
}

#[test]
fn look_find_and_pop() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    assert_eq!(caller.ioctl(fd, abi::I_POP, 0), failed(Errno::EINVAL));
    assert_eq!(caller.ioctl_bytes(fd, abi::I_LOOK, &[9; 9]).0, failed(Errno::EINVAL));
    caller.push(fd, "ip");
    assert_eq!(caller.ioctl_bytes(fd, abi::I_LOOK, &[9; 4]), (done(0), b"ip\0\x09".to_vec()));
    for (name, found) in [("ip\0", done(1)), ("arp\0", done(0)), ("nosuch\0", failed(Errno::EINVAL))] {
        assert_eq!(caller.ioctl_bytes(fd, abi::I_FIND, name.as_bytes()).0, found, "{name}");
    }
    assert_eq!(caller.ioctl(fd, abi::I_POP, 0), done(0));
    assert_eq!(caller.list(fd).1, ["tap"]);
}

#[test]
fn pushes_that_are_refused() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    for name in ["nosuch", "averylongname", "", "ninechars"] {
        assert_eq!(caller.push(fd, name), failed(Errno::EINVAL), "{name}");
    }
    assert_eq!(caller.ioctl(fd, abi::I_PUSH, 0), failed(Errno::EFAULT));
    assert_eq!(caller.ioctl(99, abi::I_POP, 0), failed(Errno::EBADF));
}

#[test]
fn popping_ip_takes_the_interface_and_leaves_the_stream_attached() {
    let mut caller = Caller::default();
    caller.control(0);
    let fd = caller.ip_stream("tap0", 0, abi::IFF_IPV4);
    assert_eq!(caller.ioctl(fd, abi::I_POP, 0), done(0));
    assert_eq!(caller.kernel.interface_states(), []);
    assert_eq!(caller.push(fd, "ip"), done(0));
    let request = crate::caller::lifreq("tap0", 0, abi::IFF_IPV4);
    assert_eq!(caller.lif(fd, abi::SIOCSLIFNAME, &request).0, failed(Errno::ENXIO));
}

#[test]
fn queue_lengths_and_flushing() {
    let mut caller = Caller::default();
    let fd = caller.control(0);
    caller.kernel.inject_frame(0, &[0; 60]);
    caller.kernel.inject_frame(0, &[0; 40]);
    assert_eq!(caller.ioctl_bytes(fd, abi::I_NREAD, &[0; 4]), (done(2), 60_i32.to_le_bytes().to_vec()));
    assert_eq!(caller.ioctl_bytes(fd, abi::FIONREAD, &[0; 4]), (done(0), 100_i32.to_le_bytes().to_vec()));
    assert_eq!(caller.ioctl(fd, abi::I_FLUSH, 0), failed(Errno::EINVAL));
    assert_eq!(caller.ioctl(fd, abi::I_FLUSH, i64::from(abi::FLUSHW)), done(0));
    assert_eq!(caller.ioctl(fd, abi::I_FLUSH, i64::from(abi::FLUSHR)), done(0));
    assert_eq!(caller.read(fd, 100).0, failed(Errno::EAGAIN));
}

#[test]
fn fcntl_sets_what_it_may() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    let mut fcntl =
        |fd, command, argument: i32| caller.call(Call::Fcntl { fd, command, argument: i64::from(argument) });
    assert_eq!(fcntl(fd, F_GETFD, 0), done(1));
    assert_eq!(fcntl(fd, F_SETFD, 0), done(0));
    assert_eq!(fcntl(fd, F_GETFD, 0), done(0));
    assert_eq!(fcntl(fd, F_GETFL, 0), done(i64::from(O_RDWR)));
    assert_eq!(fcntl(fd, F_SETFL, abi::O_NONBLOCK), done(0));
    assert_eq!(fcntl(fd, F_GETFL, 0), done(i64::from(O_RDWR | abi::O_NONBLOCK)));
    assert_eq!(fcntl(fd, F_DUPFD, 10), done(10));
    assert_eq!(fcntl(fd, F_DUPFD_CLOEXEC, 10), done(11));
    assert_eq!(fcntl(10, F_GETFD, 0), done(0));
    assert_eq!(fcntl(11, F_GETFD, 0), done(1));
    assert_eq!(fcntl(fd, 12345, 0), failed(Errno::EINVAL));
    assert_eq!(fcntl(99, F_GETFL, 0), failed(Errno::EBADF));
    assert_eq!(caller.ioctl_bytes(fd, abi::FIONBIO, &[0; 4]).0, done(0));
    let flags = caller.call(Call::Fcntl { fd: 11, command: F_GETFL, argument: 0 });
    assert_eq!(flags, done(i64::from(O_RDWR)), "duplicates share the open file's flags");
    assert_eq!(caller.open("/dev/udp", O_RDWR | O_CLOEXEC), done(4));
}

#[test]
fn a_socket_is_no_stream() {
    let mut caller = Caller::default();
    let place = streams_model::Place::Lowest(0);
    let family = streams_model::Family::V4;
    let socket = caller.call(Call::Socket { family, close_on_exec: true, place });
    let fd = crate::caller::fd_of(&socket);
    assert_eq!(caller.getmsg(fd, 0, 0).outcome, failed(Errno::ENOSTR));
    assert_eq!(caller.putmsg(fd, None, Some(&[0; 60])), failed(Errno::ENOSTR));
    assert_eq!(caller.push(fd, "ip"), failed(Errno::ENOTTY));
    assert_eq!(caller.read(fd, 10).0, failed(Errno::EOPNOTSUPP));
    assert_eq!(caller.write(fd, &[0; 60]), failed(Errno::EOPNOTSUPP));
    let mux = caller.must_open("/dev/udp");
    assert_eq!(caller.ioctl(mux, abi::I_LINK, i64::from(fd)), failed(Errno::EINVAL));
}

/// A control stream with frames of 60 and 40 bytes queued, in this read mode.
fn two_frames(mode: i32) -> (Caller, i32) {
    let mut caller = Caller::default();
    let fd = caller.control(0);
    assert_eq!(caller.ioctl(fd, abi::I_SRDOPT, i64::from(mode)), done(0));
    for (length, byte) in [(60, 1), (40, 2)] {
        assert!(caller.kernel.inject_frame(0, &vec![byte; length]));
    }
    (caller, fd)
}

fn lengths(mode: i32, rooms: &[usize]) -> Vec<Outcome> {
    let (mut caller, fd) = two_frames(mode);
    rooms.iter().map(|room| caller.read(fd, *room).0).collect()
}

#[test]
fn each_mode_keeps_or_loses_boundaries_in_its_own_way() {
    let empty = failed(Errno::EAGAIN);
    assert_eq!(lengths(abi::RNORM, &[10, 2000, 10]), [done(10), done(90), empty.clone()]);
    assert_eq!(lengths(abi::RNORM, &[20000, 10]), [done(100), empty.clone()]);
    assert_eq!(lengths(abi::RMSGD, &[2000, 2000, 1]), [done(60), done(40), empty.clone()]);
    assert_eq!(lengths(abi::RMSGD, &[10, 2000, 1]), [done(10), done(40), empty.clone()]);
    assert_eq!(lengths(abi::RMSGN, &[10, 2000, 2000, 1]), [done(10), done(50), done(40), empty]);
    assert_eq!(lengths(abi::RNORM, &[0]), [done(0)]);
}

#[test]
fn the_options_are_checked_and_read_back() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    for bad in [3, 99, 0xc] {
        assert_eq!(caller.ioctl(fd, abi::I_SRDOPT, bad), failed(Errno::EINVAL), "{bad}");
    }
    assert_eq!(caller.ioctl_bytes(fd, abi::I_GRDOPT, &[0; 4]), (done(0), vec![0x10, 0, 0, 0]));
    assert_eq!(caller.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD | abi::RPROTDIS)), done(0));
    assert_eq!(caller.ioctl_bytes(fd, abi::I_GRDOPT, &[0; 4]), (done(0), vec![0x9, 0, 0, 0]));
}

#[test]
fn vectors_are_one_buffer() {
    let (mut caller, fd) = two_frames(abi::RMSGD);
    let mut arena = Arena::new();
    let [first, second] = [14, 100].map(|length| arena.put(&vec![0; length]));
    let entries = [first, 14, second, 100].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let vector = arena.put(&entries);
    assert_eq!(caller.kernel.call(&mut arena, Call::Readv { fd, vector, count: 2 }), done(60));
    assert_eq!(arena.get(second, 47), [&[1; 46][..], &[0]].concat());
    for count in [0, -1, 1025] {
        assert_eq!(caller.kernel.call(&mut arena, Call::Readv { fd, vector, count }), failed(Errno::EINVAL));
    }
    assert_eq!(caller.kernel.call(&mut arena, Call::Writev { fd, vector, count: 2 }), done(114));
    assert_eq!(caller.kernel.traffic().written[0].1.len(), 114);
}

#[test]
fn slices_longer_than_a_size_can_count_are_refused() {
    let (mut caller, fd) = two_frames(abi::RMSGD);
    let mut arena = Arena::new();
    let entries: Vec<u8> = [0, 1 << 63, 0, 1_u64 << 63].iter().flat_map(|word| word.to_le_bytes()).collect();
    let vector = arena.put(&entries);
    for count in [1, 2] {
        for call in [Call::Readv { fd, vector, count }, Call::Writev { fd, vector, count }] {
            assert_eq!(caller.kernel.call(&mut arena, call), failed(Errno::EINVAL));
        }
    }
}

#[test]
fn getmsg_says_when_it_left_something() {
    let (mut caller, fd) = two_frames(abi::RNORM);
    let got = |outcome, data: Option<Vec<u8>>| Got { outcome, control: None, data };
    assert_eq!(caller.getmsg(fd, 16, 10), got(done(i64::from(abi::MOREDATA)), Some(vec![1; 10])));
    assert_eq!(caller.getmsg(fd, 16, 100), got(done(0), Some(vec![1; 50])));
    assert_eq!(caller.getmsg(fd, 16, -1), got(done(i64::from(abi::MOREDATA)), None));
    assert_eq!(caller.getmsg(fd, 16, 100), got(done(0), Some(vec![2; 40])));
    assert_eq!(caller.getmsg(fd, 16, 100).outcome, failed(Errno::EAGAIN));
}

#[test]
fn a_protocol_message_stops_reads_unless_they_are_told_otherwise() {
    let proto = Message { kind: MessageKind::Proto, control: Some(vec![7; 8]), data: Some(vec![8; 30]) };
    for (mode, expected) in
        [(abi::RPROTNORM, failed(Errno::EBADMSG)), (abi::RPROTDAT, done(38)), (abi::RPROTDIS, done(30))]
    {
        let mut caller = Caller::default();
        let fd = caller.control(0);
        caller.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD | mode));
        caller.kernel.inject_message(fd, proto.clone()).expect("the descriptor is open");
        assert_eq!(caller.read(fd, 2000).0, expected);
        let left = caller.getmsg(fd, 100, 100).outcome;
        assert_eq!(left, if mode == abi::RPROTNORM { done(0) } else { failed(Errno::EAGAIN) });
    }
}

#[test]
fn a_high_priority_message_goes_first_and_withholds_pollin() {
    let (mut caller, fd) = two_frames(abi::RMSGD);
    let all = POLLIN | POLLPRI | POLLOUT | POLLRDNORM;
    assert_eq!(caller.kernel.poll_events(fd, all), POLLIN | POLLRDNORM | POLLOUT);
    caller.kernel.inject_message(fd, Message::proto(MessageKind::PcProto, vec![0; 4])).expect("open");
    assert_eq!(caller.kernel.poll_events(fd, all), POLLPRI | POLLOUT);
    assert_eq!(caller.kernel.poll_events(fd, POLLIN), 0);
    assert_eq!(caller.read(fd, 2000).0, failed(Errno::EBADMSG));
    assert_eq!(caller.getmsg(fd, 100, 100).control, Some(vec![0; 4]));
    assert_eq!(caller.kernel.poll_events(fd, POLLIN), POLLIN);
}

#[test]
fn a_hung_up_stream_ends_after_its_last_frame() {
    let (mut caller, fd) = two_frames(abi::RMSGD);
    caller.kernel.hang_up(fd).expect("open");
    assert_eq!(caller.kernel.poll_events(fd, POLLIN | POLLOUT), POLLIN | POLLHUP);
    let reads: Vec<_> = (0..3).map(|_| caller.read(fd, 2000).0).collect();
    assert_eq!(reads, [done(60), done(40), done(0)]);
    assert_eq!(caller.kernel.poll_events(fd, POLLIN | POLLOUT), POLLHUP);
    assert_eq!(caller.write(fd, &[0; 60]), failed(Errno::EIO));
    assert_eq!(caller.putmsg(fd, None, Some(&[0; 60])), failed(Errno::ENXIO));
    assert_eq!(caller.push(fd, "ip"), failed(Errno::ENXIO));
    assert_eq!(caller.new_ppa(fd, 1), failed(Errno::ENXIO));
}

#[test]
fn a_stream_in_error_fails_everything_with_it() {
    let (mut caller, fd) = two_frames(abi::RMSGD);
    caller.kernel.set_stream_error(fd, Some(Errno::ENOSR)).expect("open");
    assert_eq!(caller.kernel.poll_events(fd, POLLIN | POLLOUT), POLLERR);
    assert_eq!(caller.read(fd, 2000).0, failed(Errno::ENOSR));
    assert_eq!(caller.write(fd, &[0; 60]), failed(Errno::ENOSR));
    assert_eq!(caller.getmsg(fd, 0, 2000).outcome, failed(Errno::ENOSR));
    assert_eq!(caller.new_ppa(fd, 1), failed(Errno::ENOSR));
    assert_eq!(caller.close(fd), done(0));
}

#[test]
fn poll_fills_in_every_entry() {
    let (mut caller, fd) = two_frames(abi::RMSGD);
    let idle = caller.control(1);
    let entry = |fd: i32| [&fd.to_le_bytes()[..], &POLLIN.to_le_bytes(), &0x7fff_i16.to_le_bytes()].concat();
    let mut arena = Arena::new();
    let fds = arena.put(&[entry(fd), entry(idle), entry(-1), entry(77)].concat());
    assert_eq!(caller.kernel.call(&mut arena, Call::Poll { fds, count: 4 }), done(2));
    let revents: Vec<_> = arena.get(fds, 32).chunks(8).map(|e| i16::from_le_bytes([e[6], e[7]])).collect();
    assert_eq!(revents, [POLLIN, 0, 0, POLLNVAL]);
}

#[test]
fn a_full_stream_head_loses_frames_without_a_word() {
    let mut caller = Caller::default();
    let fd = caller.control(0);
    for _ in 0..800 {
        caller.kernel.inject_frame(0, &[0; 1514]);
    }
    let room = (1_usize << 20).div_ceil(1514);
    assert_eq!(caller.drain(fd).len(), room);
    assert_eq!(caller.kernel.traffic().dropped_full, 800 - room);
    caller.kernel.inject_frame(0, &[0; 1514]);
    assert_eq!(caller.drain(fd).len(), 1);
}

#[test]
fn a_blocking_read_would_sleep_and_is_not_recorded() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    caller.new_ppa(fd, 0);
    let calls = caller.kernel.calls();
    assert_eq!(caller.read(fd, 100).0, Outcome::WouldBlock);
    assert_eq!(caller.kernel.calls(), calls);
    caller.kernel.inject_frame(0, &[0; 60]);
    assert_eq!(caller.read(fd, 100).0, done(60));
    assert_eq!(caller.kernel.trace().last().map(|record| record.number), Some(calls + 1));
}

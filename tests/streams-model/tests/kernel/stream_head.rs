//! Modules, queue lengths, flushing, descriptors.

use streams_model::abi::{
    self, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, O_CLOEXEC, O_RDWR,
};
use streams_model::{Call, Errno};

use crate::caller::Caller;
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

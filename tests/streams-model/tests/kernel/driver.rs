//! The tuntap driver's own requests and its write limits.

use streams_model::Tuntap;
use streams_model::abi::{self, DLIOCRAW, TUNGETPPA, TUNNEWPPA, TUNSETPPA};
use streams_model::{Errno, Outcome};

use crate::caller::Caller;
use crate::{done, failed};

#[test]
fn new_ppa_gives_the_lowest_free_one_and_writes_only_ic_len_back() {
    let mut caller = Caller::default();
    for ppa in 0..3 {
        let fd = caller.must_open("/dev/tap");
        let answer = caller.str_ioctl(fd, TUNNEWPPA, 4, &(-1_i32).to_le_bytes());
        assert_eq!(answer, (done(ppa), 0, vec![0xff; 4]));
    }
}

#[test]
fn new_ppa_refuses() {
    let mut caller = Caller::default();
    caller.control(5);
    for (ppa, errno) in
        [(5, Errno::EEXIST), (21, Errno::EINVAL), (-2, Errno::EINVAL), (i32::MIN, Errno::EINVAL)]
    {
        let fd = caller.must_open("/dev/tap");
        let answer = caller.str_ioctl(fd, TUNNEWPPA, 4, &ppa.to_le_bytes());
        assert_eq!((answer.0, answer.1), (failed(errno), 4), "{ppa}");
    }
}

#[test]
fn twenty_ppas_and_no_more() {
    let mut caller = Caller::default();
    let fds: Vec<_> = (0..20).map(|ppa| caller.control(ppa)).collect();
    let one_more = caller.must_open("/dev/tap");
    assert_eq!(caller.new_ppa(one_more, -1), failed(Errno::ENOMEM));
    caller.close(fds[7]);
    assert_eq!(caller.new_ppa(one_more, -1), done(7));
}

#[test]
fn a_transparent_new_ppa_takes_the_value() {
    let mut caller = Caller::default();
    let fds = [caller.must_open("/dev/tap"), caller.must_open("/dev/tap")];
    assert_eq!(caller.ioctl(fds[0], TUNNEWPPA, -1), done(0));
    assert_eq!(caller.ioctl(fds[1], TUNNEWPPA, 5), done(5));
}

#[test]
fn set_and_get_ppa() {
    let mut caller = Caller::default();
    let control = caller.control(4);
    let other = caller.must_open("/dev/tap");
    let mut ask = |fd, cmd, ppa: Option<i32>| {
        let data = ppa.map(|ppa| ppa.to_le_bytes().to_vec()).unwrap_or_default();
        caller.str_ioctl(fd, cmd, data.len() as i32, &data).0
    };
    assert_eq!(ask(other, TUNGETPPA, None), failed(Errno::ENODEV));
    assert_eq!(ask(other, TUNSETPPA, Some(3)), failed(Errno::ENODEV));
    assert_eq!(ask(other, TUNSETPPA, Some(21)), failed(Errno::EINVAL));
    assert_eq!(ask(other, TUNSETPPA, Some(-1)), failed(Errno::EINVAL));
    assert_eq!(ask(other, TUNSETPPA, Some(4)), done(4));
    assert_eq!(ask(other, TUNGETPPA, None), done(4));
    assert_eq!(ask(control, TUNGETPPA, None), done(4));
    assert_eq!(ask(other, DLIOCRAW, None), done(0));
    assert_eq!(ask(other, 0x1234, None), failed(Errno::EINVAL));
    assert_eq!(caller.close(control), done(0));
    assert_eq!(caller.str_ioctl(other, TUNGETPPA, 0, &[]).0, failed(Errno::ENODEV));
}

#[test]
fn writes_outside_the_limits_send_nothing() {
    let mut caller = Caller::default();
    let with_ppa = caller.control(0);
    let without = caller.must_open("/dev/tap");
    for fd in [with_ppa, without] {
        for length in [0, 20, 2049, 9000] {
            assert_eq!(caller.write(fd, &vec![1; length]), failed(Errno::ERANGE), "{length}");
        }
        for length in [21, 60, 1514, 2048] {
            assert_eq!(caller.write(fd, &vec![1; length]), done(length as i64));
        }
    }
    let written: Vec<_> =
        caller.kernel.traffic().written.iter().map(|(ppa, frame)| (*ppa, frame.len())).collect();
    assert_eq!(written, [(0, 21), (0, 60), (0, 1514), (0, 2048)]);
}

#[test]
fn the_i_str_fields_are_checked() {
    let mut caller = Caller::default();
    let fd = caller.must_open("/dev/tap");
    for (cmd, len) in [(TUNGETPPA, -1), (TUNGETPPA, 65537), (abi::I_LINK, 0), (abi::I_PUNLINK, 0)] {
        assert_eq!(caller.str_ioctl(fd, cmd, len, &[]).0, failed(Errno::EINVAL), "{cmd:#x} {len}");
    }
    let image = streams_model::Strioctl { cmd: TUNGETPPA, timout: -2, len: 0, dp: 0 }.image();
    assert_eq!(caller.ioctl_bytes(fd, abi::I_STR, &image).0, failed(Errno::EINVAL));
    assert_eq!(caller.ioctl(fd, abi::I_STR, 0), failed(Errno::EFAULT));
}

#[test]
fn closing_the_control_stream_leaves_the_others_without_ppa_and_without_end() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let ip = caller.ip_stream("tap0", 0, abi::IFF_IPV4);
    assert_eq!(caller.str_ioctl(ip, TUNGETPPA, 0, &[]).0, done(0));
    caller.message_mode(ip);
    caller.close(control);
    assert_eq!(caller.str_ioctl(ip, TUNGETPPA, 0, &[]).0, failed(Errno::ENODEV));
    assert_eq!(caller.read(ip, 100).0, failed(Errno::EAGAIN));
    let again = caller.control(0);
    assert_eq!(caller.kernel.poll_events(again, abi::POLLIN | abi::POLLOUT), abi::POLLOUT);
    assert_eq!(caller.close(control), if again == control { done(0) } else { failed(Errno::EBADF) });
}

#[test]
fn descriptors_are_the_lowest_free_and_close_once() {
    let mut caller = Caller::default();
    let fds: Vec<_> = (0..3).map(|_| caller.must_open("/dev/tap")).collect();
    assert_eq!(fds, [3, 4, 5]);
    assert_eq!(caller.close(4), done(0));
    assert_eq!(caller.close(4), failed(Errno::EBADF));
    assert_eq!(caller.must_open("/dev/udp"), 4);
}

#[test]
fn opening_fails_as_the_machine_is() {
    let mut caller = Caller::default();
    let open = |caller: &mut Caller| caller.open("/dev/tap", abi::O_RDWR | abi::O_CLOEXEC);
    assert_eq!(caller.open("/dev/tapestry", abi::O_RDWR), failed(Errno::ENOENT));
    caller.kernel.remove_device(streams_model::Driver::Tap);
    assert_eq!(open(&mut caller), failed(Errno::ENOENT));
    let mut caller = Caller::default();
    caller.kernel.set_descriptor_limit(2);
    let outcomes: Vec<Outcome> = (0..3).map(|_| open(&mut caller)).collect();
    assert_eq!(outcomes, [done(3), done(4), failed(Errno::EMFILE)]);
}

/// Row O3.
#[test]
fn the_older_driver_refuses_the_number_of_a_device_and_differs_in_nothing_else() {
    let mut caller = Caller::default();
    caller.kernel.set_tuntap(Tuntap::V1_3_3);
    let control = caller.control(4);
    let other = caller.must_open("/dev/tap");
    for fd in [control, other] {
        assert_eq!(caller.str_ioctl(fd, TUNGETPPA, 0, &[]).0, failed(Errno::EINVAL));
    }
    assert_eq!(caller.str_ioctl(other, TUNNEWPPA, 4, &4_i32.to_le_bytes()).0, failed(Errno::EEXIST));
    assert_eq!(caller.str_ioctl(other, TUNSETPPA, 4, &4_i32.to_le_bytes()).0, done(4));
}

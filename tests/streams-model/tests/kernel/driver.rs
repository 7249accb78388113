//! The tuntap driver: its own requests, its write limits, and the primitives a user sends down a stream without modules.

use streams_model::abi::{DL_CLDLS, DLIOCRAW, POLLPRI, TUNGETPPA, TUNNEWPPA, TUNSETPPA};
use streams_model::{DEFAULT_MAC, Errno, Outcome, Tuntap, abi};

use crate::caller::{BROADCAST, Caller, GUEST_MAC, arp_request, echo_request};
use crate::{GUEST, HOST, done, failed};

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

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Sends a primitive and gives the words of the answer and its length.
fn ask(caller: &mut Caller, fd: i32, request: &[u32]) -> (Vec<u32>, usize) {
    assert_eq!(caller.putmsg(fd, Some(&words(request)), None), done(0));
    assert_eq!(caller.kernel.poll_events(fd, POLLPRI), POLLPRI);
    let got = caller.getmsg(fd, 256, 0);
    let control = got.control.expect("a control part");
    let words = control.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    (words.collect(), control.len())
}

fn bound(caller: &mut Caller, path: &str, sap: u32) -> i32 {
    let fd = caller.must_open(path);
    caller.message_mode(fd);
    assert_eq!(ask(caller, fd, &[abi::DL_ATTACH_REQ, 0]).0, [abi::DL_OK_ACK, abi::DL_ATTACH_REQ]);
    assert_eq!(ask(caller, fd, &[abi::DL_BIND_REQ, sap, 0, DL_CLDLS, 0]).0[..2], [abi::DL_BIND_ACK, sap]);
    fd
}

#[test]
fn the_info_ack_describes_both_builds() {
    for (path, length, address) in [("/dev/tap", 90, 8), ("/dev/tun", 78, 2)] {
        let mut caller = Caller::default();
        let fd = caller.must_open(path);
        let (info, len) = ask(&mut caller, fd, &[abi::DL_INFO_REQ]);
        assert_eq!(len, length, "{path}");
        assert_eq!(info[..5], [abi::DL_INFO_ACK, 1500, 0, address, abi::DL_ETHER]);
        assert_eq!((info[6], info[7] as i32, info[8]), (abi::DL_UNATTACHED, -2, DL_CLDLS));
        assert_eq!((info[13], info[14], info[15]), (abi::DL_STYLE2, 76, abi::DL_VERSION_2));
    }
}

#[test]
fn states_are_gone_through_in_order() {
    let mut caller = Caller::default();
    caller.control(0);
    let fd = caller.must_open("/dev/tap");
    let error = |primitive, error| vec![abi::DL_ERROR_ACK, primitive, error, 0];
    let ok = |primitive| vec![abi::DL_OK_ACK, primitive];
    let bind = [abi::DL_BIND_REQ, 0x800, 0, DL_CLDLS, 0];
    let steps: [(&[u32], Vec<u32>); 15] = [
        (&bind, error(abi::DL_BIND_REQ, abi::DL_OUTSTATE)),
        (&[abi::DL_PHYS_ADDR_REQ, 2], error(abi::DL_PHYS_ADDR_REQ, abi::DL_SYSERR)),
        (&[abi::DL_ATTACH_REQ, 5], error(abi::DL_ATTACH_REQ, abi::DL_BADPPA)),
        (&[abi::DL_ATTACH_REQ, 21], error(abi::DL_ATTACH_REQ, abi::DL_BADPPA)),
        (&[abi::DL_ATTACH_REQ], error(abi::DL_ATTACH_REQ, abi::DL_BADPRIM)),
        (&[abi::DL_ATTACH_REQ, 0], ok(abi::DL_ATTACH_REQ)),
        (&[abi::DL_ATTACH_REQ, 0], error(abi::DL_ATTACH_REQ, abi::DL_OUTSTATE)),
        (&[abi::DL_BIND_REQ, 0x1_0000, 0, DL_CLDLS, 0], error(abi::DL_BIND_REQ, abi::DL_BADSAP)),
        (&[abi::DL_BIND_REQ, 0x800, 0, DL_CLDLS, 1], error(abi::DL_BIND_REQ, abi::DL_NOAUTO)),
        (&[abi::DL_UNBIND_REQ], error(abi::DL_UNBIND_REQ, abi::DL_OUTSTATE)),
        (&[abi::DL_PROMISCON_REQ, 4], error(abi::DL_PROMISCON_REQ, abi::DL_NOTSUPPORTED)),
        (&[abi::DL_PROMISCON_REQ, 1], ok(abi::DL_PROMISCON_REQ)),
        (&[abi::DL_NOTIFY_REQ, 0, 0], error(abi::DL_NOTIFY_REQ, abi::DL_UNSUPPORTED)),
        (&[abi::DL_CAPABILITY_REQ, 0, 0], error(abi::DL_CAPABILITY_REQ, abi::DL_UNSUPPORTED)),
        (&[abi::DL_DETACH_REQ], ok(abi::DL_DETACH_REQ)),
    ];
    for (request, answer) in steps {
        assert_eq!(ask(&mut caller, fd, request).0, answer, "{request:x?}");
    }
}

#[test]
fn the_hardware_address_is_read_and_set() {
    let mut caller = Caller::default();
    caller.control(0);
    let fd = caller.must_open("/dev/tap");
    ask(&mut caller, fd, &[abi::DL_ATTACH_REQ, 0]);
    let mac = |caller: &mut Caller| {
        caller.putmsg(fd, Some(&words(&[abi::DL_PHYS_ADDR_REQ, 2])), None);
        caller.getmsg(fd, 256, 0).control.expect("a control part")[12..].to_vec()
    };
    assert_eq!(mac(&mut caller), DEFAULT_MAC);
    let set = [words(&[abi::DL_SET_PHYS_ADDR_REQ, 6, 12]), vec![2, 4, 6, 8, 10, 12]].concat();
    caller.putmsg(fd, Some(&set), None);
    assert_eq!(caller.getmsg(fd, 256, 0).control, Some(words(&[abi::DL_OK_ACK, abi::DL_SET_PHYS_ADDR_REQ])));
    assert_eq!(mac(&mut caller), [2, 4, 6, 8, 10, 12]);
}

#[test]
fn frames_reach_the_bound_stream_by_type_and_address() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let fd = bound(&mut caller, "/dev/tap", 0x800);
    let good = echo_request(DEFAULT_MAC, GUEST, HOST, 60);
    let changed = |at: usize, bytes: &[u8]| {
        let mut frame = good.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    for (frame, delivered) in [
        (good.clone(), true),
        (changed(0, &BROADCAST), true),
        (changed(0, &[1, 0, 0x5e, 0, 0, 1]), true),
        (changed(6, &[0; 6]), true),
        (changed(0, &[2, 0, 0, 0, 0, 9]), false),
        (changed(6, &DEFAULT_MAC), false),
        (changed(12, &[8, 6]), false),
        (changed(12, &[0, 46]), false),
        (arp_request(GUEST, HOST), false),
    ] {
        assert_eq!(caller.write(control, &frame), done(frame.len() as i64));
        let got = caller.getmsg(fd, 256, 2048);
        if delivered {
            let control = got.control.expect("a control part");
            assert_eq!((control.len(), got.data.as_deref()), (40, Some(&frame[14..])));
            assert_eq!((&control[24..30], &control[32..38]), (&frame[..6], &frame[6..12]));
        } else {
            assert_eq!(got.outcome, failed(Errno::EAGAIN), "{frame:02x?}");
        }
    }
}

#[test]
fn an_unbound_stream_gets_the_frames_with_a_length() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let fd = caller.must_open("/dev/tap");
    caller.message_mode(fd);
    ask(&mut caller, fd, &[abi::DL_ATTACH_REQ, 0]);
    caller.write(control, &[&BROADCAST[..], &GUEST_MAC, &[0, 46], &[0; 46]].concat());
    assert_eq!(caller.getmsg(fd, 256, 2048).data.map(|data| data.len()), Some(46));
}

#[test]
fn a_raw_stream_gets_whole_frames() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let fd = bound(&mut caller, "/dev/tap", 0x800);
    caller.ioctl(fd, DLIOCRAW, 0);
    let frame = echo_request(DEFAULT_MAC, GUEST, HOST, 60);
    caller.write(control, &frame);
    assert_eq!(caller.read(fd, 2048), (done(60), frame));
}

#[test]
fn tun_carries_bare_packets_chosen_by_version() {
    let mut caller = Caller::default();
    let control = caller.must_open("/dev/tun");
    caller.message_mode(control);
    caller.new_ppa(control, 0);
    let fd = bound(&mut caller, "/dev/tun", 0x800);
    let packet = echo_request(DEFAULT_MAC, GUEST, HOST, 74)[14..].to_vec();
    caller.write(control, &packet);
    let got = caller.getmsg(fd, 256, 2048);
    let head = got.control.expect("a control part");
    assert_eq!((head.len(), got.data), (28, Some(packet.clone())));
    assert_eq!(head[24..], [0, 8, 0, 8]);
    caller.write(control, &[0x60; 60]);
    assert_eq!(caller.getmsg(fd, 256, 2048).outcome, failed(Errno::EAGAIN));
}

#[test]
fn a_unit_of_data_goes_out_under_the_bound_type() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let fd = bound(&mut caller, "/dev/tap", 0x888e);
    let address = [&GUEST_MAC[..], &[0x8e, 0x88]].concat();
    let request = [words(&[abi::DL_UNITDATA_REQ, 8, 20, 0, 0]), address].concat();
    assert_eq!(caller.putmsg(fd, Some(&request), Some(&[5; 30])), done(0));
    let expected = [&GUEST_MAC[..], &DEFAULT_MAC, &[0x88, 0x8e], &[5; 30]].concat();
    assert_eq!(caller.read(control, 2048), (done(44), expected));
    let unbound = caller.must_open("/dev/tap");
    caller.putmsg(unbound, Some(&request), Some(&[5; 30]));
    let refusal = words(&[abi::DL_ERROR_ACK, abi::DL_UNITDATA_REQ, abi::DL_OUTSTATE, 0]);
    assert_eq!(caller.getmsg(unbound, 256, 0).control, Some(refusal));
}

//! Primitives a user sends down a stream without modules.

use streams_model::abi::{self, DL_CLDLS, POLLPRI};
use streams_model::{DEFAULT_MAC, Errno};

use crate::caller::Caller;
use crate::guest::{BROADCAST, GUEST_MAC, arp_request, echo_request};
use crate::{GUEST, HOST, done, failed};

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
    caller.ioctl(fd, abi::DLIOCRAW, 0);
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

//! Data links through the C functions: open, ioctl, putmsg, getmsg, poll, read and write of the standard library.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use streams_model::{Errno, Machine, Moment, Trouble, abi};

use crate::host::{self, get_control, ioctl_bytes, ioctl_value, poll, push, put_control, str_ioctl};

const OWN: [u8; 6] = [2, 8, 0x20, 0, 1, 0];
const OTHER: [u8; 6] = [2, 8, 0x20, 0, 1, 1];

/// A machine with a NIC and two vnics over it.
fn boot() -> Machine {
    let machine = Machine::boot();
    machine.kernel(|kernel| {
        kernel.create_nic("net0", [2, 8, 0x20, 0, 0, 1]).expect("makes a NIC");
        kernel.set_link_mtu("net0", 1500).expect("sets its MTU");
        kernel.create_vnic("vnic0", "net0", OWN, 0).expect("makes a vnic");
        kernel.create_vnic("vnic1", "net0", OTHER, 0).expect("makes its neighbour");
    });
    machine
}

fn frame(to: [u8; 6], from: [u8; 6], length: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[8, 0]].concat();
    frame.resize(length, 7);
    frame
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A primitive, a wait for its answer, the answer.
fn ask(link: &File, request: &[u32]) -> Vec<u8> {
    assert_eq!(put_control(link, &mut words(request)), 0);
    let mut entry = libc::pollfd { fd: link.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
    assert_eq!(host::poll_entry(&mut entry, 5000), 1, "an answer comes");
    get_control(link).1
}

/// The recommended sequence: bufmod, raw mode, levels, read mode, binding.
fn attach() -> File {
    let link = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/vnic0");
    let link = link.expect("opens");
    assert_eq!(ask(&link, &[abi::DL_INFO_REQ])[..8], words(&[abi::DL_INFO_ACK, 1500]));
    assert_eq!(push(&link, "bufmod"), 0);
    let flags = abi::SB_NO_HEADER | abi::SB_NO_PROTO_CVT;
    assert_eq!(str_ioctl(&link, abi::SBIOCSFLAGS, &mut flags.to_le_bytes()), 0);
    assert_eq!(str_ioctl(&link, abi::SBIOCSCHUNK, &mut 65536_u32.to_le_bytes()), 0);
    assert_eq!(str_ioctl(&link, abi::SBIOCSTIME, &mut [0; 16]), 0);
    assert_eq!(str_ioctl(&link, abi::DLIOCRAW, &mut []), 0);
    for level in [abi::DL_PROMISC_RX_ONLY, abi::DL_PROMISC_SAP, abi::DL_PROMISC_MULTI] {
        assert_eq!(
            ask(&link, &[abi::DL_PROMISCON_REQ, level]),
            words(&[abi::DL_OK_ACK, abi::DL_PROMISCON_REQ])
        );
    }
    assert_eq!(ioctl_value(&link, abi::I_SRDOPT, abi::RMSGD), 0);
    assert_eq!(ask(&link, &[abi::DL_BIND_REQ, 0, 0, abi::DL_CLDLS, 0])[..4], words(&[abi::DL_BIND_ACK]));
    link
}

#[test]
fn frames_go_both_ways() {
    let machine = boot();
    let before = machine.snapshot();
    let mut link = attach();
    let sent = frame([0xff; 6], OWN, 60);
    assert_eq!(link.write(&sent).expect("writes"), 60);
    assert_eq!(machine.kernel(|kernel| kernel.take_wire_frames("net0")), Ok(vec![sent.clone()]));
    assert_eq!(machine.kernel(|kernel| kernel.take_arrived_frames("vnic1")), Ok(vec![sent]));
    let come = frame(OWN, OTHER, 900);
    assert_eq!(machine.kernel(|kernel| kernel.link_sends("vnic1", &come)), Ok(()));
    assert_eq!(poll(&[&link], 0), (1, vec![libc::POLLIN]));
    let mut count = [0; 4];
    assert_eq!(ioctl_bytes(&link, abi::I_NREAD, &mut count), 1);
    assert_eq!(u32::from_le_bytes(count), 900);
    let mut buffer = [0; 2048];
    assert_eq!(link.read(&mut buffer).expect("reads"), 900);
    assert_eq!(buffer[..900], come);
    assert_eq!(link.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(link);
    assert_eq!(machine.snapshot(), before);
    assert_eq!(machine.suspicions(), []);
    machine.finish();
}

#[test]
fn a_frame_wakes_a_poller_in_another_thread() {
    let machine = boot();
    let link = attach();
    let (ready, polled) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| ready.send(poll(&[&link], -1)));
        assert!(polled.recv_timeout(Duration::from_millis(50)).is_err(), "polls while nothing is there");
        machine.kernel(|kernel| kernel.wire_brings("net0", &frame(OWN, OTHER, 60))).expect("a NIC");
        assert_eq!(polled.recv_timeout(Duration::from_secs(5)), Ok((1, vec![libc::POLLIN])));
    });
}

#[test]
fn a_writer_that_was_stopped_goes_on_when_time_has_passed() {
    let machine = boot();
    machine.kernel(|kernel| kernel.set_maxbw("vnic0", Some(2_000_000))).expect("a link");
    let mut link = attach();
    let sent = frame(OTHER, OWN, 1514);
    let written = (0..5000).take_while(|_| link.write(&sent).is_ok()).count();
    assert_eq!((written, link.write(&sent).unwrap_err().kind()), (1004, ErrorKind::WouldBlock));
    let mut entry = libc::pollfd { fd: link.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    assert_eq!(host::poll_entry(&mut entry, 0), 0);
    let started = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(move || (host::poll_entry(&mut entry, 5000), entry.revents));
        // By now it sleeps.
        thread::sleep(Duration::from_millis(50));
        machine.advance(Duration::from_secs(10));
        assert_eq!(waiting.join().expect("polls"), (1, libc::POLLOUT));
    });
    assert!(started.elapsed() < Duration::from_secs(4), "it was woken");
    assert_eq!(link.write(&sent).expect("writes"), 1514);
    assert_eq!(machine.kernel(|kernel| kernel.take_arrived_frames("vnic1")).expect("a link").len(), 1005);
}

#[test]
fn a_blocking_getmsg_waits_for_the_driver() {
    let machine = boot();
    let link = host::open("/dev/net/vnic0");
    assert_eq!(put_control(&link, &mut words(&[abi::DL_INFO_REQ])), 0);
    assert_eq!(get_control(&link).1.len(), 172);
    machine.finish();
}

#[test]
fn what_is_refused_comes_with_the_hosts_numbers() {
    let machine = boot();
    assert_eq!(File::open("/dev/net/vnic7").unwrap_err().kind(), ErrorKind::NotFound);
    let link = host::open("/dev/net/vnic0");
    assert_eq!(str_ioctl(&link, abi::DLIOCNATIVE, &mut []), -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EOPNOTSUPP));
    let refuse = Trouble::Refuse { error: abi::DL_SYSERR, unix: Errno::EBUSY.0.cast_unsigned() };
    machine.fail_nth(1, |record| record.is_about("putmsg", "DL_BIND_REQ"), refuse, Moment::Before);
    let answer = ask(&link, &[abi::DL_BIND_REQ, 0, 0, abi::DL_CLDLS, 0]);
    assert_eq!(answer, words(&[abi::DL_ERROR_ACK, abi::DL_BIND_REQ, abi::DL_SYSERR, 16]));
}

#[test]
fn a_process_killed_at_any_call_leaves_its_vnic_free() {
    let machine = boot();
    drop(attach());
    let calls = machine.calls();
    machine.finish();
    for number in 1..=calls {
        let machine = boot();
        let before = machine.snapshot();
        machine.kill_at(number);
        // The ghost trips over the first call that fails; nobody looks at the last, a close.
        let ghost = thread::spawn(|| drop(attach())).join();
        assert_eq!(ghost.is_err(), number < calls, "killed at {number}");
        assert_eq!(machine.snapshot(), before, "killed at {number}");
        assert_eq!(machine.kernel(|kernel| kernel.delete_link("vnic0")), Ok(()));
        assert_eq!(machine.take_failure(), None);
    }
}

//! The standard library's own calls reach the model, mixed with those that must not.

#[path = "interposition/datalinks.rs"]
mod datalinks;
#[path = "support/host.rs"]
mod host;

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use streams_model::abi::{self, IFF_UP};
use streams_model::{Errno, Lifreq, Machine, Moment, Trouble};

use host::{control, datagram_socket, ioctl_bytes, ioctl_value, plumb, poll};

streams_model::interpose!();

#[test]
fn std_opens_writes_and_drops_through_the_model() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let mut tap = host::open("/dev/tap");
    let fd = tap.as_raw_fd();
    assert_eq!(tap.write(&[0; 20]).unwrap_err().raw_os_error(), Some(libc::ERANGE));
    assert_eq!(tap.write(&[0; 21]).expect("writes"), 21);
    drop(tap);
    assert_eq!(machine.snapshot(), before);
    let expected = [
        format!("open(\"/dev/tap\", O_RDWR|O_CLOEXEC) = {fd}"),
        format!("write({fd}, 20) = -1 ERANGE"),
        format!("write({fd}, 21) = 21"),
        format!("close({fd}) = 0"),
    ];
    assert_eq!(machine.trace_lines(), expected);
    assert_eq!(machine.suspicions(), []);
}

#[test]
fn other_files_are_the_hosts() {
    let machine = Machine::boot();
    assert!(std::fs::read_to_string("/proc/self/status").expect("reads").contains("Name:"));
    assert!(File::open("/dev/null").is_ok());
    assert_eq!(machine.trace_lines(), [""; 0]);
}

#[test]
fn vectored_reads_take_one_frame() {
    let machine = Machine::boot();
    let mut tap = control(3);
    let frames = [vec![1; 60], vec![2; 40]];
    for frame in &frames {
        assert!(machine.inject_frame(3, frame));
    }
    let (mut head, mut tail) = ([0; 14], [0; 2048]);
    let length =
        tap.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)]).expect("reads");
    assert_eq!((length, head, &tail[..46]), (60, [1; 14], &[1; 46][..]));
    let mut buffer = [0; 2048];
    assert_eq!(tap.read(&mut buffer).expect("reads"), 40);
}

#[test]
fn plumbing_up_and_down_leaves_nothing() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let plumbed = plumb(0);
    plumbed.bring_up("tap0", [10, 77, 0, 1]);
    let state = machine.snapshot();
    assert_eq!((state.descriptors.len(), state.links.len(), state.ppas.as_slice()), (2, 2, &[0][..]));
    assert!(state.interfaces[0].is_up());
    plumbed.unplumb();
    assert_eq!(machine.snapshot(), before);
    assert_eq!(machine.suspicions(), []);
}

#[test]
fn a_mixed_poll_reports_both_kinds() {
    let machine = Machine::boot();
    let tap = control(0);
    let (reader, mut writer) = std::io::pipe().expect("makes a pipe");
    assert_eq!(poll(&[&tap, &reader], 0), (0, vec![0, 0]));
    writer.write_all(b"x").expect("writes");
    assert_eq!(poll(&[&tap, &reader], -1), (1, vec![0, libc::POLLIN]));
    assert!(machine.inject_frame(0, &[0; 60]));
    assert_eq!(poll(&[&tap, &reader], -1), (2, vec![libc::POLLIN, libc::POLLIN]));
    let started = Instant::now();
    drop(reader);
    let other = control(1);
    assert_eq!(poll(&[&other], 30), (0, vec![0]));
    assert!(started.elapsed() >= Duration::from_millis(30));
}

#[test]
fn an_injected_frame_wakes_a_poller() {
    let machine = Machine::boot();
    let tap = control(0);
    let (reader, _writer) = std::io::pipe().expect("makes a pipe");
    let (ready, polled) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| ready.send(poll(&[&tap, &reader], -1)));
        assert!(polled.recv_timeout(Duration::from_millis(50)).is_err(), "polls while nothing is there");
        machine.inject_frame(0, &[0; 60]);
        assert_eq!(polled.recv_timeout(Duration::from_secs(5)), Ok((1, vec![libc::POLLIN, 0])));
    });
}

#[test]
fn a_blocking_read_waits_for_a_frame() {
    let machine = Machine::boot();
    let mut tap = control(0);
    let (ready, read) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || ready.send(tap.read(&mut [0; 2048]).ok()));
        assert!(read.recv_timeout(Duration::from_millis(50)).is_err(), "reads while nothing is there");
        machine.inject_frame(0, &[0; 60]);
        assert_eq!(read.recv_timeout(Duration::from_secs(5)), Ok(Some(60)));
    });
}

#[test]
fn another_threads_call_wakes_a_blocking_read() {
    let machine = Machine::boot();
    let plumbed = plumb(0);
    let mut reader = plumbed.control.try_clone().expect("duplicates");
    let (ready, read) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || ready.send(reader.read(&mut [0; 2048]).ok()));
        assert!(read.recv_timeout(Duration::from_millis(50)).is_err(), "reads while nothing is there");
        // Solicitations of an IPv6 interface leave while the call that brings it up is made.
        let mux = host::open("/dev/udp6");
        host::name_ip(0, abi::IFF_IPV6, |_ip| {
            let mut request = Lifreq::default();
            request.set_name("tap0").set_flags(IFF_UP);
            assert_eq!(ioctl_bytes(&mux, abi::SIOCSLIFFLAGS, &mut request.0), 0);
            assert_eq!(read.recv_timeout(Duration::from_secs(5)), Ok(Some(78)));
        });
    });
    plumbed.unplumb();
    machine.finish();
}

#[test]
fn a_duplicate_keeps_the_stream() {
    let machine = Machine::boot();
    let tap = control(0);
    let twin = tap.try_clone().expect("duplicates");
    drop(tap);
    assert_eq!(machine.snapshot().ppas, [0]);
    machine.inject_frame(0, &[0; 60]);
    assert_eq!(poll(&[&twin], 0), (1, vec![libc::POLLIN]));
    drop(twin);
    assert_eq!(machine.snapshot().ppas, []);
}

#[test]
fn messages_go_down_and_come_up() {
    let machine = Machine::boot();
    let tap = host::open("/dev/tap");
    assert_eq!(host::put_control(&tap, &mut abi::DL_INFO_REQ.to_le_bytes()), 0);
    let (result, info) = host::get_control(&tap);
    assert_eq!((result, info.len(), &info[..4]), (0, 90, &abi::DL_INFO_ACK.to_le_bytes()[..]));
    let file = File::open("/dev/null").expect("opens");
    assert_eq!(host::get_control(&file).0, -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOSTR));
    machine.finish();
}

#[test]
fn a_socket_asks_about_interfaces_and_still_is_one() {
    let machine = Machine::boot();
    let plumbed = plumb(4);
    let socket = datagram_socket();
    let mut request = Lifreq::default();
    request.set_name("tap4");
    assert_eq!(ioctl_bytes(&socket, abi::SIOCGLIFFLAGS, &mut request.0), 0);
    assert_eq!(request.flags() & IFF_UP, 0);
    assert_eq!(machine.snapshot().descriptors.len(), 3);
    drop(socket);
    plumbed.unplumb();
    let loopback = std::net::UdpSocket::bind("127.0.0.1:0").expect("a real socket");
    let address = loopback.local_addr().expect("has an address");
    assert_eq!(loopback.send_to(b"hello", address).expect("sends"), 5);
    assert_eq!(loopback.recv(&mut [0; 8]).expect("receives"), 5);
}

#[test]
fn faults_reach_std_with_the_hosts_numbers() {
    let machine = Machine::boot();
    machine.fail_nth(
        1,
        |record| record.is_about("open", "/dev/tap"),
        Trouble::Errno(Errno::EMFILE),
        Moment::Before,
    );
    let before = machine.snapshot();
    let error = File::options().read(true).write(true).open("/dev/tap").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    assert_eq!(machine.snapshot(), before);
    let tap = control(0);
    machine.fail_nth(1, |record| record.is("I_SRDOPT"), Trouble::Errno(Errno::EALREADY), Moment::Before);
    assert_eq!(ioctl_value(&tap, abi::I_SRDOPT, abi::RMSGD), -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EALREADY));
}

#[test]
fn a_panic_of_the_machine_ends_everything_and_is_kept() {
    let machine = Machine::boot();
    let tap = control(0);
    assert_eq!(host::str_ioctl(&tap, abi::TUNNEWPPA, &mut 1_i32.to_le_bytes()), -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EIO));
    assert_eq!(poll(&[&tap], -1).0, -1, "and does not wait for ever");
    drop(tap);
    assert!(machine.take_failure().is_some_and(|failure| failure.contains("second TUNNEWPPA")));
}

#[test]
#[should_panic(expected = "never returns")]
fn a_call_that_never_returns_fails_the_test() {
    let machine = Machine::boot();
    let plumbed = plumb(0);
    plumbed.bring_up("tap0", [10, 77, 0, 1]);
    let mut request = Lifreq::default();
    request.set_name("tap0");
    assert_eq!(ioctl_bytes(&plumbed.mux, abi::SIOCSLIFFLAGS, &mut request.0), 0);
    drop(plumbed.control);
    drop(plumbed.mux);
    machine.finish();
}

#[test]
fn a_process_killed_at_any_call_leaves_nothing() {
    let machine = Machine::boot();
    plumb(0).unplumb();
    let calls = machine.calls();
    machine.finish();
    assert!(calls > 15);
    for number in 1..=calls {
        let machine = Machine::boot();
        let before = machine.snapshot();
        machine.kill_at(number);
        // The ghost trips over the first call that fails.
        let ghost = thread::spawn(|| plumb(0).unplumb()).join();
        // Nobody looks at what the last two, closes, return.
        assert_eq!(ghost.is_err(), number <= calls - 2, "killed at {number}");
        assert_eq!(machine.snapshot(), before, "killed at {number}");
        assert_eq!(machine.take_failure(), None);
    }
}

#[test]
fn nothing_of_the_model_crosses_an_exec() {
    let machine = Machine::boot();
    let plumbed = plumb(0);
    let output = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().expect("runs");
    let listing = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && listing.contains("pipe:"), "{listing}");
    assert!(!listing.contains("eventfd"), "{listing}");
    plumbed.unplumb();
    machine.finish();
}

#[test]
fn killing_the_process_leaves_nothing() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let plumbed = plumb(0);
    machine.exit();
    assert_eq!(machine.snapshot(), before);
    drop(plumbed.mux);
}

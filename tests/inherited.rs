//! Adopting descriptors that need no TAP: what is refused, in which words, and what comes back.

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, IoSliceMut, pipe};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use tap_plumb::{AttachError, Backend, Config, Frame, Offload, ReceiveError, Tap, TransmitError};

fn flags(fd: impl AsFd) -> (OFlag, FdFlag) {
    let status = fcntl(fd.as_fd(), FcntlArg::F_GETFL).unwrap();
    let descriptor = fcntl(fd.as_fd(), FcntlArg::F_GETFD).unwrap();
    (OFlag::from_bits_retain(status), FdFlag::from_bits_retain(descriptor))
}

/// The words of the refusal; asserts that the same descriptor comes back with the flags it had.
fn refused(fd: impl Into<OwnedFd>) -> String {
    let fd = fd.into();
    // Close-on-exec off, so that a flag left behind shows.
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let (number, before) = (fd.as_raw_fd(), flags(&fd));
    let error = Tap::from_fd(fd).unwrap_err();
    assert_eq!((error.fd.as_raw_fd(), flags(&error.fd)), (number, before), "{error}");
    error.to_string()
}

fn device(path: &str) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Row B27.
#[test]
fn what_is_no_tap_is_called_by_its_name() {
    let (reader, writer) = pipe().unwrap();
    for (words, text) in [
        ("a pipe", refused(reader)),
        ("a pipe", refused(writer)),
        ("a regular file", refused(File::open(std::env::current_exe().unwrap()).unwrap())),
        ("a directory", refused(File::open("/").unwrap())),
        // Linux knows what a TAP is; illumos cannot tell this device from a stream that was hung up.
        (" no ", refused(device("/dev/null"))),
        (" no ", refused(device("/dev/zero"))),
        ("does not keep frames apart", refused(UnixStream::pair().unwrap().0)),
    ] {
        assert!(text.contains(words), "{text}");
    }
}

/// Row B27.
#[test]
fn a_socket_needs_frames_and_a_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert!(refused(stream).contains("does not keep frames apart"));
    assert!(refused(listener).contains("does not keep frames apart"));
    assert!(refused(UnixDatagram::unbound().unwrap()).contains("without a peer"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    assert!(Tap::from_fd(socket.into()).is_ok());
}

/// Row B27.
#[test]
fn both_directions_must_be_open() {
    let reading = File::open("/dev/null").unwrap();
    assert!(refused(reading).contains("reading only"));
    let writing = OpenOptions::new().write(true).open("/dev/null").unwrap();
    assert!(refused(writing).contains("writing only"));
}

/// Row B26.
#[test]
fn status_flags_are_kept() {
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_APPEND)).unwrap();
    fcntl(&ours, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let before = flags(&ours).0;
    let tap = Tap::from_fd(ours.into()).unwrap();
    assert_eq!(flags(&tap), (before | OFlag::O_NONBLOCK, FdFlag::FD_CLOEXEC));
}

/// Row B26.
#[test]
fn flags_that_are_set_already_stay_set() {
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let before = flags(&ours);
    assert_eq!(before.1, FdFlag::FD_CLOEXEC);
    assert_eq!(flags(Tap::from_fd(ours.into()).unwrap()), before);
}

/// Rows F31 and F32.
#[test]
fn a_descriptor_goes_in_and_out_unchanged_in_number() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let number = ours.as_raw_fd();
    let tap = Tap::from_fd(ours.into()).unwrap();
    assert_eq!(tap.offload(), Offload::NONE);
    assert_eq!(tap.as_fd().as_raw_fd(), number);
    let fd = tap.into_fd().unwrap();
    assert_eq!(fd.as_raw_fd(), number);
    UnixDatagram::from(fd).send(b"alive").unwrap();
    assert_eq!(theirs.recv(&mut [0; 9]).unwrap(), 5);
}

#[test]
fn a_sockets_header_is_what_its_owner_says() {
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    let tap = Config::new().inherited(ours.into()).offload(Offload::ALL).attach().unwrap();
    assert_eq!(tap.offload(), Offload::ALL);
    let plain = Offload::with_header(12).unwrap();
    assert_eq!(tap.set_offload(plain).unwrap(), plain);
    assert_eq!(tap.offload(), plain);
}

#[test]
fn each_queue_is_a_descriptor_of_its_own() {
    // The other ends stay open: where that is told, an end whose other end is closed has no peer.
    let (pairs, mut others) = ((0..5).map(|_| UnixDatagram::pair().unwrap()), Vec::new());
    let mut ends: Vec<_> = pairs.map(|(ours, other)| (others.push(other), OwnedFd::from(ours)).1).collect();
    let mut pair = || ends.pop().unwrap();
    let counts = [
        (Config::new().inherited(pair()).attach_queues(2).unwrap_err(), "2 asked for, and 1 inherited"),
        (
            Config::new().inherited_queues(vec![pair(), pair()]).attach().map(drop).unwrap_err(),
            "1 asked for, and 2",
        ),
        (Config::new().inherited_queues(vec![]).attach().map(drop).unwrap_err(), "1 asked for, and 0"),
    ];
    for (error, words) in counts {
        assert!(
            matches!(error, AttachError::BadOption { .. }) && error.to_string().contains(words),
            "{error}"
        );
    }
    // Two sockets have no interface that could be the same.
    let error = Config::new().inherited_queues(vec![pair(), pair()]).attach_queues(2).unwrap_err();
    assert!(error.to_string().contains("several queues"), "{error}");
}

/// Rows B28 and B29.
#[test]
fn a_setting_that_fails_names_its_step() {
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    let error = Config::new().inherited(ours.into()).up().attach().unwrap_err();
    assert!(matches!(&error, AttachError::Request { request: "up", .. }), "{error}");
}

fn send(backend: &Backend, frame: &[u8]) -> Result<(), TransmitError> {
    backend.begin_transmit().expect("nobody else sends").send(&Frame::new(&[IoSlice::new(frame)]))
}

/// Waits until a frame has come, for a second.
fn receive(backend: &Backend) -> Option<Vec<u8>> {
    let mut room = vec![0; 2000];
    for _ in 0..1000 {
        match backend.receive(&mut [IoSliceMut::new(&mut room)]) {
            Ok(Some(received)) => return Some(room[..received.len].to_vec()),
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    None
}

/// A machine that answers "nobody listens" speaks of an earlier datagram.
#[test]
fn a_peer_of_udp_may_start_later() {
    let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (our_address, their_address) = (ours.local_addr().unwrap(), theirs.local_addr().unwrap());
    ours.connect(their_address).unwrap();
    // A peer that hears itself alone is not there, and keeps its port from other tests.
    theirs.connect(their_address).unwrap();
    let backend = Backend::new(Tap::from_fd(ours.into()).unwrap());
    let frame = [7; 60];
    for _ in 0..3 {
        send(&backend, &frame).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(matches!(backend.receive(&mut [IoSliceMut::new(&mut [0; 100])]), Ok(None)));
        send(&backend, &frame).unwrap();
    }
    theirs.connect(our_address).unwrap();
    send(&backend, &frame).unwrap();
    assert_eq!(theirs.recv(&mut [0; 100]).unwrap(), 60);
    theirs.send(&frame).unwrap();
    assert_eq!(receive(&backend).unwrap(), frame);
    assert_eq!(backend.statistics().transmit.io_error, 0);
}

#[test]
fn an_empty_datagram_is_a_runt_and_not_the_end() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let backend = Backend::new(Tap::from_fd(ours.into()).unwrap());
    theirs.send(&[]).unwrap();
    let runt = (0..1000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        backend.receive(&mut [IoSliceMut::new(&mut [0; 100])]).err()
    });
    assert!(matches!(runt, Some(ReceiveError::Runt { len: 0 })), "{runt:?}");
    theirs.send(&[7; 60]).unwrap();
    assert_eq!(receive(&backend).unwrap(), [7; 60]);
    assert_eq!(backend.statistics().receive.runt, 1);
}

#[test]
fn a_header_of_another_length_is_refused_for_every_descriptor() {
    for len in [1, 9, 11, 13, 5000, usize::MAX] {
        let (ours, _theirs) = UnixDatagram::pair().unwrap();
        let mut offload = Offload::NONE;
        offload.header_len = len;
        let attached = Config::new().inherited(ours.into()).offload(offload).attach();
        assert!(matches!(attached, Err(AttachError::BadOption { .. })), "{len}: {attached:?}");
    }
}

/// Row L4.
#[test]
fn each_descriptor_that_is_given_counts_and_a_second_source_is_an_error() {
    let end = || OwnedFd::from(UnixDatagram::pair().unwrap().0);
    let refused = |config: Config| {
        let error = config.attach().unwrap_err();
        assert!(matches!(error, AttachError::BadOption { .. }), "{error}");
        error.to_string()
    };
    let two = refused(Config::new().inherited(end()).inherited(end()));
    assert!(two.contains("1 asked for, and 2 inherited"), "{two}");
    let three = refused(Config::new().inherited_queues(vec![end(), end()]).inherited(end()));
    assert!(three.contains("3 inherited"), "{three}");
    for config in [
        Config::new().name("tap1").name("tap2"),
        Config::new().name("tap1").inherited(end()),
        Config::new().inherited(end()).name("tap1"),
        Config::new().name("tap1").any(),
        Config::new().datalink("tap1").name("tap1"),
        Config::new().must_exist().create_exclusive().name("tap1"),
        Config::new().create_exclusive().must_exist().name("tap1"),
    ] {
        let text = refused(config);
        assert!(text.contains("another source, or another value"), "{text}");
    }
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    Config::new().any().inherited(ours.into()).attach().unwrap();
}

/// Row L4.
#[test]
fn two_values_of_one_setting_are_an_error_and_the_same_twice_is_none() {
    type Set = fn(Config, u8) -> Config;
    let settings: [(&str, Set); 8] = [
        ("mtu", |config, value| config.mtu(1400 + u32::from(value))),
        ("hardware_address", |config, value| config.hardware_address([2, 0, 0, 0, 0, value])),
        ("guest_address", |config, value| config.guest_address([2, 0, 0, 0, 0, value])),
        ("queue_length", |config, value| config.queue_length(100 + u32::from(value))),
        ("persistent", |config, value| config.persistent(Some(u32::from(value)), None)),
        ("datalink_buffer", |config, value| config.datalink_buffer(65536 + u32::from(value))),
        ("setup_program", |config, value| config.setup_program(format!("/no/program/{value}"))),
        ("terminate_program", |config, value| config.terminate_program(format!("/no/program/{value}"))),
    ];
    for (name, set) in settings {
        let error = set(set(Config::new(), 1), 2).attach().unwrap_err();
        assert!(matches!(&error, AttachError::BadOption { option, .. } if option == name), "{name}: {error}");
        let (ours, _theirs) = UnixDatagram::pair().unwrap();
        let twice = set(set(Config::new().inherited(ours.into()), 1), 1).attach();
        let text = twice.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(!text.contains("another source, or another value"), "{name}: {text}");
    }
}

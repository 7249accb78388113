//! A hypervisor that means ill: it may hurt its own connection, and nobody else's.
#![expect(unsafe_code, reason = "the library's event descriptors are not owned safely")]

#[path = "../fuzz/src/chains.rs"]
mod chains;
#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
mod support;

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use support::frame;
use support::hypervisor::{Guest, Host, PATIENCE, exchange, host_receives, readable};
use vhost::VhostBackend;
use vmm_sys_util::eventfd::EventFd;

/// Sends a request with descriptors.
fn request(stream: &UnixStream, request: u32, payload: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let header = [request, 1, payload.len() as u32].map(u32::to_le_bytes).concat();
    send(stream, &[&header, payload].concat(), descriptors);
}

fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL);
    assert_eq!(sent.unwrap(), bytes.len());
}

fn connect(host: &Host) -> UnixStream {
    let stream = UnixStream::connect(&host.path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the other end of a socket is closed, everywhere.
fn is_closed(stream: &UnixStream) -> bool {
    let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let mut polled = [PollFd::new(stream, PollFlags::IN)];
    poll(&mut polled, Some(&timeout)).unwrap();
    polled[0].revents().contains(PollFlags::HUP)
}

/// Whether the connection still answers.
fn answers(mut stream: &UnixStream) -> bool {
    request(stream, 1, &[], &[]);
    stream.read_exact(&mut [0; 20]).is_ok()
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn owned(event: EventFd) -> OwnedFd {
    let number = event.as_raw_fd();
    std::mem::forget(event);
    // SAFETY: the descriptor of `event`, which has forgotten it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// An event descriptor that takes no more, in any way that blocks.
fn full_events() -> [(&'static str, OwnedFd, Option<OwnedFd>); 2] {
    let event = EventFd::new(0).unwrap();
    event.write(u64::MAX - 1).unwrap();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
    while rustix::io::write(&writer, &[0]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    [("eventfd", owned(event), None), ("pipe", writer, Some(reader))]
}

/// The number of a transmit ring's message, and its call descriptor.
fn set_call(guest: &Guest, ring: u64, stream: &UnixStream, call: &OwnedFd) {
    request(stream, 13, &ring.to_le_bytes(), &[call.as_fd()]);
    // Answered when the other was carried out.
    assert!(guest.frontend.get_features().is_ok());
}

/// Row V1.
#[test]
fn a_full_call_descriptor_is_not_waited_for() {
    for (name, call, _reader) in full_events() {
        let mut host = Host::new("full", 1);
        let (mut guest, stream) = Guest::connect_with_stream(&host, 1);
        set_call(&guest, 1, &stream, &call);
        for _ in 0..3 {
            guest.offer(0, &frame(60));
            assert_eq!(host_receives(&host.wires[0]), frame(60), "{name}");
        }
        host.end();
    }
}

/// Row V1.
#[test]
fn the_end_comes_though_the_peer_makes_its_descriptor_block_again() {
    for (name, call, _reader) in full_events() {
        let mut host = Host::new("blocks", 1);
        let (mut guest, stream) = Guest::connect_with_stream(&host, 1);
        set_call(&guest, 1, &stream, &call);
        fcntl_setfl(&call, OFlags::empty()).unwrap();
        guest.offer(0, &frame(60));
        assert_eq!(host_receives(&host.wires[0]), frame(60), "{name}");
        host.end();
    }
}

#[test]
fn a_kick_descriptor_whose_other_end_is_closed_is_left_alone() {
    let mut host = Host::new("closed", 1);
    let (guest, stream) = Guest::connect_with_stream(&host, 1);
    for ring in 0..2_u64 {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        request(&stream, 12, &ring.to_le_bytes(), &[reader.as_fd()]);
        drop(writer);
    }
    assert!(guest.frontend.get_features().is_ok());
    let before = processor_time();
    std::thread::sleep(Duration::from_millis(500));
    let spent = processor_time() - before;
    assert!(spent < Duration::from_millis(200), "{spent:?} of 500 ms");
    host.end();
}

/// Row V2.
#[test]
fn descriptors_that_no_message_has_are_closed_at_once() {
    let mut host = Host::new("stray", 1);
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let number = words(&[0, 0]);
    // Requests without descriptors that are carried out, each with its payload.
    let requests: [(u32, &[u8]); 11] = [
        (1, &[]),
        (2, &number),
        (3, &[]),
        (4, &[]),
        (8, &words(&[0, 16])),
        (10, &number),
        (11, &number),
        (15, &[]),
        (16, &number),
        (17, &[]),
        (18, &number),
    ];
    let stream = connect(&host);
    for (number, payload) in requests {
        let (near, far) = UnixStream::pair().unwrap();
        request(&stream, number, payload, &[far.as_fd(); 3]);
        drop(far);
        assert!(is_closed(&near), "after request {number}");
    }
    // Hypervisors are served one after the other.
    drop(stream);
    // Of the others, those that have descriptors are refused with these ones, or not known.
    for number in (0..64).filter(|number| requests.iter().all(|(known, _)| known != number)) {
        let (stream, (near, far)) = (connect(&host), UnixStream::pair().unwrap());
        request(&stream, number, &[0; 8], &[far.as_fd()]);
        drop((far, stream));
        assert!(is_closed(&near), "after request {number}");
    }
    host.end();
}

/// Row V2.
#[test]
fn descriptors_are_closed_before_the_rest_of_their_message_comes() {
    let mut host = Host::new("rest", 1);
    let (stream, (near, far)) = (connect(&host), UnixStream::pair().unwrap());
    // SET_FEATURES, whose payload of 8 bytes is still to come.
    send(&stream, &[2, 1, 8].map(u32::to_le_bytes).concat(), &[far.as_fd()]);
    drop(far);
    assert!(is_closed(&near));
    (&stream).write_all(&[0; 8]).unwrap();
    assert!(answers(&stream));
    drop(stream);
    host.end();
}

/// Row V2.
#[test]
fn the_end_of_a_peer_that_passes_its_own_socket_is_seen() {
    let mut host = Host::new("own", 1);
    for number in [1, 12, 13, 14] {
        let stream = connect(&host);
        let payload: &[u8] = if number == 1 { &[] } else { &[0; 8] };
        request(&stream, number, payload, &[stream.as_fd()]);
        drop(stream);
        let mut guest = Guest::connect(&host, 1);
        exchange(&host, &mut guest, 0);
    }
    host.end();
}

/// Row V2.
#[test]
fn a_message_with_too_many_descriptors_ends_its_connection_only() {
    let mut host = Host::new("many", 1);
    let stream = connect(&host);
    let (near, far) = UnixStream::pair().unwrap();
    request(&stream, 1, &[], &[far.as_fd(); 253]);
    drop(far);
    assert!(is_closed(&near) && is_closed(&stream));
    let mut guest = Guest::connect(&host, 1);
    exchange(&host, &mut guest, 0);
    host.end();
}

/// Row V5.
#[test]
fn memory_that_is_no_file_or_too_short_is_refused() {
    let mut host = Host::new("short", 1);
    let table = [1_u64, 0, 0x1_0000, 0x7000_0000, 0].map(u64::to_le_bytes).concat();
    let file = rustix::fs::memfd_create("short", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, 0xffff).unwrap();
    let (socket, _far) = UnixStream::pair().unwrap();
    let zero = std::fs::File::open("/dev/zero").unwrap();
    for descriptor in [file.as_fd(), socket.as_fd(), zero.as_fd()] {
        let stream = connect(&host);
        request(&stream, 5, &table, &[descriptor]);
        assert!(is_closed(&stream));
    }
    let stream = connect(&host);
    request(&stream, 5, &table, &[]);
    assert!(is_closed(&stream));
    host.end();
}

/// Row V5.
#[test]
fn memory_that_is_cut_short_ends_the_connection_and_nothing_else() {
    let mut host = Host::new("cut", 1);
    for size in [0, 0x1000, 0x8000] {
        let (mut guest, stream) = Guest::connect_with_stream(&host, 1);
        exchange(&host, &mut guest, 0);
        // The rings, or the frames only; with kicks until the device has looked.
        guest.file.set_len(size).unwrap();
        let start = Instant::now();
        while !is_hung_up(&stream) {
            guest.rings.iter().for_each(|ring| ring.kick.write(1).unwrap());
            assert!(start.elapsed() < PATIENCE, "cut to {size:#x}");
        }
        drop(guest);
    }
    let mut guest = Guest::connect(&host, 1);
    exchange(&host, &mut guest, 0);
    host.end();
}

fn is_hung_up(stream: &UnixStream) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 })).unwrap();
    polled[0].revents().contains(PollFlags::HUP)
}

/// Row V3.
#[test]
fn a_name_beside_the_socket_is_nothing_to_the_daemon() {
    let host = Host::new("names", 1);
    let mut path = host.path.clone().into_os_string();
    path.push(".inner");
    let _theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut host = host;
    let mut guest = Guest::connect(&host, 1);
    exchange(&host, &mut guest, 0);
    assert!(std::path::Path::new(&path).exists());
    std::fs::remove_file(&path).unwrap();
    host.end();
}

#[test]
fn half_a_message_does_not_hold_up_the_end() {
    for bytes in [&[1_u8, 0][..], &[1, 0, 0, 0, 1, 0, 0, 0, 200, 0, 0, 0, 1]] {
        let mut host = Host::new("half", 1);
        let mut stream = connect(&host);
        assert!(answers(&stream));
        stream.write_all(bytes).unwrap();
        host.end();
    }
}

#[test]
fn a_peer_that_reads_no_answers_does_not_hold_up_the_end() {
    let mut host = Host::new("unread", 1);
    let mut stream = connect(&host);
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let asks = [1_u32, 1, 0].map(u32::to_le_bytes).concat().repeat(1000);
    while stream.write_all(&asks).is_ok() {}
    host.end();
    readable(&stream);
}

/// What the fuzzer has kept, replayed without a fuzzer: `fuzz/` needs a nightly compiler, this does not.
#[test]
fn rings_of_any_kind_do_no_harm() {
    corpus::replay(include_str!("../fuzz/chains.corpus"), chains::chains);
}

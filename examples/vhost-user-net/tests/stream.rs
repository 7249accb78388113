//! QEMU's stream: a guest that can do nothing behind a TAP that leaves everything undone.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use support::{frame, wire};
use tap_plumb::{Backend, Config, Offload, internet_checksum};
use tap_plumb_vhost_user::pair::Pair;
use tap_plumb_vhost_user::revive::Reviver;
use tap_plumb_vhost_user::socket::{ServeError, Socket};
use tap_plumb_vhost_user::stop::Stop;
use tap_plumb_vhost_user::stream;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

struct Host {
    path: PathBuf,
    wire: UnixDatagram,
    pair: Arc<Pair>,
    stop: Arc<Stop>,
    thread: JoinHandle<Result<(), ServeError>>,
}

impl Host {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tap-plumb-stream-{name}-{}", std::process::id()));
        let (near, wire) = wire();
        wire.set_nonblocking(false).unwrap();
        wire.set_read_timeout(PATIENCE).unwrap();
        wire.set_write_timeout(PATIENCE).unwrap();
        let tap = Config::new().inherited(near.into()).offload(Offload::ALL).attach().unwrap();
        let pair = Arc::new(Pair::new(Backend::new(tap), false).unwrap());
        let (stop, socket) = (Arc::new(Stop::new().unwrap()), Socket::listen(&path).unwrap());
        let (for_thread, stop_thread) = (Arc::clone(&pair), Arc::clone(&stop));
        let run = move || stream::run(&socket, &for_thread, &Reviver::default(), &stop_thread, false);
        Self { path, wire, pair, stop, thread: thread::spawn(run) }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(PATIENCE).unwrap();
        stream.set_write_timeout(PATIENCE).unwrap();
        // What is queued is dropped for a new guest: a frame there and back shows that it is in.
        send(&stream, &frame(60));
        assert_eq!(self.receive(), frame(60));
        stream
    }

    fn receive(&self) -> Vec<u8> {
        let mut bytes = vec![0; 70_000];
        let len = self.wire.recv(&mut bytes).unwrap();
        bytes[12..len].to_vec()
    }

    fn end(self) {
        self.stop.ask();
        self.thread.join().unwrap().unwrap();
        assert!(!self.path.exists());
    }
}

fn send(mut stream: &UnixStream, frame: &[u8]) {
    stream.write_all(&[&(frame.len() as u32).to_be_bytes(), frame].concat()).unwrap();
}

fn receive(mut stream: &UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    frame
}

/// An oversized TCP frame over IPv4 of `payload` bytes, with what is left to do on it.
fn oversized(payload: usize, segment: u16) -> Vec<u8> {
    let mut bytes = vec![0; 12 + 54];
    bytes[..2].copy_from_slice(&[1, 1]);
    for (at, value) in [(2, 54), (4, segment), (6, 34), (8, 16)] {
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    bytes[12 + 12..12 + 15].copy_from_slice(&[8, 0, 0x45]);
    bytes[12 + 16..12 + 18].copy_from_slice(&(40 + payload as u16).to_be_bytes());
    bytes[12 + 22..12 + 24].copy_from_slice(&[64, 6]);
    bytes[12 + 26..12 + 34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    bytes[12 + 46..12 + 48].copy_from_slice(&[0x50, 0x10]);
    bytes.extend(frame(payload));
    bytes
}

/// Whether the TCP checksum of a frame without options is right.
fn is_complete(frame: &[u8]) -> bool {
    let length = ((frame.len() - 34) as u16).to_be_bytes();
    internet_checksum(&[&frame[26..34], &[0, 6], &length, &frame[34..]].concat()) == 0
}

#[test]
fn oversized_frames_arrive_cut_and_complete() {
    let host = Host::new("cut");
    let stream = host.connect();
    let wire = host.wire.try_clone().unwrap();
    let sending = thread::spawn(move || {
        for _ in 0..20 {
            wire.send(&oversized(60_000, 1448)).unwrap();
        }
        wire.send(&[&[0; 12][..], &frame(60)].concat()).unwrap();
    });
    for _ in 0..20 {
        let mut payload = Vec::new();
        while payload.len() < 60_000 {
            let segment = receive(&stream);
            assert!(segment.len() <= 54 + 1448 && is_complete(&segment), "{} bytes", segment.len());
            payload.extend_from_slice(&segment[54..]);
        }
        assert!(payload == frame(60_000));
    }
    assert_eq!(receive(&stream), frame(60));
    sending.join().unwrap();
    assert_eq!(host.pair.counts.receive.longer_than_1514.get(), 20);
    assert_eq!(host.pair.counts.receive_segments_cut.get(), 20 * 60_000_u64.div_ceil(1448) + 1);
    host.end();
}

#[test]
fn frames_of_any_grain_arrive_in_order() {
    let host = Host::new("grain");
    let stream = host.connect();
    let sender = stream.try_clone().unwrap();
    let lengths = [60, 1514, 14, 9000, 61];
    let bytes: Vec<u8> =
        lengths.iter().flat_map(|len| [&(*len as u32).to_be_bytes()[..], &frame(*len)].concat()).collect();
    let sending = thread::spawn(move || {
        for part in bytes.chunks(97) {
            (&sender).write_all(part).unwrap();
            thread::sleep(Duration::from_micros(50));
        }
    });
    for len in lengths {
        assert_eq!(host.receive(), frame(len));
    }
    sending.join().unwrap();
    host.end();
}

#[test]
fn a_full_tap_holds_the_guest_back_and_loses_nothing() {
    let host = Host::new("full");
    let stream = host.connect();
    rustix::net::sockopt::set_socket_send_buffer_size(&host.pair.backend, 1).unwrap();
    let sender = stream.try_clone().unwrap();
    let sending = thread::spawn(move || {
        (0..2000_u32).for_each(|number| send(&sender, &number.to_le_bytes().repeat(50)))
    });
    while host.pair.backend.statistics().transmit.would_block == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    for number in 0..2000_u32 {
        assert_eq!(host.receive(), number.to_le_bytes().repeat(50));
    }
    sending.join().unwrap();
    host.end();
}

#[test]
fn what_the_tap_refuses_is_dropped_and_counted() {
    let host = Host::new("refused");
    let stream = host.connect();
    send(&stream, &[1; 13]);
    send(&stream, &[]);
    send(&stream, &frame(61));
    assert_eq!(host.receive(), frame(61));
    assert_eq!(host.pair.backend.statistics().transmit.runt, 2);
    host.end();
}

#[test]
fn nonsense_ends_its_own_connection_only() {
    let host = Host::new("nonsense");
    let mut stream = host.connect();
    stream.write_all(&u32::MAX.to_be_bytes()).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed");
    let next = host.connect();
    next.shutdown(Shutdown::Both).unwrap();
    drop(host.connect());
    host.end();
}

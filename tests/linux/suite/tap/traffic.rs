//! Frames arrive, and are counted.

use std::io::{IoSlice, IoSliceMut};

use tap_plumb::{Backend, Config, Frame, LinkState, Offload, ReceiveError};

use super::host::{self, PacketSocket, ip, wait_until};

// Frames arrive equal, in order, and none is lost that is not counted.

/// An emulated processor gets fewer.
fn frames_each_way() -> u64 {
    std::env::var("TAP_PLUMB_TRAFFIC_FRAMES").map_or(1_000_000, |text| text.parse().expect("a number"))
}

/// Frames under way at once; a packet socket's buffer holds as many of the longest.
const WINDOW: u64 = 64;
const SHORTEST: usize = 60;
const LONGEST: usize = 1514;

/// A xorshift generator: the same frames in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Frames of random length, cut from a pool of random bytes at random places, and numbered.
struct Frames {
    random: Random,
    pool: Vec<u8>,
}

impl Frames {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let pool = (0..1 << 17).flat_map(|_| random.next().to_le_bytes()).collect();
        Self { random, pool }
    }

    fn window(&mut self, first: u64) -> Vec<Vec<u8>> {
        (first..first + WINDOW)
            .map(|number| {
                let len = SHORTEST + self.random.next() as usize % (LONGEST - SHORTEST + 1);
                let at = self.random.next() as usize % (self.pool.len() - LONGEST);
                let mut frame = host::frame(len, number);
                frame[22..].copy_from_slice(&self.pool[at..at + len - 22]);
                frame
            })
            .collect()
    }
}

/// Rows F6 and F20.
pub(crate) fn a_million_frames_each_way_arrive_equal_and_in_order() {
    let backend = host::backend(Config::new());
    let host = PacketSocket::new("tap0");
    let mut frames = Frames::new(0x5eed);
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let mut session = backend.begin_transmit().unwrap();
    let count = frames_each_way().next_multiple_of(WINDOW);
    for first in (0..count).step_by(WINDOW as usize) {
        let window = frames.window(first);
        for frame in &window {
            host.send(frame);
        }
        for frame in &window {
            let received = backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap().expect("a frame");
            assert_eq!(&buffer[..received.len], frame);
        }
        assert_eq!(backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap(), None);
        for frame in &window {
            session.send(&Frame::new(&[IoSlice::new(frame)])).unwrap();
        }
        for frame in &window {
            let len = host.receive(&mut buffer).expect("a frame");
            assert_eq!(&buffer[..len], frame);
        }
    }
    drop(session);
    let all = backend.statistics();
    assert_eq!((all.transmit.frames_sent, all.receive.frames_delivered), (count, count));
    assert_eq!(all.dropped_by_host, Some(0));
    host::assert_adds_up(&backend);
}

/// Row S2.
pub(crate) fn frames_that_were_not_read_in_time_are_in_the_hosts_own_count() {
    let backend = host::backend(Config::new());
    let host = PacketSocket::new("tap0");
    for number in 0..1500 {
        host.send(&host::frame(60, number));
    }
    assert_eq!(backend.discard_queued(), 1000, "the host's queue is as long as its transmit queue length");
    assert_eq!(backend.statistics().dropped_by_host, Some(500));
}

/// Rows B13 and S8.
pub(crate) fn frame_of_a_raised_mtu_is_not_cut_to_the_old_buffer() {
    let backend = host::backend(Config::new());
    let host = PacketSocket::new("tap0");
    let mut buffer = vec![0; backend.receive_buffer_len()];
    backend.tap().set_mtu(9000).unwrap();
    host.send(&host::frame(4000, 1));
    let result = backend.receive(&mut [IoSliceMut::new(&mut buffer)]);
    assert!(matches!(result, Err(ReceiveError::Truncated { .. })), "{result:?}");
    assert!(backend.receive_buffer_len() > 9000, "the size it advises has grown");
    let mut buffer = vec![0; backend.receive_buffer_len()];
    host.send(&host::frame(4000, 2));
    let received = backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap().expect("a frame");
    assert_eq!(buffer[..received.len], host::frame(4000, 2));
    host::assert_adds_up(&backend);
}

// What the crate counts is what the kernel counts at the other end of the descriptor.

/// Packets and bytes that the interface has sent towards the guest, and taken from it.
fn kernel() -> [[u64; 2]; 2] {
    let text = ip("-s link show tap0");
    let lines: Vec<&str> = text.lines().collect();
    ["TX:", "RX:"].map(|way| {
        let at = lines.iter().position(|line| line.trim().starts_with(way)).unwrap();
        let numbers: Vec<u64> =
            lines[at + 1].split_whitespace().take(2).map(|it| it.parse().unwrap()).collect();
        [numbers[1], numbers[0]]
    })
}

fn ours(backend: &Backend) -> [[u64; 2]; 2] {
    let all = backend.statistics();
    [
        [all.receive.frames_received, all.receive.bytes_received],
        [all.transmit.segments_sent, all.transmit.bytes_sent],
    ]
}

/// Row X11.
pub(crate) fn what_is_counted_is_what_the_kernel_counts() {
    for offload in [Offload::NONE, Offload::HEADER_12] {
        let backend = host::backend(Config::new().offload(offload).mtu(9000));
        let socket = PacketSocket::new("tap0");
        let lengths = [60, 64, 65, 1514, 9000];
        let queue = || lengths.iter().for_each(|len| socket.send(&host::frame(*len, 1)));
        let mut room = vec![0; 70_000];
        queue();
        while backend.receive(&mut [IoSliceMut::new(&mut room)]).unwrap().is_some() {}
        assert_eq!(ours(&backend), kernel(), "delivered");
        queue();
        assert_eq!(backend.discard_queued(), 5);
        assert_eq!(ours(&backend), kernel(), "stale");
        queue();
        backend.set_link_state(LinkState::Down);
        assert!(backend.receive(&mut [IoSliceMut::new(&mut room)]).unwrap().is_none());
        assert_eq!(ours(&backend), kernel(), "while the link was down");
        backend.set_link_state(LinkState::Up);
        wait_until("carrier", || ip("link show tap0").contains("LOWER_UP"));
        queue();
        backend.set_link_state(LinkState::Down);
        backend.set_link_state(LinkState::Up);
        assert_eq!(ours(&backend), kernel(), "before it was up");
        assert_eq!(backend.statistics().receive.link_down, 10);
        for len in [60, 1514, 9000] {
            backend
                .begin_transmit()
                .unwrap()
                .send(&Frame::new(&[IoSlice::new(&host::frame(len, 1))]))
                .unwrap();
        }
        let verbatim = vec![0; offload.header_len + 100];
        backend.send_verbatim(&[IoSlice::new(&verbatim)]).unwrap();
        assert_eq!(ours(&backend), kernel(), "sent");
        truncated(&backend, &socket);
        host::assert_adds_up(&backend);
        drop(backend);
    }
}

/// Of a frame that was cut, only what was read is known: its frame is counted, its bytes are not the kernel's.
fn truncated(backend: &Backend, socket: &PacketSocket) {
    socket.send(&host::frame(1514, 1));
    let cut = backend.receive(&mut [IoSliceMut::new(&mut [0; 100])]);
    assert!(matches!(cut, Err(ReceiveError::Truncated { room: 100 })), "{cut:?}");
    let ([ours, _], [kernel, _]) = (ours(backend), kernel());
    assert_eq!((ours[0], ours[1] + 1414), (kernel[0], kernel[1]));
}

/// Row X11. The kernel answers EINVAL to room that its header does not fit, and drops the frame.
pub(crate) fn a_frame_whose_header_finds_no_room_is_counted_as_cut() {
    for offload in [Offload::HEADER_10, Offload::HEADER_12] {
        let backend = host::backend(Config::new().offload(offload));
        let socket = PacketSocket::new("tap0");
        for len in 0..=offload.header_len {
            socket.send(&host::frame(60, 1));
            let mut room = vec![0; len];
            let mut slices = [IoSliceMut::new(&mut room)];
            let cut = backend.receive_with_header(&mut slices[..len.min(1)]);
            assert!(matches!(cut, Err(ReceiveError::Truncated { room: 0 })), "{len}: {cut:?}");
            let all = backend.statistics().receive;
            let taken = 1 + len as u64;
            assert_eq!((all.frames_received, all.truncated, all.io_error), (taken, taken, 0), "{len}");
        }
        assert_eq!(backend.discard_queued(), 0, "each call took one");
        host::assert_adds_up(&backend);
    }
}

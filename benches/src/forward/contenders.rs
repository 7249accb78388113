//! The forwarders: each with two interfaces of its own, one in this namespace and one in the far one.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::unistd::{read, write};
use tap_plumb::{Backend, Config, Frame, Offload};
use tun_rs::{DeviceBuilder, GROTable, IDEAL_BATCH_SIZE, Layer, SyncDevice, VIRTIO_NET_HDR_LEN};

use super::far::Far;
use super::relay::{BUDGET, Mover, Relay, direction};
use crate::rig::{Aligned, Outcome};

/// The largest frame behind the longest header, and one byte.
const ROOM: usize = 12 + 65535 + 22 + 1;
const PART: usize = VIRTIO_NET_HDR_LEN + 1500;
const SEED_BUFFER: usize = 16384;

pub struct Contender {
    pub name: String,
    /// The address of the interface in the far namespace.
    pub server: String,
    relay: Relay,
}

impl Contender {
    fn new(number: u8, mover: impl Mover) -> Outcome<Self> {
        let server = format!("10.9.{number}.2");
        Ok(Self { name: format!("forwarder {number}"), server, relay: Relay::start(mover)? })
    }

    pub fn stop(self) -> Outcome<()> {
        self.relay.stop()
    }
}

/// One interface here, one there.
fn ends<T: Send>(far: &Far, make: impl Fn(u8) -> Outcome<T> + Sync) -> Outcome<[T; 2]> {
    Ok([make(1)?, far.run(|| make(2))?])
}

fn attach(far: &Far, number: u8, offload: Offload) -> Outcome<[Backend; 2]> {
    ends(far, |end| {
        let config = Config::new().name(format!("tap{number}")).offload(offload);
        Ok(Backend::new(config.address([10, 9, number, end].into(), 24).up().attach()?))
    })
}

fn open(far: &Far, number: u8, layer: Layer, offload: bool) -> Outcome<[SyncDevice; 2]> {
    ends(far, |end| {
        let builder = DeviceBuilder::new().name(format!("tun{number}")).layer(layer).mtu(1500);
        let device =
            builder.offload(offload).ipv4(Ipv4Addr::new(10, 9, number, end), 24, None).build_sync()?;
        device.set_nonblocking(true)?;
        Ok(device)
    })
}

struct WithOffload([Backend; 2], Aligned);

/// The virtio-net header goes along: what one host left undone, the other one does.
pub fn ours_with_offload(far: &Far, number: u8) -> Outcome<Contender> {
    Contender::new(number, WithOffload(attach(far, number, Offload::ALL)?, Aligned::new(ROOM)))
}

impl Mover for WithOffload {
    fn fds(&self) -> [BorrowedFd<'_>; 2] {
        self.0.each_ref().map(AsFd::as_fd)
    }

    fn turn(&mut self, from: usize) {
        let Self(ends, buffer) = self;
        let (from, to) = direction(ends, from);
        let mut session = to.begin_transmit().expect("nobody else sends");
        for _ in 0..BUDGET {
            let received = from.receive_with_header(&mut [IoSliceMut::new(buffer)]).expect("receive");
            let Some(len) = received else { break };
            session.send_with_header(&[IoSlice::new(&buffer[..len])], 12).expect("send");
        }
    }
}

struct Plain([Backend; 2], Aligned);

pub fn ours(far: &Far, number: u8) -> Outcome<Contender> {
    Contender::new(number, Plain(attach(far, number, Offload::NONE)?, Aligned::new(ROOM)))
}

impl Mover for Plain {
    fn fds(&self) -> [BorrowedFd<'_>; 2] {
        self.0.each_ref().map(AsFd::as_fd)
    }

    fn turn(&mut self, from: usize) {
        let Self(ends, buffer) = self;
        let (from, to) = direction(ends, from);
        let mut session = to.begin_transmit().expect("nobody else sends");
        for _ in 0..BUDGET {
            let received = from.receive(&mut [IoSliceMut::new(buffer)]).expect("receive");
            let Some(received) = received else { break };
            session.send(&Frame::new(&[IoSlice::new(&buffer[..received.len])])).expect("send");
        }
    }
}

struct Peer([SyncDevice; 2], Aligned);

pub fn tun_rs(far: &Far, number: u8) -> Outcome<Contender> {
    Contender::new(number, Peer(open(far, number, Layer::L2, false)?, Aligned::new(ROOM)))
}

impl Mover for Peer {
    fn fds(&self) -> [BorrowedFd<'_>; 2] {
        self.0.each_ref().map(AsFd::as_fd)
    }

    fn turn(&mut self, from: usize) {
        let Self(ends, buffer) = self;
        let (from, to) = direction(ends, from);
        for _ in 0..BUDGET {
            let Some(len) = found(from.recv(buffer)) else { break };
            to.send(&buffer[..len]).expect("send");
        }
    }
}

/// tun-rs cuts what it receives, and joins what it sends.
struct PeerWithOffload {
    devices: [SyncDevice; 2],
    whole: Vec<u8>,
    parts: Vec<Vec<u8>>,
    sizes: Vec<usize>,
    table: GROTable,
}

/// Room for a packet of the MTU, and capacity for as many as are joined to it.
fn part() -> Vec<u8> {
    let mut part = Vec::with_capacity(VIRTIO_NET_HDR_LEN + 65535);
    part.resize(PART, 0);
    part
}

/// In TUN mode: its offload does not work in TAP mode.
pub fn tun_rs_with_offload(far: &Far, number: u8) -> Outcome<Contender> {
    let devices = open(far, number, Layer::L3, true)?;
    let mover = PeerWithOffload {
        devices,
        whole: vec![0; VIRTIO_NET_HDR_LEN + 65535],
        parts: (0..IDEAL_BATCH_SIZE).map(|_| part()).collect(),
        sizes: vec![0; IDEAL_BATCH_SIZE],
        table: GROTable::new(),
    };
    Contender::new(number, mover)
}

impl Mover for PeerWithOffload {
    fn fds(&self) -> [BorrowedFd<'_>; 2] {
        self.devices.each_ref().map(AsFd::as_fd)
    }

    fn turn(&mut self, from: usize) {
        let Self { devices, whole, parts, sizes, table } = self;
        let (from, to) = direction(devices, from);
        for _ in 0..BUDGET {
            let received = from.recv_multiple(whole, parts, sizes, VIRTIO_NET_HDR_LEN);
            let Some(count) = found(received) else { break };
            let parts = &mut parts[..count];
            parts.iter_mut().zip(&*sizes).for_each(|(part, size)| part.truncate(VIRTIO_NET_HDR_LEN + size));
            to.send_multiple(table, parts, VIRTIO_NET_HDR_LEN).expect("send");
            parts.iter_mut().for_each(|part| part.resize(PART, 0));
        }
    }
}

struct Seed([Backend; 2], Aligned);

/// The seed's design: a poll, one read and one write for each frame.
pub fn seed(far: &Far, number: u8) -> Outcome<Contender> {
    Contender::new(number, Seed(attach(far, number, Offload::NONE)?, Aligned::new(SEED_BUFFER)))
}

impl Mover for Seed {
    fn fds(&self) -> [BorrowedFd<'_>; 2] {
        self.0.each_ref().map(AsFd::as_fd)
    }

    fn turn(&mut self, from: usize) {
        let Self(ends, buffer) = self;
        let (from, to) = direction(ends, from);
        if let Ok(len) = read(from, buffer) {
            assert_eq!(write(to, &buffer[..len]), Ok(len));
        }
    }
}

/// What came, or `None` when nothing was there.
fn found<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Ok(what) => Some(what),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("tun-rs: {error}"),
    }
}

//! A pair of queues over a socket pair that stands in for a TAP.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of it")]

pub(crate) mod driver;
pub(crate) mod hypervisor;

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use driver::{Driver, RING};
use tap_plumb::{Backend, Config, Offload};
use tap_plumb_vhost_user::features::Negotiated;
use tap_plumb_vhost_user::memory::Memory;
use tap_plumb_vhost_user::pair::{Pair, Turn};

pub(crate) const VERSION_1: u64 = 1 << 32;
pub(crate) const MERGEABLE: u64 = 1 << 15;
pub(crate) const GUEST_CSUM: u64 = 1 << 1;
pub(crate) const GUEST_TSO4: u64 = 1 << 7;

/// Where frames may be put in the guest's memory.
pub(crate) const DATA: u64 = 2 * RING;
/// A second region begins here, right behind the first.
pub(crate) const BORDER: u64 = 0x40000;
pub(crate) const END: u64 = 0x80000;
pub(crate) const SIZE: u16 = 16;

/// Two ends of a wire that keeps frames apart; ours does not block.
pub(crate) fn wire() -> (UnixDatagram, UnixDatagram) {
    let (near, far) = UnixDatagram::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    (near, far)
}

/// A TAP with a header of `header_len` bytes.
pub(crate) fn backend(near: UnixDatagram, header_len: usize) -> Backend {
    let offload = Offload::with_header(header_len).unwrap_or(Offload::NONE);
    Backend::new(Config::new().inherited(near.into()).offload(offload).attach().unwrap())
}

pub(crate) struct Rig {
    pub(crate) memory: Arc<Memory>,
    pub(crate) receive: Driver,
    pub(crate) transmit: Driver,
    pub(crate) pair: Pair,
    pub(crate) host: UnixDatagram,
}

impl Rig {
    pub(crate) fn new(features: u64) -> Self {
        Self::with(features, 12, false)
    }

    pub(crate) fn with(features: u64, header_len: usize, event_idx: bool) -> Self {
        let ranges = [(0, BORDER as usize), (BORDER, (END - BORDER) as usize)];
        let memory = Arc::new(Memory::anonymous(&ranges).unwrap());
        let (mut receive, mut transmit) = (Driver::new(&memory, 0, SIZE), Driver::new(&memory, RING, SIZE));
        let (near, host) = wire();
        let pair = Pair::new(backend(near, header_len), false).unwrap();
        pair.agree(Negotiated::new(features)).unwrap();
        pair.set_up(|work| {
            work.memory = Arc::clone(&memory);
            work.rings = [receive.vring(event_idx), transmit.vring(event_idx)];
        });
        let rig = Self { memory, receive, transmit, pair, host };
        // The first turn finds that the guest is there now.
        rig.run();
        rig
    }

    pub(crate) fn run(&self) -> Turn {
        let turn = self.pair.turn();
        assert!(!turn.gone, "the wire is not gone");
        turn
    }

    /// What the host got, if anything.
    pub(crate) fn sent(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 70_000];
        let len = self.host.recv(&mut bytes).ok()?;
        bytes.truncate(len);
        Some(bytes)
    }

    /// Offers a frame that lies in `parts`, header first, as a chain from descriptor `head` on.
    pub(crate) fn offer_frame(&mut self, head: u16, parts: &[(u64, &[u8])]) {
        for (address, bytes) in parts {
            self.transmit.write(*address, bytes);
        }
        let places: Vec<_> = parts.iter().map(|(address, bytes)| (*address, bytes.len() as u32)).collect();
        self.transmit.chain(head, &places, 0);
        self.transmit.offer(head);
    }

    /// Offers room for frames as one chain.
    pub(crate) fn offer_room(&mut self, head: u16, parts: &[(u64, u32)]) {
        self.receive.chain(head, parts, driver::WRITE);
        self.receive.offer(head);
    }

    /// The host sends a frame without requests in its header.
    pub(crate) fn host_sends(&self, frame: &[u8]) {
        self.host.send(&[&[0; 12], frame].concat()).unwrap();
    }
}

/// A frame whose bytes tell their place, none of which is zero.
pub(crate) fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 + 1).collect()
}

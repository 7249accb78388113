//! A guest's side of the rings.
#![expect(unsafe_code, reason = "guest memory is reached by raw pointers")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tap_plumb_vhost_user::memory::Memory;
use tap_plumb_vhost_user::message::Addresses;
use tap_plumb_vhost_user::vring::Vring;

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

/// Where the parts of a ring lie, from its base on.
const AVAILABLE: u64 = 0x4000;
const USED: u64 = 0x5000;
/// Bytes that one ring takes.
pub(crate) const RING: u64 = 0x8000;

/// One ring as its driver sees it.
pub(crate) struct Driver {
    pub(crate) memory: Arc<Memory>,
    pub(crate) base: u64,
    pub(crate) size: u16,
    event_idx: bool,
    offered: u16,
    seen: u16,
}

impl Driver {
    pub(crate) fn new(memory: &Arc<Memory>, base: u64, size: u16) -> Self {
        Self { memory: Arc::clone(memory), base, size, event_idx: false, offered: 0, seen: 0 }
    }

    /// Descriptor table, available ring, used ring.
    pub(crate) fn addresses(&self) -> [u64; 3] {
        [self.base, self.base + AVAILABLE, self.base + USED]
    }

    /// The ring as a hypervisor would have set it up.
    pub(crate) fn vring(&mut self, event_idx: bool) -> Vring {
        self.event_idx = event_idx;
        let [table, available, used] = self.addresses();
        Vring::at(&self.memory, self.size, Addresses { table, available, used }, event_idx)
    }

    /// Writes descriptor `index`.
    pub(crate) fn describe(&self, index: u16, address: u64, len: u32, flags: u16, next: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.write(self.base + 16 * u64::from(index), &bytes);
    }

    /// Describes a chain from `first` on, one descriptor after the other.
    pub(crate) fn chain(&self, first: u16, parts: &[(u64, u32)], flags: u16) {
        for (index, (address, len)) in (first..).zip(parts) {
            let last = usize::from(index - first) + 1 == parts.len();
            let (more, next) = if last { (0, 0) } else { (NEXT, index + 1) };
            self.describe(index, *address, *len, flags | more, next);
        }
    }

    /// Offers the chain that starts with descriptor `head`.
    pub(crate) fn offer(&mut self, head: u16) {
        let slot = u64::from(self.offered % self.size);
        self.write(self.base + AVAILABLE + 4 + 2 * slot, &head.to_le_bytes());
        self.offered = self.offered.wrapping_add(1);
        self.claim(self.offered);
    }

    /// Claims that this many chains were offered, ever.
    pub(crate) fn claim(&self, count: u16) {
        self.word(self.base + AVAILABLE + 2).store(count.to_le(), Ordering::Release);
    }

    /// Asks for an interrupt once the used index passes `index`; or, without event indices, for none at all with 1 in `flags`.
    pub(crate) fn suppress(&self, flags: u16, index: u16) {
        self.write(self.base + AVAILABLE, &flags.to_le_bytes());
        self.write(self.base + AVAILABLE + 4 + 2 * u64::from(self.size), &index.to_le_bytes());
    }

    /// Whether the device wants a kick for the next chain, by either means.
    pub(crate) fn kick_wanted(&self) -> bool {
        let word = |at| u16::from_le_bytes(self.read(self.base + USED + at, 2).try_into().unwrap());
        let event = word(4 + 8 * u64::from(self.size));
        word(0) == 0 && (!self.event_idx || event == self.offered)
    }

    /// How many chains came back, ever.
    pub(crate) fn used_index(&self) -> u16 {
        u16::from_le(self.word(self.base + USED + 2).load(Ordering::Acquire))
    }

    /// The chains that came back since the last look: head and length.
    pub(crate) fn used(&mut self) -> Vec<(u32, u32)> {
        let index = self.used_index();
        let mut used = Vec::new();
        while self.seen != index {
            let at = self.base + USED + 4 + 8 * u64::from(self.seen % self.size);
            let bytes = self.read(at, 8);
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            used.push((word(0), word(4)));
            self.seen = self.seen.wrapping_add(1);
        }
        used
    }

    /// A word that the device may access at the same time.
    pub(crate) fn word(&self, address: u64) -> &AtomicU16 {
        let place = self.memory.find(address, 2).unwrap().cast();
        // SAFETY: an aligned word of the memory, which `self` keeps mapped.
        unsafe { AtomicU16::from_ptr(place) }
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) {
        write(&self.memory, address, bytes);
    }

    pub(crate) fn read(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let all = self.memory.slices(address, len, |slice| {
            // SAFETY: each byte lies in the memory, which `self` keeps mapped.
            bytes.extend(
                (0..slice.len()).map(|at| unsafe { slice.as_ptr().wrapping_add(at).read_volatile() }),
            );
        });
        assert!(all, "{len} bytes at {address:#x}");
        bytes
    }
}

pub(crate) fn write(memory: &Memory, address: u64, bytes: &[u8]) {
    let mut bytes = bytes.iter();
    let all = memory.slices(address, bytes.len(), |slice| {
        for (at, byte) in bytes.by_ref().take(slice.len()).enumerate() {
            // SAFETY: one byte of the memory, which the caller keeps mapped.
            unsafe { slice.as_ptr().wrapping_add(at).write_volatile(*byte) };
        }
    });
    assert!(all, "bytes at {address:#x}");
}

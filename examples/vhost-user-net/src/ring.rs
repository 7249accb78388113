//! One ring for the length of a batch: chains taken from the driver, chains handed back, and whether it wants to know.
#![expect(unsafe_code, reason = "the driver writes the rings at any time, from another process")]
// UNSAFETY: atomic reads and writes of aligned integers inside the three parts of a ring; `Vring` has looked up that these lie
// in the guest's memory whole.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use thiserror::Error;
use virtio_bindings::bindings::virtio_ring::{VRING_AVAIL_F_NO_INTERRUPT, VRING_USED_F_NO_NOTIFY};

use crate::memory::Memory;
use crate::vring::{Places, Vring};

/// Flags, before the index.
const FLAGS: usize = 0;
const INDEX: usize = 2;
const ELEMENTS: usize = 4;
const DESCRIPTOR: usize = 16;

/// The driver claims to have offered more chains than the ring has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{claimed} chains are offered, of {size} that the ring has")]
pub struct BadRing {
    claimed: u16,
    size: u16,
}

/// A descriptor table: a ring's own, or one that a descriptor points at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    start: *const u8,
    pub(crate) len: u32,
}

/// One descriptor, copied once: the driver may change it meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

impl Table {
    /// A table of `bytes` bytes at `start`, if that can be one.
    ///
    /// # Safety
    /// All bytes lie in guest memory that stays mapped for as long as the table is used.
    pub(crate) unsafe fn new(start: *const u8, bytes: u32) -> Option<Self> {
        let whole = bytes > 0 && (bytes as usize).is_multiple_of(DESCRIPTOR);
        (whole && (start as usize).is_multiple_of(align_of::<u64>()))
            .then_some(Self { start, len: bytes / DESCRIPTOR as u32 })
    }

    #[inline]
    pub(crate) fn get(&self, index: u16) -> Option<Descriptor> {
        if u32::from(index) >= self.len {
            return None;
        }
        let at = self.start.wrapping_add(DESCRIPTOR * usize::from(index)).cast_mut().cast::<u64>();
        // SAFETY: eight bytes, aligned, of the table, which is mapped; others write them at any time.
        let address = unsafe { AtomicU64::from_ptr(at) };
        // SAFETY: as above, the next eight.
        let rest = unsafe { AtomicU64::from_ptr(at.wrapping_add(1)) };
        let (address, rest) = (address.load(Ordering::Relaxed), rest.load(Ordering::Relaxed));
        let rest = u64::from_le(rest);
        Some(Descriptor {
            address: u64::from_le(address),
            len: rest as u32,
            flags: (rest >> 32) as u16,
            next: (rest >> 48) as u16,
        })
    }
}

/// A ring that the driver has set up and the hypervisor has enabled.
pub struct Ring<'r> {
    vring: &'r mut Vring,
    memory: &'r Memory,
    places: Places,
    /// The driver's index, as last read.
    available: u16,
    /// The index up to which the driver sees what was used.
    published: u16,
    /// The used index up to which the driver was told, or did not want to be.
    told: u16,
}

impl<'r> Ring<'r> {
    /// Takes the ring for a batch; `None` while it is stopped, disabled, or lies outside the guest's memory.
    pub fn new(vring: &'r mut Vring, memory: &'r Memory) -> Option<Self> {
        let places = vring.places()?;
        let (available, told) = (vring.next_available, vring.next_used);
        Some(Self { vring, memory, places, available, published: told, told })
    }

    /// The guest's memory.
    #[must_use]
    pub fn memory(&self) -> &'r Memory {
        self.memory
    }

    /// The ring's own descriptors.
    pub(crate) fn table(&self) -> Table {
        Table { start: self.places.table, len: u32::from(self.vring.size) }
    }

    /// Takes the next chain, and gives the number of its first descriptor. The ring may have no descriptor of that number.
    ///
    /// # Errors
    /// [`BadRing`].
    #[inline]
    pub fn take(&mut self) -> Result<Option<u16>, BadRing> {
        let next = self.vring.next_available;
        if next == self.available && !self.look()? {
            return Ok(None);
        }
        let at = ELEMENTS + 2 * usize::from(next & (self.vring.size - 1));
        self.vring.next_available = next.wrapping_add(1);
        Ok(Some(self.available_word(at, Ordering::Relaxed)))
    }

    /// Reads the driver's index; `true` when there is more than before.
    fn look(&mut self) -> Result<bool, BadRing> {
        // Acquire: what the driver wrote before the index is seen after it.
        let index = self.available_word(INDEX, Ordering::Acquire);
        let (claimed, size) = (index.wrapping_sub(self.vring.next_available), self.vring.size);
        if claimed > size {
            return Err(BadRing { claimed, size });
        }
        self.available = index;
        Ok(claimed > 0)
    }

    /// Gives the last `count` chains back untouched; they come again.
    pub fn give_back(&mut self, count: usize) {
        self.vring.next_available = self.vring.next_available.wrapping_sub(count as u16);
    }

    /// Segments of the next chain's frame that went out before.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.vring.sent
    }

    /// Notes segments of the next chain's frame that went out.
    #[inline]
    pub fn set_sent(&mut self, sent: u32) {
        self.vring.sent = sent;
    }

    /// The most chains there can be at a time.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::from(self.vring.size)
    }

    /// The number of used chains that are not published yet.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        usize::from(self.vring.next_used.wrapping_sub(self.published))
    }

    /// Notes a chain as used, with the bytes written to it. The driver sees it when it is [`published`](Self::publish).
    ///
    /// A head that is no descriptor of the ring cannot be named to the driver and is left out.
    #[inline]
    pub fn complete(&mut self, head: u16, len: u32) {
        let (size, next) = (self.vring.size, self.vring.next_used);
        if head >= size {
            return;
        }
        let at = self.places.used.wrapping_add(ELEMENTS + 8 * usize::from(next & (size - 1))).cast::<u32>();
        // SAFETY: the element's first word, aligned, inside the used ring.
        let (first, second) = (unsafe { AtomicU32::from_ptr(at) }, at.wrapping_add(1));
        // SAFETY: its second word, likewise.
        let second = unsafe { AtomicU32::from_ptr(second) };
        first.store(u32::from(head).to_le(), Ordering::Relaxed);
        second.store(len.to_le(), Ordering::Relaxed);
        self.vring.next_used = next.wrapping_add(1);
    }

    /// Lets the driver see what is used: all of it at once.
    pub fn publish(&mut self) {
        let next = self.vring.next_used;
        if next != self.published {
            // Release: a driver that sees the index sees the elements and the frames.
            self.used_word(INDEX).store(next.to_le(), Ordering::Release);
            self.published = next;
        }
    }

    /// Publishes, and interrupts the driver if it wants that; `true` when it was.
    pub fn interrupt(&mut self) -> bool {
        self.publish();
        let wanted = self.interrupt_wanted();
        self.told = self.published;
        if wanted && let Some(call) = &self.vring.call {
            // A descriptor whose counter is full interrupts the driver as well. The hypervisor is to blame for any other
            // failure.
            let _ = rustix::io::write(call, &1_u64.to_ne_bytes());
        }
        wanted
    }

    fn interrupt_wanted(&self) -> bool {
        let now = self.published;
        if now == self.told {
            return false;
        }
        // The index must be out before the driver's wish is read, or both sides could wait for the other.
        fence(Ordering::SeqCst);
        if !self.vring.event_index {
            return self.available_word(FLAGS, Ordering::Relaxed) & VRING_AVAIL_F_NO_INTERRUPT as u16 == 0;
        }
        let event = self.available_word(ELEMENTS + 2 * self.size(), Ordering::Relaxed);
        // Virtio 1.2, 2.7.7.2: whether `event` is one of the entries used since the driver was last told.
        now.wrapping_sub(event).wrapping_sub(1) < now.wrapping_sub(self.told)
    }

    /// Asks the driver not to kick while the ring is being worked on. With event indices the driver needs no such request. It
    /// kicks once, when it passes the index that [`listen`](Self::listen) has named.
    pub fn hush(&mut self) {
        if !self.vring.event_index {
            self.used_word(FLAGS).store((VRING_USED_F_NO_NOTIFY as u16).to_le(), Ordering::Relaxed);
        }
    }

    /// Asks the driver to kick for the next chain; `true` when there is one already.
    ///
    /// # Errors
    /// [`BadRing`].
    pub fn listen(&mut self) -> Result<bool, BadRing> {
        if self.vring.event_index {
            let next = self.vring.next_available.to_le();
            self.used_word(ELEMENTS + 8 * self.size()).store(next, Ordering::Relaxed);
        } else {
            self.used_word(FLAGS).store(0, Ordering::Relaxed);
        }
        // The wish must be out before the index is read, or both sides could wait for the other.
        fence(Ordering::SeqCst);
        self.look()
    }

    /// A word of the driver's part, `at` bytes from its start.
    #[inline]
    fn available_word(&self, at: usize, order: Ordering) -> u16 {
        // SAFETY: two bytes at an even offset inside the available ring, whose start is even; the memory is mapped for `'r`.
        let word = unsafe { AtomicU16::from_ptr(self.places.available.wrapping_add(at).cast()) };
        u16::from_le(word.load(order))
    }

    /// A word of the device's part, `at` bytes from its start.
    #[inline]
    fn used_word(&self, at: usize) -> &AtomicU16 {
        // SAFETY: two bytes at an even offset inside the used ring, whose start is a multiple of 4; mapped for `'r`.
        unsafe { AtomicU16::from_ptr(self.places.used.wrapping_add(at).cast()) }
    }
}

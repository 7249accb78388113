//! A ring as the hypervisor sets it up, between two batches.
#![expect(unsafe_code, reason = "the used index of a ring is read where the guest has it")]
// UNSAFETY: one atomic read inside guest memory that was looked up before.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use crate::memory::Memory;
use crate::message::Addresses;

/// The longest ring; QEMU gives up at the same.
pub const LONGEST: u16 = 1024;

/// Flags and index, before the elements of either ring.
const HEADER: usize = 4;

/// Where the parts of a ring lie in this process; for its size all of them inside the guest's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) table: *mut u8,
    pub(crate) available: *mut u8,
    pub(crate) used: *mut u8,
}

/// A descriptor by which the driver wakes the device.
#[derive(Debug)]
pub struct Kick {
    descriptor: OwnedFd,
    /// Its other end is closed, or it cannot be read: it would be readable for ever.
    dead: AtomicBool,
}

/// A ring. What the driver offers is taken while it is started and enabled.
#[derive(Debug, Default)]
pub struct Vring {
    pub(crate) size: u16,
    pub(crate) next_available: u16,
    pub(crate) next_used: u16,
    /// Segments that went out of the frame that is next, which the TAP did not take whole.
    pub(crate) sent: u32,
    pub(crate) event_index: bool,
    pub(crate) call: Option<OwnedFd>,
    addresses: Addresses,
    places: Option<Places>,
    kick: Option<Arc<Kick>>,
    started: bool,
    enabled: bool,
}

// SAFETY: the places lead into the guest's memory, which stays mapped: whoever replaces the memory looks them up anew.
unsafe impl Send for Vring {}

impl Kick {
    /// Takes a kick off; what cannot be read is left alone from now on.
    pub(crate) fn lower(&self) {
        match rustix::io::read(&self.descriptor, &mut [0; 64]) {
            Ok(1..) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            _ => self.dead.store(true, Ordering::Relaxed),
        }
    }

    /// The descriptor to be polled.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }
}

impl Vring {
    /// A ring without a hypervisor: started, enabled, at these guest addresses.
    #[must_use]
    pub fn at(memory: &Memory, size: u16, addresses: Addresses, event_index: bool) -> Self {
        let mut ring = Self { size, event_index, started: true, enabled: true, ..Self::default() };
        let user = |guest| memory.user_address(guest).unwrap_or(guest);
        let Addresses { table, available, used } = addresses;
        ring.set_addresses(
            Addresses { table: user(table), available: user(available), used: user(used) },
            memory,
        );
        ring
    }

    /// Sets the number of elements; `false` for a number that no ring has.
    pub fn set_size(&mut self, size: u32, memory: &Memory) -> bool {
        let good = size.is_power_of_two() && size <= u32::from(LONGEST);
        if good {
            self.size = size as u16;
            self.look_up(memory);
        }
        good
    }

    /// Sets where the ring lies; `false` when that is not in the guest's memory.
    pub fn set_addresses(&mut self, addresses: Addresses, memory: &Memory) -> bool {
        self.addresses = addresses;
        self.look_up(memory);
        self.read_used();
        self.places.is_some()
    }

    /// The device goes on where it is by the used index in memory.
    fn read_used(&mut self) {
        let Some(places) = self.places else { return };
        // SAFETY: the index, two bytes at an even address inside the used ring, which lies in memory that is mapped.
        let index = unsafe { AtomicU16::from_ptr(places.used.wrapping_add(2).cast()) };
        self.next_used = u16::from_le(index.load(Ordering::Acquire));
    }

    /// Looks the places up in other memory.
    pub fn look_up(&mut self, memory: &Memory) {
        let size = usize::from(self.size);
        let find =
            |user, len, align: u64| memory.find_user(user, len).filter(|_| size > 0 && user % align == 0);
        // Each ring ends with the other side's event index.
        self.places = (|| {
            let place = Places {
                table: find(self.addresses.table, 16 * size, 16)?,
                available: find(self.addresses.available, HEADER + 2 * size + 2, 2)?,
                used: find(self.addresses.used, HEADER + 8 * size + 2, 4)?,
            };
            // Hypervisors map aligned guest addresses aligned. A ring that is mapped otherwise is refused here, before an
            // access to it faults.
            let aligned = |at: *mut u8, to: usize| (at as usize).is_multiple_of(to);
            (aligned(place.table, 8) && aligned(place.available, 2) && aligned(place.used, 4))
                .then_some(place)
        })();
    }

    /// Sets where the driver's next offer is.
    pub fn set_base(&mut self, index: u16) {
        self.next_available = index;
        self.sent = 0;
    }

    /// Where the driver's next offer is.
    #[must_use]
    pub fn base(&self) -> u16 {
        self.next_available
    }

    /// Where the next used element goes.
    #[must_use]
    pub fn next_used(&self) -> u16 {
        self.next_used
    }

    /// Starts it, with the descriptor by which the driver kicks.
    pub fn start(&mut self, kick: Option<OwnedFd>) {
        self.kick = kick.map(|descriptor| Arc::new(Kick { descriptor, dead: AtomicBool::new(false) }));
        self.started = true;
        self.read_used();
    }

    /// Stops it, and lets go of its descriptors.
    pub fn stop(&mut self) {
        self.started = false;
        self.kick = None;
        self.call = None;
    }

    /// Sets the descriptor by which the driver is interrupted.
    pub fn set_call(&mut self, call: Option<OwnedFd>) {
        self.call = call;
    }

    /// Whether the device may use it, apart from its being set up.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// Whether both sides may tell by an index when they want to be told.
    pub fn set_event_index(&mut self, on: bool) {
        self.event_index = on;
    }

    /// Whether it is in use.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.started && self.enabled
    }

    /// Where it lies, while it is in use.
    pub(crate) fn places(&self) -> Option<Places> {
        self.places.filter(|_| self.is_live())
    }

    /// What to poll for kicks. `Err` when it is in use and nobody can kick.
    pub(crate) fn kick(&self) -> Result<Option<Arc<Kick>>, ()> {
        match &self.kick {
            _ if self.places().is_none() => Ok(None),
            Some(kick) if !kick.dead.load(Ordering::Relaxed) => Ok(Some(Arc::clone(kick))),
            Some(_) => Ok(None),
            None => Err(()),
        }
    }
}

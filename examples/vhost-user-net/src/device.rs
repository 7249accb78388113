//! What a hypervisor negotiates with.
#![expect(unsafe_code, reason = "a descriptor that the library forgets is closed")]
// UNSAFETY: one descriptor is owned again by its number.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use log::warn;
use vhost::vhost_user::VhostUserProtocolFeatures;
use vhost_user_backend::{VhostUserBackend, VringMutex};
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::event::{EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier};

use crate::chain::Memory;
use crate::features::Negotiated;
use crate::pair::{Pair, SharedMemory};
use crate::report;
use crate::revive::Reviver;

/// The longest ring; QEMU gives up at the same.
const RING: usize = 1024;
/// Rings of a pair: receive, then transmit.
const RINGS: usize = 2;

/// The device that one connection of a hypervisor talks to.
pub struct Device {
    pairs: Arc<[Pair]>,
    memory: SharedMemory,
    features: u64,
    reviver: Arc<Reviver>,
    /// The ends of the exit events that the library keeps.
    exits: Mutex<Vec<RawFd>>,
}

impl Device {
    /// Makes a device in front of `pairs` that offers `features`.
    #[must_use]
    pub fn new(pairs: Arc<[Pair]>, features: u64, reviver: Arc<Reviver>) -> Self {
        let memory = GuestMemoryAtomic::new(Memory::new());
        Self { pairs, memory, features, reviver, exits: Mutex::default() }
    }

    /// The guest's memory, for the library that keeps it up to date.
    #[must_use]
    pub fn memory(&self) -> SharedMemory {
        self.memory.clone()
    }

    /// The number under which a TAP's descriptor reports to the event loop; the library has the lower ones.
    #[must_use]
    pub fn tap_event(&self) -> u64 {
        self.num_queues() as u64 + 1
    }

    /// The number under which a pair's own wake-up does.
    #[must_use]
    pub fn wake_event(&self) -> u64 {
        self.num_queues() as u64 + 2
    }
}

impl VhostUserBackend for Device {
    type Bitmap = ();
    type Vring = VringMutex;

    fn num_queues(&self) -> usize {
        RINGS * self.pairs.len()
    }

    fn max_queue_size(&self) -> usize {
        RING
    }

    fn features(&self) -> u64 {
        self.features
    }

    fn acked_features(&self, acknowledged: u64) {
        let guest = Negotiated::new(acknowledged);
        for pair in self.pairs.iter() {
            if let Err(error) = pair.agree(guest) {
                // Frames that the guest did not agree to are dropped and counted.
                warn!("the TAP does not change its offloads: {error}");
            }
        }
        report::features(acknowledged, &self.pairs);
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ | VhostUserProtocolFeatures::REPLY_ACK
    }

    fn set_event_idx(&self, _: bool) {
        // Each ring knows.
    }

    fn update_memory(&self, _: GuestMemoryAtomic<GuestMemoryMmap>) -> io::Result<()> {
        // It is the one that was handed out by `memory`.
        Ok(())
    }

    fn queues_per_thread(&self) -> Vec<u64> {
        (0..self.pairs.len()).map(|pair| 0b11 << (RINGS * pair)).collect()
    }

    fn exit_event(&self, _: usize) -> Option<(EventConsumer, EventNotifier)> {
        let pair = new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC).ok()?;
        self.exits.lock().unwrap_or_else(PoisonError::into_inner).push(pair.0.as_raw_fd());
        Some(pair)
    }

    fn handle_event(
        &self,
        event: u16,
        events: EventSet,
        vrings: &[VringMutex],
        thread: usize,
    ) -> io::Result<()> {
        let (Some(pair), [receive, transmit, ..]) = (self.pairs.get(thread), vrings) else { return Ok(()) };
        if u64::from(event) == self.wake_event() {
            pair.wake.lower();
        }
        let removed = u64::from(event) == self.tap_event() && events.contains(EventSet::ERROR);
        if pair.run(&self.memory, receive, transmit) || removed {
            self.reviver.gone();
        }
        // An error would end the thread, and with it the guest's network.
        Ok(())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        for number in self.exits.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // SAFETY: the library took the descriptor out of its owner (`into_raw_fd`), put it into a poll set and forgot it.
            // It holds this device for as long as it uses the set, so that now nobody else knows the number.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

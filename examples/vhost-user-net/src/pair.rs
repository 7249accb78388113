//! One pair of queues and the TAP queue behind it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{debug, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tap_plumb::{Backend, RawSlice};
use vhost_user_backend::{VringMutex, VringT};
use virtio_queue::{Error, QueueT};
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic};

use crate::chain::{MOST_SLICES, Memory};
use crate::counts::{Counts, Way};
use crate::event::Event;
use crate::features::Negotiated;
use crate::gather::Gathered;
use crate::ring::Ring;
use crate::transmit::Pause;
use crate::{receive, transmit};

/// The guest's memory, which the hypervisor may replace between two batches.
pub type SharedMemory = GuestMemoryAtomic<Memory>;

/// Batches in each direction before the event loop has its turn.
const ROUNDS: usize = 16;

/// One pair of queues.
pub struct Pair {
    /// The TAP's queue.
    pub backend: Backend,
    /// What is counted here.
    pub counts: Counts,
    /// Brings the pair's thread to [`run`](Self::run) without a kick.
    pub wake: Event,
    work: Mutex<Work>,
}

/// What only the pair's thread uses, and whoever sets it up while that stands still.
struct Work {
    guest: Negotiated,
    /// The guest takes frames.
    running: bool,
    /// The TAP's queue takes part in the interface only while the guest takes frames from it.
    optional: bool,
    room: Gathered,
    slices: Vec<RawSlice>,
}

impl Pair {
    /// Puts a TAP's queue behind a pair of rings. One that is `optional` is used only while the guest uses its pair.
    ///
    /// # Errors
    /// The system's, when an event descriptor cannot be had.
    pub fn new(backend: Backend, optional: bool) -> std::io::Result<Self> {
        let work = Work {
            guest: Negotiated::new(0),
            running: true,
            optional,
            room: Gathered::default(),
            slices: Vec::with_capacity(MOST_SLICES),
        };
        let pair = Self { backend, counts: Counts::default(), wake: Event::new()?, work: Mutex::new(work) };
        pair.rest();
        Ok(pair)
    }

    /// Follows what the guest agreed to.
    ///
    /// # Errors
    /// The system's, when the TAP refuses the offloads.
    pub fn agree(&self, guest: Negotiated) -> std::io::Result<()> {
        let mut work = self.lock();
        work.guest = guest;
        self.backend.set_offload(guest.offload(self.backend.tap().offload())).map(drop)
    }

    /// The interface was attached again, as at first: brings it to what the guest agreed to.
    pub fn reattached(&self) {
        let work = self.lock();
        if work.optional && !work.running {
            self.take_part(false);
        }
        if let Err(error) = self.backend.set_offload(work.guest.offload(self.backend.tap().offload())) {
            warn!("the TAP does not take the offloads again: {error}");
        }
    }

    /// No guest is there: an optional queue leaves the interface.
    pub fn rest(&self) {
        self.follow(&mut self.lock(), false);
    }

    /// Moves frames both ways until there is nothing to do, or others must have their turn. `true` when the interface
    /// is found gone.
    pub fn run(&self, memory: &SharedMemory, receive: &VringMutex, transmit: &VringMutex) -> bool {
        let mut work = self.lock();
        let running = receive.get_ref().is_enabled() && receive.get_ref().get_queue().ready();
        self.follow(&mut work, running);
        let memory = memory.memory();
        for _ in 0..ROUNDS {
            let received = self.batch(&memory, receive, &self.counts.receive, |ring| {
                let Work { guest, room, .. } = &mut *work;
                receive::fill(&self.backend, ring, guest, room, &self.counts)
            });
            let sent = self.batch(&memory, transmit, &self.counts.transmit, |ring| {
                let Work { guest, slices, .. } = &mut *work;
                transmit::drain(&self.backend, ring, guest.header_len, slices, &self.counts)
            });
            if received == Pause::Gone || sent == Pause::Gone {
                return true;
            }
            let ready = sent == Pause::Blocked && self.is_writable();
            if received != Pause::More && sent != Pause::More && !ready {
                return false;
            }
        }
        self.wake.raise();
        false
    }

    /// Whether the TAP that has refused a frame takes one by now. To ask is what makes the kernel tell later: a TAP that is
    /// down gives an edge when it comes up only to who has polled it meanwhile.
    fn is_writable(&self) -> bool {
        let mut polled = [PollFd::new(&self.backend, PollFlags::OUT)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    fn batch(
        &self,
        memory: &Memory,
        vring: &VringMutex,
        way: &Way,
        act: impl FnOnce(&mut Ring<'_>) -> Result<Pause, Error>,
    ) -> Pause {
        let mut state = vring.get_mut();
        let Some(mut ring) = Ring::new(&mut state, memory) else { return Pause::Idle };
        act(&mut ring).unwrap_or_else(|error| {
            // The guest's fault; it gets no service until it sets the ring up anew, and the log one line.
            if way.bad_rings.get() == 0 {
                warn!("a ring of the guest is unusable: {error}");
            }
            way.bad_rings.one();
            Pause::Idle
        })
    }

    /// The guest begins or ceases to take frames. Those of the time before are too old for it, those of the time after
    /// are nobody's.
    fn follow(&self, work: &mut Work, running: bool) {
        if work.running == running {
            return;
        }
        work.running = running;
        self.backend.discard_queued();
        if work.optional {
            self.take_part(running);
        }
    }

    /// Has the host use the TAP's queue, or send nothing where nobody looks.
    fn take_part(&self, on: bool) {
        if let Err(error) = self.backend.tap().set_queue_enabled(on) {
            debug!("a queue of {:?} is left as it is: {error}", self.backend.tap());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

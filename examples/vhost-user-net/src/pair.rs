//! One pair of queues and the TAP queue behind it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use log::{debug, warn};
use rustix::event::PollFlags;
use tap_plumb::{Backend, RawSlice};

use crate::chain::MOST_SLICES;
use crate::counts::{Counts, Way};
use crate::event::Event;
use crate::features::Negotiated;
use crate::gather::{Gathered, PATIENCE};
use crate::memory::Memory;
use crate::receive;
use crate::ring::{BadRing, Ring};
use crate::transmit::{Pause, Transmit};
use crate::vring::{Kick, Vring};

/// Rings of a pair, in the order of their numbers.
pub const RINGS: usize = 2;
/// The ring for frames to the guest.
pub const RECEIVE: usize = 0;
/// The ring for frames from the guest.
pub const TRANSMIT: usize = 1;

/// Batches in each direction before whoever waits for the pair has his turn.
const ROUNDS: usize = 16;
/// How often a ring is looked at that nobody can kick for.
const UNKICKED: Duration = Duration::from_millis(1);

/// One pair of queues.
pub struct Pair {
    /// The TAP's queue.
    pub backend: Backend,
    /// What is counted here.
    pub counts: Counts,
    /// Brings the pair's thread to [`turn`](Self::turn) without a kick.
    pub wake: Event,
    work: Mutex<Work>,
    /// How many wait to set the pair up.
    waiting: AtomicU32,
    ending: AtomicBool,
}

/// What the pair's thread uses during a turn. Between two turns, whoever sets the pair up uses it.
pub struct Work {
    /// The two rings.
    pub rings: [Vring; RINGS],
    /// The guest's memory, in which they lie.
    pub memory: Arc<Memory>,
    guest: Negotiated,
    /// The guest takes frames.
    running: bool,
    /// The TAP's queue takes part in the interface only while the guest takes frames from it.
    optional: bool,
    room: Gathered,
    slices: Vec<RawSlice>,
}

/// How a turn ended.
#[derive(Debug)]
pub struct Turn {
    /// The interface is gone.
    pub gone: bool,
    /// The guest's memory was taken away.
    pub lost: bool,
    /// There is more to do at once.
    pub more: bool,
    /// What to wait for on the TAP.
    pub tap: PollFlags,
    /// What else to wait for.
    pub kicks: [Option<Arc<Kick>>; RINGS],
    /// How long to wait at most.
    pub patience: Option<Duration>,
}

impl Pair {
    /// Puts a TAP's queue behind a pair of rings. One that is `optional` is used only while the guest uses its pair.
    ///
    /// # Errors
    /// The system's, when an event descriptor cannot be had.
    pub fn new(backend: Backend, optional: bool) -> std::io::Result<Self> {
        let work = Work {
            rings: Default::default(),
            memory: Arc::default(),
            guest: Negotiated::new(0),
            running: true,
            optional,
            room: Gathered::default(),
            slices: Vec::with_capacity(MOST_SLICES + 1),
        };
        let (wake, work) = (Event::new()?, Mutex::new(work));
        let (waiting, ending) = (AtomicU32::new(0), AtomicBool::new(false));
        let pair = Self { backend, counts: Counts::default(), wake, work, waiting, ending };
        pair.rest();
        Ok(pair)
    }

    /// Sets the pair up between two turns, and has its thread look at it.
    pub fn set_up<R>(&self, act: impl FnOnce(&mut Work) -> R) -> R {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let done = act(&mut self.lock());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.wake.raise();
        done
    }

    /// Follows what the guest agreed to.
    ///
    /// # Errors
    /// The system's, when the TAP refuses the offloads.
    pub fn agree(&self, guest: Negotiated) -> std::io::Result<()> {
        self.set_up(|work| {
            work.guest = guest;
            work.rings.iter_mut().for_each(|ring| ring.set_event_index(guest.event_index));
            self.backend.set_offload(guest.offload(self.backend.tap().offload())).map(drop)
        })
    }

    /// The interface was attached again, as at first: brings it to what the guest agreed to.
    pub fn reattached(&self) {
        self.set_up(|work| {
            if work.optional && !work.running {
                self.take_part(false);
            }
            if let Err(error) = self.backend.set_offload(work.guest.offload(self.backend.tap().offload())) {
                warn!("the TAP does not take the offloads again: {error}");
            }
        });
    }

    /// No guest is there: its rings and its memory go, and an optional queue leaves the interface.
    pub fn rest(&self) {
        self.set_up(|work| {
            work.rings = Default::default();
            work.memory = Arc::default();
            self.follow(work, false);
        });
        self.ending.store(false, Ordering::SeqCst);
        self.wake.lower();
    }

    /// Ends the turn that is being taken, and those to come, until the pair has had a [`rest`](Self::rest).
    pub fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.wake.raise();
    }

    /// Whether the pair's thread must end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Moves frames both ways until there is nothing to do, or others must have their turn.
    pub fn turn(&self) -> Turn {
        // A mutex is not fair: who waits to set the pair up would wait for as long as there are frames.
        while self.waiting.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_micros(20));
        }
        let work = &mut *self.lock();
        let running = work.rings[RECEIVE].is_live();
        self.follow(work, running);
        let (mut received, mut sent) = (Pause::Off, Pause::Off);
        for _ in 0..ROUNDS {
            (received, sent) = (self.receive(work), self.transmit(work));
            if received != Pause::More && sent != Pause::More || self.is_ending() {
                break;
            }
        }
        Turn {
            gone: received == Pause::Gone || sent == Pause::Gone,
            lost: received == Pause::Lost || sent == Pause::Lost || work.memory.is_lost(),
            more: received == Pause::More || sent == Pause::More,
            tap: readiness(received, sent),
            kicks: work.rings.each_ref().map(|ring| ring.kick().unwrap_or_default()),
            patience: work.patience(received),
        }
    }

    fn receive(&self, work: &mut Work) -> Pause {
        let Work { rings: [receive, _], memory, guest, room, .. } = work;
        let Some(mut ring) = Ring::new(receive, memory) else { return Pause::Off };
        let filled = receive::fill(&self.backend, &mut ring, guest, room, &self.counts);
        pause(filled, &self.counts.receive)
    }

    fn transmit(&self, work: &mut Work) -> Pause {
        let Work { rings: [_, transmit], memory, guest, slices, .. } = work;
        let Some(mut ring) = Ring::new(transmit, memory) else { return Pause::Off };
        let (backend, counts, ending) = (&self.backend, &self.counts, &self.ending);
        let drained = Transmit { backend, guest, slices, counts, ending }.drain(&mut ring);
        pause(drained, &self.counts.transmit)
    }

    /// Follows a guest that begins or ceases to take frames. Frames queued before it began are too old for it. Frames after
    /// it ceased are for nobody.
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

    /// Makes the host use the TAP's queue, or stops it from sending to a queue that nobody reads.
    fn take_part(&self, on: bool) {
        if let Err(error) = self.backend.tap().set_queue_enabled(on) {
            debug!("a queue of {:?} could not be turned on or off: {error}", self.backend.tap());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// Puts other memory in the place of the guest's.
    pub fn set_memory(&mut self, memory: Arc<Memory>) {
        self.rings.iter_mut().for_each(|ring| ring.look_up(&memory));
        self.memory = memory;
    }

    fn patience(&self, received: Pause) -> Option<Duration> {
        if self.rings.iter().any(|ring| ring.kick().is_err()) {
            return Some(UNKICKED);
        }
        (received == Pause::Starved && self.room.is_short()).then_some(PATIENCE)
    }
}

/// How a batch ended.
fn pause(result: Result<Pause, BadRing>, way: &Way) -> Pause {
    result.unwrap_or_else(|error| {
        // The guest's fault; it gets no service until it sets the ring right, and the log one line.
        if way.bad_rings.get() == 0 {
            warn!("a ring of the guest is unusable: {error}");
        }
        way.bad_rings.one();
        Pause::Off
    })
}

/// What the TAP must be ready for before there is something to do again.
fn readiness(received: Pause, sent: Pause) -> PollFlags {
    let when = |condition, flags| if condition { flags } else { PollFlags::empty() };
    when(received == Pause::Idle, PollFlags::IN) | when(sent == Pause::Blocked, PollFlags::OUT)
}

//! A guest's device for the receive thread: it holds frames back until told, counts them, and notes when they came.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tap_plumb::{Checksum, Frontend, Refused, Wait};

/// Bounds every wait of the benchmark's own.
const LIMIT: Duration = Duration::from_secs(5);

pub struct Device {
    base: Instant,
    open: AtomicBool,
    /// Whether the receive thread waits at the closed gate.
    waiting: Mutex<bool>,
    changed: Condvar,
    /// When the gate let the thread through, and when the last frame came; nanoseconds since `base`.
    opened: AtomicU64,
    arrived: AtomicU64,
    delivered: AtomicUsize,
    wanted: AtomicUsize,
    /// Called when the thread comes to the gate.
    marker: fn(),
    marked: AtomicBool,
}

impl Device {
    pub fn new(open: bool, marker: fn()) -> Self {
        Self {
            base: Instant::now(),
            open: AtomicBool::new(open),
            waiting: Mutex::new(false),
            changed: Condvar::new(),
            opened: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            delivered: AtomicUsize::new(0),
            wanted: AtomicUsize::new(usize::MAX),
            marker,
            marked: AtomicBool::new(false),
        }
    }

    /// Nanoseconds since this device was made.
    pub fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    /// When the last frame came; 0 when none did since the last [`forget`](Self::forget).
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Acquire)
    }

    pub fn forget(&self) {
        self.arrived.store(0, Ordering::Release);
    }

    pub fn note_arrival(&self) {
        self.arrived.store(self.now(), Ordering::Release);
    }

    /// Closes the gate for the next `wanted` frames.
    pub fn close(&self, wanted: usize) {
        self.delivered.store(0, Ordering::Relaxed);
        self.wanted.store(wanted, Ordering::Relaxed);
        self.forget();
        self.marked.store(false, Ordering::Relaxed);
        self.open.store(false, Ordering::Release);
    }

    /// Waits until the receive thread stands at the closed gate with a frame.
    pub fn wait_for_thread(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, _) =
            self.changed.wait_timeout_while(waiting, LIMIT, |waiting| !*waiting).expect("no panic");
        assert!(*waiting, "the receive thread takes no frame");
    }

    /// Opens the gate and gives the seconds from there to the last of the frames.
    pub fn open_and_wait(&self) -> f64 {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.open.store(true, Ordering::Release);
        self.changed.notify_all();
        let (waiting, _) =
            self.changed.wait_timeout_while(waiting, LIMIT, |_| self.arrived() == 0).expect("no panic");
        drop(waiting);
        assert!(self.arrived() > 0, "{} frames came", self.delivered.load(Ordering::Relaxed));
        (self.arrived() - self.opened.load(Ordering::Relaxed)) as f64 / 1e9
    }

    #[cold]
    fn wait_at_gate(&self, timeout: Duration) -> Wait {
        if !self.marked.swap(true, Ordering::Relaxed) {
            (self.marker)();
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = true;
        self.changed.notify_all();
        let closed = |_: &mut bool| !self.open.load(Ordering::Acquire);
        let (mut waiting, _) = self.changed.wait_timeout_while(waiting, timeout, closed).expect("no panic");
        *waiting = false;
        if !self.open.load(Ordering::Acquire) {
            return Wait::TimedOut;
        }
        drop(waiting);
        self.opened.store(self.now(), Ordering::Relaxed);
        Wait::Available
    }

    #[cold]
    fn finish(&self) {
        self.note_arrival();
        let _waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
    }
}

impl Frontend for Device {
    fn wait_receive_available(&self, timeout: Duration) -> Wait {
        if self.open.load(Ordering::Acquire) { Wait::Available } else { self.wait_at_gate(timeout) }
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        let delivered = self.delivered.load(Ordering::Relaxed) + 1;
        self.delivered.store(delivered, Ordering::Relaxed);
        if delivered == self.wanted.load(Ordering::Relaxed) {
            self.finish();
        }
        Ok(())
    }
}

/// A device that notes when each frame comes, for frames one at a time.
pub struct Clock(pub Device);

impl Frontend for Clock {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        Wait::Available
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        self.0.note_arrival();
        Ok(())
    }
}

//! A guest's device for tests: remembers what it was given, and has buffers when the test says so.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use tap_plumb::{Checksum, Frontend, Refused, Wait};

#[derive(Default)]
pub(crate) struct Device {
    pub(crate) frames: Mutex<Vec<Vec<u8>>>,
    gate: Mutex<Gate>,
    changed: Condvar,
    pub(crate) refuses: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) waits: AtomicUsize,
    pub(crate) pending: AtomicUsize,
    pub(crate) gone: AtomicUsize,
    pub(crate) flaps: AtomicUsize,
}

#[derive(Default)]
struct Gate {
    closed: bool,
    interrupted: bool,
}

impl Device {
    /// Takes the guest's buffers away, or gives them back.
    pub(crate) fn set_buffers(&self, available: bool) {
        self.gate.lock().unwrap().closed = !available;
        self.changed.notify_all();
    }

    pub(crate) fn count(&self) -> usize {
        self.frames.lock().unwrap().len()
    }
}

impl Frontend for Device {
    fn wait_receive_available(&self, timeout: Duration) -> Wait {
        self.waits.fetch_add(1, Ordering::SeqCst);
        let deadline = Instant::now() + timeout;
        let mut gate = self.gate.lock().unwrap();
        loop {
            if !gate.closed {
                return Wait::Available;
            }
            if std::mem::take(&mut gate.interrupted) {
                return Wait::Interrupted;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wait::TimedOut;
            }
            gate = self.changed.wait_timeout(gate, left).unwrap().0;
        }
    }

    fn interrupt_wait(&self) {
        let mut gate = self.gate.lock().unwrap();
        gate.interrupted = gate.closed;
        self.changed.notify_all();
    }

    fn receive(&self, frame: &[IoSlice<'_>], checksum: Checksum) -> Result<(), Refused> {
        assert!(!self.panics.load(Ordering::SeqCst), "the device was told to panic");
        assert_eq!(checksum, Checksum::Complete);
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Refused);
        }
        let whole = frame.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.frames.lock().unwrap().push(whole);
        Ok(())
    }

    fn transmit_pending(&self) {
        self.pending.fetch_add(1, Ordering::SeqCst);
    }

    fn device_gone(&self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }

    fn flap_link(&self) {
        self.flaps.fetch_add(1, Ordering::SeqCst);
    }
}

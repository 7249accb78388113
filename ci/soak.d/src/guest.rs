//! A guest's device: counts what it is given, and knows which threads call it.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::gettid;
use tap_plumb::{Checksum, Frontend, Gso, Refused, Wait};

#[derive(Default)]
pub(crate) struct Guest {
    pub(crate) delivered: AtomicU64,
    pub(crate) gone: AtomicU64,
    pub(crate) flaps: AtomicU64,
    pub(crate) pending: AtomicU64,
    receive_thread: AtomicI32,
    transmit_thread: AtomicI32,
    /// The guest has no buffers now.
    pub(crate) starved: AtomicBool,
    interrupted: AtomicBool,
    /// Every so many frames are refused; 0 for none.
    pub(crate) refuses: AtomicU64,
}

impl Guest {
    /// The numbers of the threads that have called so far.
    pub(crate) fn threads(&self) -> Vec<i32> {
        let numbers =
            [&self.receive_thread, &self.transmit_thread].map(|number| number.load(Ordering::SeqCst));
        numbers.into_iter().filter(|number| *number != 0).collect()
    }

    fn take(&self) -> Result<(), Refused> {
        let count = self.delivered.fetch_add(1, Ordering::Relaxed);
        let refuses = self.refuses.load(Ordering::Relaxed);
        if refuses > 0 && count.is_multiple_of(refuses) { Err(Refused) } else { Ok(()) }
    }
}

impl Frontend for Guest {
    fn wait_receive_available(&self, timeout: Duration) -> Wait {
        self.receive_thread.store(gettid().as_raw(), Ordering::SeqCst);
        if !self.starved.load(Ordering::SeqCst) {
            return Wait::Available;
        }
        sleep(timeout.min(Duration::from_millis(1)));
        if self.interrupted.swap(false, Ordering::SeqCst) { Wait::Interrupted } else { Wait::TimedOut }
    }

    fn interrupt_wait(&self) {
        self.interrupted.store(self.starved.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        self.take()
    }

    fn receive_gso(&self, _: &[IoSlice<'_>], _: Gso, _: Checksum) -> Result<(), Refused> {
        self.take()
    }

    fn transmit_pending(&self) {
        self.transmit_thread.store(gettid().as_raw(), Ordering::SeqCst);
        self.pending.fetch_add(1, Ordering::SeqCst);
    }

    fn device_gone(&self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }

    fn flap_link(&self) {
        self.flaps.fetch_add(1, Ordering::SeqCst);
    }
}

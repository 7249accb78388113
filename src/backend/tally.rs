//! Frames and bytes counted together, by one locked instruction: beside a system call each one is measurable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::statistics::Counter;

/// Bits for the count of bytes. They have room for as many of the largest frames as the bits above can count.
const BYTES: u32 = 41;
const ONE_FRAME: u64 = 1 << BYTES;
/// Half of the frames that fit, so that there is room left until somebody has carried the counts over.
const FULL: u64 = 1 << 63;
/// The same for the bytes: a socket's peer can send longer frames than an interface would.
const NEARLY_FULL: u64 = FULL | ONE_FRAME >> 1;

/// Exact from any number of threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Frames above, bytes below.
    recent: AtomicU64,
    frames: Counter,
    bytes: Counter,
    /// Held while `recent` is carried over, and while all of it is read.
    carrying: Mutex<()>,
}

impl Tally {
    #[inline]
    pub fn one(&self, len: usize) {
        let before = self.recent.fetch_add(ONE_FRAME | len as u64, Ordering::Relaxed);
        if before & NEARLY_FULL != 0 {
            self.carry();
        }
    }

    /// Runs once in four million frames. It never waits: while another thread holds the lock, the work is left to the next
    /// frame.
    #[cold]
    fn carry(&self) {
        if let Ok(_carrying) = self.carrying.try_lock() {
            let recent = self.recent.swap(0, Ordering::Relaxed);
            self.frames.add(recent >> BYTES);
            self.bytes.add(recent % ONE_FRAME);
        }
    }

    /// Frames and bytes.
    pub fn read(&self) -> (u64, u64) {
        let _carrying = self.carrying.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = self.recent.load(Ordering::Relaxed);
        (self.frames.get() + (recent >> BYTES), self.bytes.get() + recent % ONE_FRAME)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::thread;

    use super::{BYTES, FULL, ONE_FRAME, Tally};
    use crate::backend::LARGEST_FRAME;

    #[test]
    fn what_is_carried_over_still_counts() {
        let tally = Tally::default();
        tally.recent.store(FULL - ONE_FRAME + 7, Ordering::Relaxed);
        let before = tally.read();
        assert_eq!(before, ((FULL >> BYTES) - 1, 7));
        (0..3).for_each(|_| tally.one(100));
        assert_eq!(tally.read(), (before.0 + 3, before.1 + 300));
        assert!(tally.recent.load(Ordering::Relaxed) < FULL, "it was never carried over");
    }

    #[test]
    fn a_reader_delays_no_frame() {
        let tally = Tally::default();
        tally.recent.store(FULL, Ordering::Relaxed);
        let reader = tally.carrying.lock().unwrap();
        tally.one(60);
        drop(reader);
        assert_eq!(tally.read(), ((FULL >> BYTES) + 1, 60));
    }

    #[test]
    fn threads_lose_nothing_to_each_other() {
        let tally = Tally::default();
        tally.recent.store(FULL - 1000 * ONE_FRAME, Ordering::Relaxed);
        let before = tally.read();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50_000).for_each(|_| tally.one(3)));
            }
        });
        assert_eq!(tally.read(), (before.0 + 200_000, before.1 + 600_000));
    }

    #[test]
    fn frames_of_any_length_are_counted_apart_from_their_bytes() {
        // A socket's peer may send what no interface would.
        let (tally, len) = (Tally::default(), 16 << 20);
        (0..300_000).for_each(|_| tally.one(len));
        assert_eq!(tally.read(), (300_000, 300_000 * len as u64));
    }

    #[test]
    fn bytes_never_reach_the_frames() {
        // Twice what makes it full, as if nobody could carry it over for as long again.
        let frames = 2 * (FULL >> BYTES);
        assert!(frames * (LARGEST_FRAME as u64) < ONE_FRAME);
    }
}

//! The log of every frame, at trace level: one branch on the path of a frame while it is off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use log::{Level, log_enabled, trace};

use crate::memory::body::{Body, copy_front};
use crate::memory::slices::Room;

const TARGET: &str = "tap_plumb::frame";
/// Bytes of a frame that are shown; enough for every header.
const SHOWN: usize = 128;

/// When frames last went each way, in nanoseconds since the backend was made.
#[derive(Debug)]
pub(crate) struct FrameLog {
    epoch: Instant,
    transmitted: AtomicU64,
    received: AtomicU64,
}

impl FrameLog {
    pub(crate) fn new() -> Self {
        Self { epoch: Instant::now(), transmitted: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    /// Whether frames may be logged; what the logger itself leaves out is not asked.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        log::max_level() >= Level::Trace
    }

    #[inline]
    pub(crate) fn transmit(&self, body: impl Body, len: usize) {
        if log_enabled!(target: TARGET, Level::Trace) {
            self.write("transmit", &self.transmitted, |front| copy_front(body, front), len);
        }
    }

    #[inline]
    pub(crate) fn receive(&self, room: &impl Room, len: usize) {
        if log_enabled!(target: TARGET, Level::Trace) {
            self.write("receive", &self.received, |front| room.copy(front), len);
        }
    }

    #[cold]
    #[inline(never)]
    fn write(&self, way: &str, last: &AtomicU64, copy: impl FnOnce(&mut [u8]) -> usize, len: usize) {
        let mut front = [0; SHOWN];
        let filled = copy(&mut front).min(len);
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let [transmitted, received] =
            [&self.transmitted, &self.received].map(|when| now.saturating_sub(when.load(Ordering::Relaxed)));
        last.store(now, Ordering::Relaxed);
        let hex: String = front[..filled].iter().map(|byte| format!("{byte:02x}")).collect();
        let more = if len > SHOWN { "..." } else { "" };
        trace!(target: TARGET, "{way} {len} bytes, {transmitted} ns after the last transmit, {received} ns after the last receive: {hex}{more}");
    }
}

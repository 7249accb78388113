//! The log of every frame, at trace level: one branch on the path of a frame while it is off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use log::{Level, log_enabled, trace};

use crate::memory::{FrameMemory, ReceiveMemory};

const TARGET: &str = "tap_plumb::frame";
/// Bytes of a frame that are shown; enough for every header.
const SHOWN: usize = 128;

/// When frames last went each way, in nanoseconds since the backend was made.
#[derive(Debug)]
pub(super) struct FrameLog {
    epoch: Instant,
    transmitted: AtomicU64,
    received: AtomicU64,
}

impl FrameLog {
    pub fn new() -> Self {
        Self { epoch: Instant::now(), transmitted: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    #[inline]
    pub fn transmit(&self, memory: &FrameMemory<'_>, len: usize) {
        if log_enabled!(target: TARGET, Level::Trace) {
            self.write("transmit", &self.transmitted, |front| memory.copy_front(front), len);
        }
    }

    #[inline]
    pub fn receive(&self, room: &ReceiveMemory<'_>, len: usize) {
        if log_enabled!(target: TARGET, Level::Trace) {
            self.write("receive", &self.received, |front| room.copy_front(front), len);
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

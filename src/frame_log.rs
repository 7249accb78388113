//! The log of every frame, at trace level: one branch on the path of a frame while it is off.

use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use log::{Level, log_enabled, trace};

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

    pub(crate) fn transmit(&self, slices: &[IoSlice<'_>], len: usize) {
        if log_enabled!(target: TARGET, Level::Trace) {
            self.write("transmit", &self.transmitted, slices.iter().map(|slice| &**slice), len);
        }
    }

    pub(crate) fn receive<'a>(&self, slices: impl Iterator<Item = &'a [u8]>, len: usize) {
        if log_enabled!(target: TARGET, Level::Trace) {
            self.write("receive", &self.received, slices, len);
        }
    }

    #[cold]
    fn write<'a>(&self, way: &str, last: &AtomicU64, slices: impl Iterator<Item = &'a [u8]>, len: usize) {
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let [transmitted, received] =
            [&self.transmitted, &self.received].map(|when| now.saturating_sub(when.load(Ordering::Relaxed)));
        last.store(now, Ordering::Relaxed);
        let hex: String = slices.flatten().take(len.min(SHOWN)).map(|byte| format!("{byte:02x}")).collect();
        let more = if len > SHOWN { "..." } else { "" };
        trace!(target: TARGET, "{way} {len} bytes, {transmitted} ns after the last transmit, {received} ns after the last receive: {hex}{more}");
    }
}

//! On a terminal one line shows what runs.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Between two lines.
const PERIOD: Duration = Duration::from_millis(500);

pub(crate) struct Progress<'g> {
    group: &'g str,
    start: Instant,
    share: Duration,
    left: Duration,
    shown: Option<Instant>,
    terminal: bool,
}

impl<'g> Progress<'g> {
    /// `share` is the group's time, `left` that of the groups to come.
    pub(crate) fn new(group: &'g str, share: Duration, left: Duration) -> Self {
        let terminal = stderr().is_terminal();
        Self { group, start: Instant::now(), share, left, shown: None, terminal }
    }

    pub(crate) fn show(&mut self, tried: u64) {
        if !self.terminal || self.shown.is_some_and(|shown| shown.elapsed() < PERIOD) {
            return;
        }
        self.shown = Some(Instant::now());
        let elapsed = self.start.elapsed();
        let rate = tried as f64 / elapsed.as_secs_f64().max(0.001);
        let left = (self.share.saturating_sub(elapsed) + self.left).as_secs();
        eprint!("\r\x1b[K{}: {tried} tried, {rate:.0} a second, {left} s left", self.group);
        let _ = stderr().flush();
    }

    pub(crate) fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

//! Signals, on a thread of their own.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::pair::Pair;
use crate::report;
use crate::stop::Stop;

/// Prints the statistics on `SIGUSR1` and asks for the end on `SIGTERM` and `SIGINT`.
///
/// # Errors
/// The system's, when a handler or the thread cannot be had.
pub fn serve(pairs: Arc<[Pair]>, stop: Arc<Stop>) -> io::Result<()> {
    let mut signals = Signals::new([SIGUSR1, SIGTERM, SIGINT])?;
    let run = move || {
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                report::statistics(&pairs);
            } else {
                stop.ask();
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(run).map(drop)
}

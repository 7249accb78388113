//! Waits for a removed interface, and attaches it again while the guest keeps running.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{info, warn};
use tap_plumb::AttachError;

use crate::interface::Interface;
use crate::pair::Pair;
use crate::report;

/// Between two looks for the interface.
const PERIOD: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    gone: bool,
    stopped: bool,
}

/// Told that the interface is gone, by whoever finds it out; a thread of its own runs [`watch`](Self::watch).
#[derive(Default)]
pub struct Reviver {
    state: Mutex<State>,
    changed: Condvar,
}

impl Reviver {
    /// The interface is gone. May be said more than once.
    pub fn gone(&self) {
        self.lock().gone = true;
        self.changed.notify_all();
    }

    /// Ends [`watch`](Self::watch).
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Attaches again whenever the interface is gone, until [`stop`](Self::stop). `false`: the interface is gone for good,
    /// because it has no name by which it could come again; a socket has none.
    pub fn watch(&self, interface: &Interface, pairs: &[Pair]) -> bool {
        while self.wait_gone() {
            // This report repeats an earlier one. Its sender looked at the interface before it was attached again.
            if pairs.iter().all(|pair| pair.backend.tap().name().is_ok()) {
                continue;
            }
            report::event("gone");
            if interface.name().is_none() {
                return false;
            }
            let mut said = String::new();
            while let Err(error) = revive(interface, pairs) {
                let why = error.to_string();
                if why != said {
                    info!("waiting for the interface: {why}");
                    said = why;
                }
                if self.pause() {
                    return true;
                }
            }
            report::event("reattached");
        }
        true
    }

    /// `false` at the end.
    fn wait_gone(&self) -> bool {
        let mut state = self.lock();
        while !state.gone && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.gone = false;
        !state.stopped
    }

    /// Waits a while; `true` at the end.
    fn pause(&self) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, PERIOD, |state| !state.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One try, for all queues: the interface may have gone again between two of them.
fn revive(interface: &Interface, pairs: &[Pair]) -> Result<(), AttachError> {
    for pair in pairs {
        pair.backend.reattach(&interface.again())?;
    }
    for pair in pairs {
        pair.reattached();
    }
    // An administrator can add what is missing now. The guest's link is up again in any case.
    if let Err(error) = interface.prepare(pairs[0].backend.tap()) {
        warn!("{error}");
    }
    pairs.iter().for_each(|pair| pair.wake.raise());
    Ok(())
}

//! The second network namespace: whoever is run there makes its interfaces and processes in it.

use std::fs::File;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::rig::{Outcome, silence};

pub struct Far(File);

impl Far {
    pub fn new() -> Outcome<Self> {
        let made = elsewhere(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
            silence().map_err(|error| error.to_string())?;
            File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())
        });
        Ok(Self(made?))
    }

    /// Runs `act` on a thread in this namespace.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        let done = elsewhere(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
            act().map_err(|error| error.to_string())
        });
        Ok(done?)
    }
}

/// A thread can change its own namespace only, and nobody wants it back.
fn elsewhere<T: Send>(act: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| scope.spawn(act).join().unwrap_or_else(|_| Err("panicked".into())))
}

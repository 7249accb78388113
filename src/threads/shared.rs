//! What the two threads and whoever commands them share.

use std::cell::Cell;
use std::mem::forget;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::control::{CHANGED, Control, REATTACHED, Worker};
use super::error::ThreadsError;
use super::frontend::Frontend;
use super::sync::{AtomicU8, Ordering};
use super::wake::Wake;
use crate::backend::{Backend, Debt, Watcher};

pub(super) struct Shared {
    pub backend: Arc<Backend>,
    pub frontend: Arc<dyn Frontend>,
    pub control: Control,
    pub receive_wake: Wake,
    pub transmit_wake: Wake,
    /// Debts of ended sessions, as the bits of a [`Debt`].
    pub owed: AtomicU8,
}

impl Shared {
    /// Begins to answer the backend's debts; that ends when the last thread leaves.
    pub fn new(backend: Arc<Backend>, frontend: Arc<dyn Frontend>) -> Result<Arc<Self>, ThreadsError> {
        let start = |source| ThreadsError::Start { source };
        let shared = Arc::new(Self {
            backend,
            frontend,
            control: Control::new(),
            receive_wake: Wake::new().map_err(start)?,
            transmit_wake: Wake::new().map_err(start)?,
            owed: AtomicU8::new(0),
        });
        if shared.backend.add_watcher(Arc::clone(&shared) as Arc<dyn Watcher>) {
            Ok(shared)
        } else {
            Err(ThreadsError::AlreadyDriven)
        }
    }

    /// Runs a thread to its end, whatever the frontend does.
    pub fn work(&self, worker: Worker, body: fn(&Self)) {
        let result = catch_unwind(AssertUnwindSafe(|| body(self)));
        let panicked = result.is_err();
        // The payload of the frontend's panic may itself panic when it is dropped. The payload of that second panic is never
        // dropped.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(result))) {
            forget(second);
        }
        self.leave(worker, panicked);
        self.wake();
    }

    /// Counts a thread as ended. The backend and the shared state refer to each other. The last thread breaks that cycle,
    /// since there may be nobody else left to do it.
    pub fn leave(&self, worker: Worker, panicked: bool) {
        if self.control.leave(worker, panicked) {
            self.backend.remove_watcher();
        }
    }

    /// Calls the frontend's `interrupt_wait`, but not from within that call: it may command the threads.
    pub fn interrupt(&self) {
        if let Some(_interrupting) = Interrupting::begin() {
            self.frontend.interrupt_wait();
        }
    }
}

thread_local! {
    static INTERRUPTING: Cell<bool> = const { Cell::new(false) };
}

/// A guard: until it is dropped, this thread is in a frontend's `interrupt_wait`.
struct Interrupting;

impl Interrupting {
    fn begin() -> Option<Self> {
        // `then_some` must not be used here: it would make a second guard, and the drop of that guard would end the existing
        // one.
        if INTERRUPTING.replace(true) { None } else { Some(Self) }
    }
}

impl Drop for Interrupting {
    fn drop(&mut self) {
        INTERRUPTING.set(false);
    }
}

impl Watcher for Shared {
    fn transmit_owed(&self, debt: Debt) {
        self.owed.fetch_or(debt.bits(), Ordering::AcqRel);
        self.transmit_wake.wake();
    }

    fn wake(&self) {
        self.control.draw_attention(CHANGED);
        self.receive_wake.wake();
        self.transmit_wake.wake();
    }

    fn reattached(&self) {
        self.control.draw_attention(REATTACHED);
        self.wake();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("backend", &self.backend)
            .field("control", &self.control)
            .field("fd", &self.backend.as_fd())
            .finish_non_exhaustive()
    }
}

//! The receive and the transmit thread, for devices without an event loop of their own.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use log::warn;

use crate::backend::{Backend, Debt, Watcher, sync};

mod announcement;
mod control;
mod error;
mod frontend;
mod handover;
mod receive_thread;
mod transmit_thread;
mod wake;

use control::{CHANGED, Control, REATTACHED, RESET, Wanted, Worker};
pub use error::ThreadsError;
pub use frontend::{Frontend, Refused, Wait};
use receive_thread::ReceiveThread;
use sync::{AtomicU8, Ordering};
use transmit_thread::TransmitThread;
use wake::Wake;

/// A frontend that holds a thread longer than this makes `suspend` give up.
const SUSPEND_LIMIT: Duration = Duration::from_secs(60);
/// An interruption that came just before the wait it was meant for is repeated after this time.
const NUDGE: Duration = Duration::from_millis(10);

/// Why delivery starts again after a suspension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Resume {
    /// The machine was paused.
    #[default]
    Normal,
    /// The host slept: the guest's link is dropped briefly ([`Frontend::flap_link`]), so that it renews its leases.
    HostSleep,
    /// The machine came from another host: one frame from the guest's address
    /// ([`Config::guest_address`](crate::Config::guest_address)) tells the switches where it is now.
    Migrated,
}

/// Drives a [`Backend`] with two threads.
///
/// The receive thread takes frames while the guest has buffers for them, and leaves them in the host's queue while it has
/// not. The transmit thread answers what a session owes: when somebody was turned away, or the device was full, it calls
/// [`Frontend::transmit_pending`] once the cause is gone.
///
/// Every call is legal in every state, from any thread, the frontend's callbacks included:
///
/// | call | running | suspended | stopped |
/// |---|---|---|---|
/// | [`suspend`](Self::suspend) | both threads stand still when it returns | nothing | nothing |
/// | [`resume`](Self::resume) | nothing | what the host queued is dropped and counted as stale, then delivery starts | nothing |
/// | [`reset`](Self::reset) | the frame that waits for guest buffers is dropped | nothing | nothing |
/// | [`stop`](Self::stop), drop | both threads have ended when it returns | the same | nothing |
/// | [`Backend::set_link_state`]`(Down)` | the device is not polled; frames are dropped both ways | sends are dropped | sends are dropped |
/// | [`Backend::set_link_state`]`(Up)` | what the host queued is dropped, then delivery starts | what the host queued is dropped | the same |
/// | [`Backend::reattach`] | delivery starts again after [`Frontend::flap_link`] | the same, after `resume` | nothing |
#[derive(Debug)]
pub struct Threads {
    shared: Arc<Shared>,
    /// Taken by whoever stops them: what is done at the end is done once.
    running: Mutex<Option<Vec<JoinHandle<()>>>>,
    ids: Vec<ThreadId>,
}

/// What the two threads and their commander share.
struct Shared {
    backend: Arc<Backend>,
    frontend: Arc<dyn Frontend>,
    control: Control,
    receive_wake: Wake,
    transmit_wake: Wake,
    /// Debts of ended sessions, as the bits of a [`Debt`].
    owed: AtomicU8,
}

impl Threads {
    /// Starts both threads.
    ///
    /// # Errors
    /// [`ThreadsError::AlreadyDriven`]; [`ThreadsError::Start`]: a pipe or a thread could not be had. Nothing was started.
    pub fn spawn(backend: Arc<Backend>, frontend: Arc<dyn Frontend>) -> Result<Self, ThreadsError> {
        let start = |source| ThreadsError::Start { source };
        let shared = Arc::new(Shared {
            backend,
            frontend,
            control: Control::new(),
            receive_wake: Wake::new().map_err(start)?,
            transmit_wake: Wake::new().map_err(start)?,
            owed: AtomicU8::new(0),
        });
        if !shared.backend.add_watcher(Arc::clone(&shared) as Arc<dyn Watcher>) {
            return Err(ThreadsError::AlreadyDriven);
        }
        let mut threads = Self { shared, running: Mutex::new(Some(Vec::new())), ids: Vec::new() };
        // When the second one cannot be had, the drop of `threads` ends the first.
        threads.start("tap-receive", Worker::Receive, |shared| ReceiveThread::new(shared).run())?;
        threads.start("tap-transmit", Worker::Transmit, |shared| TransmitThread::new(shared).run())?;
        Ok(threads)
    }

    fn start(
        &mut self,
        name: &str,
        worker: Worker,
        body: impl FnOnce(&Shared) + Send + 'static,
    ) -> Result<(), ThreadsError> {
        let shared = Arc::clone(&self.shared);
        let main = move || {
            let panicked = catch_unwind(AssertUnwindSafe(|| body(&shared))).is_err();
            shared.control.leave(worker, panicked);
            shared.wake();
        };
        match thread::Builder::new().name(name.into()).spawn(main) {
            Ok(handle) => {
                self.ids.push(handle.thread().id());
                let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
                running.get_or_insert_default().push(handle);
                Ok(())
            }
            Err(source) => {
                self.shared.control.leave(worker, false);
                Err(ThreadsError::Start { source })
            }
        }
    }

    /// Makes both threads stand still: when it returns, nothing is being read or delivered. A frame that waits for
    /// guest buffers is dropped and counted. From a callback of the frontend it takes effect when that returns.
    ///
    /// # Errors
    /// [`ThreadsError::Timeout`] when a callback of the frontend does not return within 60 s;
    /// [`ThreadsError::Panicked`].
    pub fn suspend(&self) -> Result<(), ThreadsError> {
        self.shared.control.want(Wanted::Suspend);
        self.settle(Some(SUSPEND_LIMIT))?;
        self.outcome()
    }

    /// Starts delivery again, after dropping what the host queued meanwhile.
    ///
    /// # Errors
    /// [`ThreadsError::Panicked`].
    pub fn resume(&self, resume: Resume) -> Result<(), ThreadsError> {
        let shared = &self.shared;
        if shared.control.wanted() == Wanted::Suspend {
            shared.backend.discard_queued();
            match resume {
                Resume::Normal => {}
                Resume::HostSleep => shared.frontend.flap_link(),
                Resume::Migrated => announcement::send(&shared.backend),
            }
            shared.control.want(Wanted::Run);
        }
        self.outcome()
    }

    /// Drops the frame that waits for guest buffers, if there is one.
    pub fn reset(&self) {
        self.shared.control.draw_attention(RESET);
        self.shared.receive_wake.wake();
        self.shared.frontend.interrupt_wait();
    }

    /// Ends both threads and waits for them. From a callback of the frontend they end when that returns.
    ///
    /// # Errors
    /// [`ThreadsError::Panicked`] when a callback of the frontend panicked, now or before.
    pub fn stop(&self) -> Result<(), ThreadsError> {
        self.shared.control.want(Wanted::Stop);
        self.settle(None)?;
        if !self.on_own_thread() {
            let handles = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(handles) = handles {
                for handle in handles {
                    // Its panic, if any, was caught and noted inside.
                    let _ = handle.join();
                }
                self.shared.backend.remove_watcher();
            }
        }
        self.outcome()
    }

    /// Wakes both threads, again and again, until they have done what is wanted of them.
    fn settle(&self, limit: Option<Duration>) -> Result<(), ThreadsError> {
        let start = Instant::now();
        loop {
            self.shared.wake();
            self.shared.frontend.interrupt_wait();
            if self.on_own_thread() || self.shared.control.settled(NUDGE) {
                return Ok(());
            }
            if limit.is_some_and(|limit| start.elapsed() > limit) {
                return Err(ThreadsError::Timeout);
            }
        }
    }

    fn outcome(&self) -> Result<(), ThreadsError> {
        match self.shared.control.panicked() {
            Some(Worker::Receive) => Err(ThreadsError::Panicked { thread: "receive" }),
            Some(Worker::Transmit) => Err(ThreadsError::Panicked { thread: "transmit" }),
            None => Ok(()),
        }
    }

    fn on_own_thread(&self) -> bool {
        self.ids.contains(&thread::current().id())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            warn!("{:?}: {error}", self.shared.backend);
        }
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

//! The receive and the transmit thread, for devices without an event loop of their own.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use log::warn;

use crate::backend::{Backend, Watcher, sync};

mod announcement;
mod control;
mod error;
mod frontend;
mod handover;
mod receive_thread;
mod shared;
mod transmit_thread;
mod wake;

use control::{FLAP, RESET, Wanted, Worker};
pub use error::ThreadsError;
pub use frontend::{Frontend, Refused, Wait};
use receive_thread::ReceiveThread;
use shared::Shared;
use transmit_thread::TransmitThread;

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
/// not. When a session was refused, or the device was full, the transmit thread calls [`Frontend::transmit_pending`] once the
/// cause is gone.
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
    /// Taken by whoever stops them; held until they have been joined, so that everybody who stops them waits for that.
    running: Mutex<Vec<JoinHandle<()>>>,
    ids: Vec<ThreadId>,
}

/// A thread's name, and what it does.
type Role = (&'static str, Worker, fn(&Shared));

const ROLES: [Role; 2] = [
    ("tap-receive", Worker::Receive, |shared| ReceiveThread::new(shared).run()),
    ("tap-transmit", Worker::Transmit, |shared| TransmitThread::new(shared).run()),
];

impl Threads {
    /// Starts both threads. Neither does anything before both are there.
    ///
    /// # Errors
    /// [`ThreadsError::AlreadyDriven`]; [`ThreadsError::Start`]: a pipe or a thread could not be had. Nothing was started.
    pub fn spawn(backend: Arc<Backend>, frontend: Arc<dyn Frontend>) -> Result<Self, ThreadsError> {
        let shared = Shared::new(backend, frontend)?;
        let mut threads = Self { shared, running: Mutex::default(), ids: Vec::new() };
        for (at, role) in ROLES.iter().enumerate() {
            if let Err(source) = threads.start(*role) {
                // The drop of `threads` waits for those that were started.
                ROLES[at..].iter().for_each(|(_, worker, _)| threads.shared.leave(*worker, false));
                return Err(ThreadsError::Start { source });
            }
        }
        threads.shared.control.want(Wanted::Run);
        Ok(threads)
    }

    fn start(&mut self, (name, worker, body): Role) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let handle = thread::Builder::new().name(name.into()).spawn(move || shared.work(worker, body))?;
        self.ids.push(handle.thread().id());
        self.running.get_mut().unwrap_or_else(PoisonError::into_inner).push(handle);
        Ok(())
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

    /// Starts delivery again, after dropping what the host queued meanwhile. When two callers resume at once, one does the
    /// work, and the other waits for it.
    ///
    /// # Errors
    /// [`ThreadsError::Panicked`].
    pub fn resume(&self, resume: Resume) -> Result<(), ThreadsError> {
        let backend = &self.shared.backend;
        let reason = if resume == Resume::HostSleep { FLAP } else { 0 };
        let drain = || {
            backend.discard_queued();
        };
        if self.shared.control.resume(reason, drain) && resume == Resume::Migrated {
            announcement::send(backend);
        }
        self.outcome()
    }

    /// Drops the frame that waits for guest buffers, if there is one.
    pub fn reset(&self) {
        self.shared.control.draw_attention(RESET);
        self.shared.receive_wake.wake();
        self.shared.interrupt();
    }

    /// Ends both threads and waits for them. From a callback of the frontend they end when that returns.
    ///
    /// # Errors
    /// [`ThreadsError::Panicked`] when a callback of the frontend panicked, now or before.
    pub fn stop(&self) -> Result<(), ThreadsError> {
        self.shared.control.want(Wanted::Stop);
        self.settle(None)?;
        if !self.on_own_thread() {
            for handle in self.lock_running().drain(..) {
                // Its panic, if any, was caught and noted inside.
                let _ = handle.join();
            }
        }
        self.outcome()
    }

    /// Wakes both threads, again and again, until they have done what is wanted of them.
    fn settle(&self, limit: Option<Duration>) -> Result<(), ThreadsError> {
        let start = Instant::now();
        loop {
            self.shared.wake();
            self.shared.interrupt();
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

    fn lock_running(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            warn!("{:?}: {error}", self.shared.backend);
        }
    }
}

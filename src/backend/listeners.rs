//! Who is told that transmitting is possible again, and what else changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Backend;
use super::transmit_lock::Debt;

/// What a backend tells the threads that drive it, where there are any.
pub(crate) trait Watcher: Send + Sync {
    /// A transmit session ended with debts.
    fn transmit_owed(&self, debt: Debt);
    /// The link state changed, or the interface is gone.
    fn wake(&self);
    /// The interface was bound again.
    fn reattached(&self);
}

/// Whom to tell: the threads, where there are any, else a callback.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Told>);

#[derive(Default)]
struct Told {
    callback: Option<Arc<dyn Fn() + Send + Sync>>,
    watcher: Option<Arc<dyn Watcher>>,
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend {
    /// Calls `callback` whenever a session ends during which [`begin_transmit`](Self::begin_transmit) turned somebody
    /// away. It runs on the thread that ended the session, with no lock held, and may begin a session itself. While
    /// [`Threads`](crate::Threads) drive the backend they answer instead, by `transmit_pending`.
    pub fn on_transmit_ready(&self, callback: impl Fn() + Send + Sync + 'static) {
        self.listeners.lock().callback = Some(Arc::new(callback));
    }

    /// Lets `watcher` answer debts from now on; `false` when somebody does so already.
    pub(crate) fn add_watcher(&self, watcher: Arc<dyn Watcher>) -> bool {
        let mut listeners = self.listeners.lock();
        let free = listeners.watcher.is_none();
        if free {
            listeners.watcher = Some(watcher);
        }
        free
    }

    pub(crate) fn remove_watcher(&self) {
        self.listeners.lock().watcher = None;
    }

    /// Ends a session and answers its debts, with no lock of ours held.
    #[inline]
    pub(crate) fn end_transmit(&self) {
        let debt = self.lock.end();
        if !debt.is_empty() {
            self.answer(debt);
        }
    }

    #[cold]
    fn answer(&self, debt: Debt) {
        let listeners = self.listeners.lock();
        let (watcher, callback) = (listeners.watcher.clone(), listeners.callback.clone());
        drop(listeners);
        match (watcher, callback) {
            (Some(watcher), _) => watcher.transmit_owed(debt),
            (None, Some(callback)) if debt.has(Debt::TURNED_AWAY) => callback(),
            _ => {}
        }
    }

    pub(super) fn watcher(&self) -> Option<Arc<dyn Watcher>> {
        self.listeners.lock().watcher.clone()
    }
}

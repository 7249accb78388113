//! The transmit lock and the threads' state machine under every interleaving that loom can think of.
//!
//! The very files of the crate are compiled here, over loom's primitives.
#![cfg(target_os = "linux")]
#![expect(dead_code, reason = "the crate's modules are used in parts here")]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU8, Ordering};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
}
#[path = "../src/threads/control.rs"]
mod control;
#[path = "../src/backend/transmit_lock.rs"]
mod transmit_lock;

use std::time::Duration;

use control::{Control, Wanted, Worker};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use transmit_lock::{Debt, TransmitLock};

#[derive(Default)]
struct Seen {
    held: AtomicBool,
    refused: AtomicUsize,
    notified: AtomicUsize,
}

fn session(lock: &TransmitLock, seen: &Seen) {
    if !lock.try_begin() {
        seen.refused.fetch_add(1, Ordering::SeqCst);
        return;
    }
    assert!(!seen.held.swap(true, Ordering::SeqCst), "two sessions at once");
    thread::yield_now();
    seen.held.store(false, Ordering::SeqCst);
    if lock.end().has(Debt::TURNED_AWAY) {
        seen.notified.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn b12_b25_nobody_is_turned_away_without_a_debt_and_no_two_sessions_overlap() {
    bounded().check(|| {
        let shared = Arc::new((TransmitLock::new(), Seen::default()));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || session(&shared.0, &shared.1))
            })
            .collect();
        session(&shared.0, &shared.1);
        for other in others {
            other.join().unwrap();
        }
        let seen = &shared.1;
        let (refused, notified) = (seen.refused.load(Ordering::SeqCst), seen.notified.load(Ordering::SeqCst));
        assert_eq!(refused > 0, notified > 0, "{refused} refused, {notified} notified");
        assert!(notified <= refused, "a wake-up that nobody asked for");
        assert!(shared.0.try_begin(), "free at the end");
    });
}

/// One thread, busy in a turn, then asleep until it is woken. The other one has ended, or there would be too many
/// interleavings to try.
struct Model {
    control: Control,
    woken: Mutex<bool>,
    wake: Condvar,
    busy: AtomicBool,
}

impl Model {
    fn start() -> (Arc<Self>, thread::JoinHandle<()>) {
        let model = Arc::new(Self {
            control: Control::new(),
            woken: Mutex::new(false),
            wake: Condvar::new(),
            busy: AtomicBool::new(false),
        });
        model.control.leave(Worker::Transmit, false);
        let worker = Arc::clone(&model);
        (model, thread::spawn(move || worker.work()))
    }

    fn work(&self) {
        while self.control.enter(Worker::Receive) {
            self.busy.store(true, Ordering::SeqCst);
            self.busy.store(false, Ordering::SeqCst);
            let mut woken = self.woken.lock().unwrap();
            while !*woken {
                woken = self.wake.wait(woken).unwrap();
            }
            *woken = false;
        }
        self.control.leave(Worker::Receive, false);
    }

    fn command(&self, wanted: Wanted) {
        self.control.want(wanted);
        *self.woken.lock().unwrap() = true;
        self.wake.notify_one();
        while !self.control.settled(Duration::ZERO) {}
    }
}

fn bounded() -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder
}

#[test]
fn s1_nothing_is_busy_once_suspend_has_returned() {
    bounded().check(|| {
        let (model, thread) = Model::start();
        model.command(Wanted::Suspend);
        assert!(!model.busy.load(Ordering::SeqCst));
        model.command(Wanted::Stop);
        thread.join().unwrap();
    });
}

#[test]
fn s3_stop_ends_the_thread_also_right_after_a_resume() {
    bounded().check(|| {
        let (model, thread) = Model::start();
        model.command(Wanted::Suspend);
        model.command(Wanted::Run);
        model.command(Wanted::Stop);
        thread.join().unwrap();
    });
}

#[test]
fn s1_suspend_after_resume_waits_for_the_threads_anew() {
    bounded().check(|| {
        let (model, thread) = Model::start();
        model.command(Wanted::Suspend);
        model.command(Wanted::Run);
        model.command(Wanted::Suspend);
        assert!(!model.busy.load(Ordering::SeqCst));
        model.command(Wanted::Stop);
        thread.join().unwrap();
    });
}

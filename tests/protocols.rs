//! The transmit lock and the threads' state machine under every interleaving that loom can think of.
//!
//! The very files of the crate are compiled here, over loom's primitives.
#![cfg(target_os = "linux")]
#![expect(dead_code, unreachable_pub, reason = "the crate's modules are used in parts here")]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU8, Ordering};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
}
#[path = "../src/threads/control.rs"]
mod control;
#[path = "../src/backend/link.rs"]
mod link;
#[path = "../src/backend/transmit_lock.rs"]
mod transmit_lock;

use std::time::Duration;

use control::{Control, FLAP, Wanted, Worker};
use link::{LinkCell, LinkState};
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

/// Rows B12 and B25.
#[test]
fn nobody_is_turned_away_without_a_debt_and_no_two_sessions_overlap() {
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
        model.control.want(Wanted::Run);
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

/// Row S1.
#[test]
fn nothing_is_busy_once_suspend_has_returned() {
    bounded().check(|| {
        let (model, thread) = Model::start();
        model.command(Wanted::Suspend);
        assert!(!model.busy.load(Ordering::SeqCst));
        model.command(Wanted::Stop);
        thread.join().unwrap();
    });
}

/// Row S3.
#[test]
fn stop_ends_the_thread_also_right_after_a_resume() {
    bounded().check(|| {
        let (model, thread) = Model::start();
        model.command(Wanted::Suspend);
        model.command(Wanted::Run);
        model.command(Wanted::Stop);
        thread.join().unwrap();
    });
}

/// Row S1.
#[test]
fn suspend_after_resume_waits_for_the_threads_anew() {
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

/// What the host queued, and how often it was dropped.
#[derive(Default)]
struct Queue {
    frames: AtomicUsize,
    drains: AtomicUsize,
}

impl Queue {
    fn of(frames: usize) -> Self {
        Self { frames: AtomicUsize::new(frames), drains: AtomicUsize::new(0) }
    }

    /// Takes one frame at a time, so that others come between.
    fn drain(&self) {
        self.drains.fetch_add(1, Ordering::SeqCst);
        while self
            .frames
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1))
            .is_ok()
        {}
    }
}

#[test]
fn of_two_that_resume_at_once_one_drops_the_stale_frames() {
    bounded().check(|| {
        let shared = Arc::new((Control::new(), Queue::of(1)));
        let resume = |shared: &(Control, Queue)| {
            let (control, queue) = shared;
            let began = control.resume(FLAP, || queue.drain());
            // Delivery has started for both of them: this frame is none from before.
            queue.frames.fetch_add(1, Ordering::SeqCst);
            began
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || resume(&shared))
        };
        let began = [resume(&shared), other.join().unwrap()];
        assert_eq!(began.iter().filter(|began| **began).count(), 1, "one of them started delivery");
        assert_eq!(shared.1.drains.load(Ordering::SeqCst), 1);
        assert_eq!(shared.1.frames.load(Ordering::SeqCst), 2, "a frame of the new run was dropped as stale");
    });
}

#[test]
fn a_thread_that_runs_again_finds_no_stale_frame_and_learns_why_it_runs() {
    bounded().check(|| {
        let shared = Arc::new((Control::new(), Queue::of(1)));
        shared.0.leave(Worker::Transmit, false);
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (control, queue) = &*shared;
                if control.enter(Worker::Receive) {
                    assert_eq!(queue.frames.load(Ordering::SeqCst), 0, "delivery began before the drain");
                    assert_eq!(control.take_attention() & FLAP, FLAP);
                }
                control.leave(Worker::Receive, false);
            })
        };
        shared.0.resume(FLAP, || shared.1.drain());
        shared.0.want(Wanted::Stop);
        reader.join().unwrap();
    });
}

#[test]
fn a_stop_during_a_resume_is_not_undone() {
    bounded().check(|| {
        let control = Arc::new(Control::new());
        let other = {
            let control = Arc::clone(&control);
            thread::spawn(move || control.resume(0, thread::yield_now))
        };
        control.want(Wanted::Stop);
        other.join().unwrap();
        assert!(!control.enter(Worker::Receive), "it runs after the end");
    });
}

#[test]
fn the_last_thread_to_leave_is_one() {
    bounded().check(|| {
        let control = Arc::new(Control::new());
        let other = {
            let control = Arc::clone(&control);
            thread::spawn(move || control.leave(Worker::Receive, false))
        };
        let last = control.leave(Worker::Transmit, true);
        assert_ne!(last, other.join().unwrap());
    });
}

/// Row O14.
#[test]
fn of_two_that_plug_the_cable_in_at_once_one_drops_what_is_queued() {
    bounded().check(|| {
        let shared = Arc::new((LinkCell::new(), Queue::of(1)));
        shared.0.set(LinkState::Down, || panic!("nothing is dropped when the link goes down"));
        let plug_in = |shared: &(LinkCell, Queue)| {
            let (link, queue) = shared;
            link.set(LinkState::Up, || {
                assert!(!link.is_up(), "frames are dropped of a link that is up");
                queue.drain();
            });
            queue.frames.fetch_add(1, Ordering::SeqCst);
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || plug_in(&shared))
        };
        plug_in(&shared);
        other.join().unwrap();
        assert!(shared.0.is_up());
        assert_eq!(shared.1.frames.load(Ordering::SeqCst), 2, "a frame that came after the link was dropped");
    });
}

/// Row O14.
#[test]
fn a_reader_drops_no_frame_once_the_link_is_up() {
    bounded().check(|| {
        let shared = Arc::new((LinkCell::new(), Queue::of(1)));
        shared.0.set(LinkState::Down, || ());
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (link, queue) = &*shared;
                link.drain_while_down(|| {
                    assert!(!link.is_up(), "frames are dropped of a link that is up");
                    queue.drain();
                });
            })
        };
        shared.0.set(LinkState::Up, || shared.1.drain());
        shared.1.frames.fetch_add(1, Ordering::SeqCst);
        reader.join().unwrap();
        assert_eq!(shared.1.frames.load(Ordering::SeqCst), 1, "a frame that came after the link was dropped");
    });
}

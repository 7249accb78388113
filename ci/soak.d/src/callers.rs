//! Commands from everywhere at once: four threads, and the callbacks of the device.

use std::io::IoSlice;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tap_plumb::{Backend, Checksum, Frame, Frontend, Gso, LinkState, Refused, Resume, Tap, Threads, Wait};

use crate::child::{Trials, assert_adds_up, assert_idle, wait_until};
use crate::frames::Random;
use crate::traffic::Guest;

const CALLERS: u64 = 4;
const ROUND: Duration = Duration::from_millis(1500);
/// Cheap calls between two others.
const CHEAP: u64 = 2000;
/// Threads that live a moment only.
const SHORT_LIVES: u64 = 40;

pub(crate) struct Callers;

impl Trials for Callers {
    fn round(&mut self, random: &mut Random) -> u64 {
        storm(random) + short_lives(random)
    }
}

/// A device that gives commands from its callbacks.
#[derive(Default)]
struct Meddler {
    guest: Guest,
    threads: OnceLock<Weak<Threads>>,
    backend: OnceLock<Weak<Backend>>,
    calls: AtomicU64,
}

impl Meddler {
    fn meddle(&self) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let handles =
            (self.threads.get().and_then(Weak::upgrade), self.backend.get().and_then(Weak::upgrade));
        if let (Some(threads), Some(backend)) = handles
            && call.is_multiple_of(64)
        {
            command(&threads, &backend, &mut Random(call));
        }
    }
}

impl Frontend for Meddler {
    fn wait_receive_available(&self, timeout: Duration) -> Wait {
        self.meddle();
        self.guest.wait_receive_available(timeout)
    }

    fn interrupt_wait(&self) {
        self.meddle();
        self.guest.interrupt_wait();
    }

    fn receive(&self, frame: &[IoSlice<'_>], checksum: Checksum) -> Result<(), Refused> {
        self.meddle();
        self.guest.receive(frame, checksum)
    }

    fn receive_gso(&self, frame: &[IoSlice<'_>], gso: Gso, checksum: Checksum) -> Result<(), Refused> {
        self.guest.receive_gso(frame, gso, checksum)
    }

    fn transmit_pending(&self) {
        self.meddle();
        self.guest.transmit_pending();
    }

    fn flap_link(&self) {
        self.meddle();
        self.guest.flap_link();
    }
}

/// Any command that leaves the threads alive.
fn command(threads: &Threads, backend: &Backend, random: &mut Random) {
    match random.within(0, 7) {
        0 => threads.suspend().expect("both threads stand still"),
        1 => threads.resume(Resume::Normal).expect("both threads run"),
        2 => threads.resume(Resume::HostSleep).expect("both threads run"),
        3 => threads.resume(Resume::Migrated).expect("both threads run"),
        4 => threads.reset(),
        5 => backend.set_link_state(LinkState::Down),
        6 => backend.set_link_state(LinkState::Up),
        _ => drop(backend.discard_queued()),
    }
}

fn pair() -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().expect("a socket pair");
    host.set_nonblocking(true).expect("a socket that does not wait");
    (Arc::new(Backend::new(Tap::from_fd(ours.into()).expect("a socket is a TAP"))), host)
}

/// Everybody calls everything for a while; then the sums hold, and the threads still do what they are told.
fn storm(random: &mut Random) -> u64 {
    let (backend, host) = pair();
    let meddler = Arc::new(Meddler::default());
    let threads =
        Arc::new(Threads::spawn(Arc::clone(&backend), Arc::clone(&meddler) as _).expect("two threads"));
    meddler.threads.get_or_init(|| Arc::downgrade(&threads));
    meddler.backend.get_or_init(|| Arc::downgrade(&backend));
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            let (seed, threads, backend, stop, calls) = (random.next(), &threads, &backend, &stop, &calls);
            scope.spawn(move || calls.fetch_add(call(threads, backend, seed, stop), Ordering::Relaxed));
        }
        let frame = [0x5a; 200];
        let start = Instant::now();
        while start.elapsed() < ROUND {
            // The other end is full, or empty.
            let _ = host.send(&frame);
            let mut scratch = [0; 64];
            while host.recv(&mut scratch).is_ok() {}
            meddler.guest.starved.store(random.one_in(8), Ordering::SeqCst);
        }
        stop.store(true, Ordering::SeqCst);
    });
    meddler.guest.starved.store(false, Ordering::SeqCst);
    settle(&threads, &backend, &host, &meddler);
    drop(threads);
    wait_until("the end of the threads", || {
        Arc::strong_count(&backend) == 1 && Arc::strong_count(&meddler) == 1
    });
    calls.into_inner() + meddler.calls.load(Ordering::Relaxed)
}

/// Makes calls until `stop`, and says how many.
fn call(threads: &Threads, backend: &Backend, seed: u64, stop: &AtomicBool) -> u64 {
    let (mut random, mut calls) = (Random(seed), 0);
    let frame = [0xa5; 200];
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..CHEAP {
            drop(backend.begin_transmit());
        }
        for _ in 0..CHEAP / 20 {
            let _ = backend.statistics();
        }
        if let Some(mut session) = backend.begin_transmit() {
            // Full, down or sent: it is counted.
            let _ = session.send(&Frame::new(&[IoSlice::new(&frame)]));
        }
        command(threads, backend, &mut random);
        calls += CHEAP + CHEAP / 20 + 3;
    }
    calls
}

fn settle(threads: &Threads, backend: &Backend, host: &UnixDatagram, meddler: &Meddler) {
    // A callback can suspend them again, and cut the link, until none comes any more.
    let delivers = || {
        backend.set_link_state(LinkState::Up);
        threads.resume(Resume::Normal).expect("both threads run");
        let before = meddler.guest.delivered.load(Ordering::SeqCst);
        let _ = host.send(&[0; 60]);
        thread::sleep(Duration::from_millis(5));
        meddler.guest.delivered.load(Ordering::SeqCst) > before
    };
    wait_until("a frame after the storm", delivers);
    assert_idle(&meddler.guest.threads());
    threads.stop().expect("the threads end");
    assert_adds_up(backend);
}

/// Threads that are dropped after one command, each time on the same backend.
fn short_lives(random: &mut Random) -> u64 {
    let (backend, host) = pair();
    let guest = Arc::new(Guest::default());
    for _ in 0..SHORT_LIVES {
        let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&guest) as _).expect("two threads");
        let _ = host.send(&[0; 60]);
        command(&threads, &backend, random);
        if random.one_in(2) {
            threads.stop().expect("the threads end");
        }
    }
    assert_eq!((Arc::strong_count(&backend), Arc::strong_count(&guest)), (1, 1), "references left");
    assert_adds_up(&backend);
    2 * SHORT_LIVES
}

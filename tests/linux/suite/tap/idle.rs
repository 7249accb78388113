//! Threads that have nothing to do sleep: no context switch in two seconds, in any state.

use std::fs;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use tap_plumb::{Backend, Checksum, Config, Frame, Frontend, LinkState, Refused, Resume, Threads, Wait};

use super::host::{self, PacketSocket, ip, wait_until};

const IDLE: Duration = Duration::from_secs(2);
/// The time in which a state is reached.
const SETTLE: Duration = Duration::from_millis(200);

/// A device that knows which threads call it.
#[derive(Default)]
struct Witness {
    receive: AtomicI32,
    transmit: AtomicI32,
    gone: AtomicI32,
}

impl Frontend for Witness {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        self.receive.store(gettid().as_raw(), Ordering::SeqCst);
        Wait::Available
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        Ok(())
    }

    fn transmit_pending(&self) {
        self.transmit.store(gettid().as_raw(), Ordering::SeqCst);
    }

    fn device_gone(&self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

type Enter = fn(&Backend, &Threads);

const STATES: [(&str, Enter); 13] = [
    ("running", |_, _| {}),
    ("suspended", |_, threads| threads.suspend().unwrap()),
    ("resumed", |_, threads| {
        threads.suspend().unwrap();
        threads.resume(Resume::HostSleep).unwrap();
    }),
    ("reset", |_, threads| threads.reset()),
    ("link down", |backend, _| backend.set_link_state(LinkState::Down)),
    ("link down with frames queued", |backend, _| {
        let host = PacketSocket::new("tap0");
        backend.set_link_state(LinkState::Down);
        (0..5).for_each(|mark| host.send(&host::frame(60, mark)));
    }),
    ("suspended with frames queued", |_, threads| {
        let host = PacketSocket::new("tap0");
        threads.suspend().unwrap();
        (0..5).for_each(|mark| host.send(&host::frame(60, mark)));
    }),
    ("suspended, link down", |backend, threads| {
        threads.suspend().unwrap();
        backend.set_link_state(LinkState::Down);
    }),
    ("interface down", |_, _| drop(ip("link set tap0 down"))),
    ("interface down with a frame that waits", |backend, _| {
        ip("link set tap0 down");
        let frame = host::frame(60, 1);
        let refused = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]));
        refused.unwrap_err();
    }),
    ("gone", |_, _| drop(ip("link del tap0"))),
    ("suspended, gone", |_, threads| {
        threads.suspend().unwrap();
        ip("link del tap0");
    }),
    ("stopped", |_, threads| threads.stop().unwrap()),
];

/// Context switches of a thread of this process, made of its own accord and not; none once it has ended.
fn switches(thread: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
    let lines = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
    Some(lines.map(|line| line.split_whitespace().next_back().unwrap().parse::<u64>().unwrap()).sum())
}

/// Learns the threads' numbers by making each call the device.
fn threads_of(backend: &Backend, device: &Witness) -> [i32; 2] {
    PacketSocket::new("tap0").send(&host::frame(60, 0));
    let session = backend.begin_transmit();
    assert!(backend.begin_transmit().is_none());
    drop(session);
    let numbers = || [&device.receive, &device.transmit].map(|number| number.load(Ordering::SeqCst));
    wait_until("both threads", || !numbers().contains(&0));
    numbers()
}

fn assert_sleeps(state: &str, enter: Enter) {
    let backend = host::backend(Config::new());
    let device = Arc::new(Witness::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let numbers = threads_of(&backend, &device);
    thread::sleep(SETTLE);
    enter(&backend, &threads);
    thread::sleep(SETTLE);
    let before = numbers.map(switches);
    thread::sleep(IDLE);
    assert_eq!(numbers.map(switches), before, "{state}: switches of the receive and the transmit thread");
    assert_eq!(before.contains(&None), state == "stopped", "{state}");
    assert_eq!(device.gone.load(Ordering::SeqCst), i32::from(state == "gone"), "{state}");
}

/// Each state in a network namespace of its own, all at the same time.
pub(crate) fn threads_that_have_nothing_to_do_sleep_in_every_state() {
    let start = |(state, enter): &(&'static str, Enter)| {
        let (state, enter) = (*state, *enter);
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            assert_sleeps(state, enter);
        })
    };
    let states: Vec<_> = STATES.iter().map(start).collect();
    let awake = states.into_iter().filter_map(|state| state.join().err()).count();
    assert_eq!(awake, 0, "states in which a thread wakes up");
}

//! Every command from every callback of the frontend, after which nothing of the threads is left.

use std::io::IoSlice;
use std::ops::Deref;
use std::os::unix::net::UnixDatagram;
use std::panic::panic_any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use tap_plumb::{
    Backend, Checksum, Config, Frame, Frontend, Gso, LinkState, Offload, Refused, Resume, Threads,
    ThreadsError, TransmitError, Wait,
};

use crate::device::Device;
use crate::pair;
use crate::segments::oversized;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callback {
    Wait,
    Interrupt,
    Receive,
    ReceiveGso,
    TakesPartial,
    Pending,
    Gone,
    Flap,
}

const CALLBACKS: [Callback; 8] = [
    Callback::Wait,
    Callback::Interrupt,
    Callback::Receive,
    Callback::ReceiveGso,
    Callback::TakesPartial,
    Callback::Pending,
    Callback::Gone,
    Callback::Flap,
];

/// What a callback does, given the only handle of the threads.
type Command = fn(Arc<Threads>, &Commander);

const COMMANDS: [(&str, Command); 11] = [
    ("drop", |threads, commander| {
        commander.threads.lock().unwrap().take();
        drop(threads);
    }),
    ("stop", |threads, _| threads.stop().unwrap()),
    ("stop twice", |threads, _| [(); 2].map(|()| threads.stop().unwrap()).iter().for_each(drop)),
    ("suspend", |threads, _| threads.suspend().unwrap()),
    ("resume", |threads, _| threads.resume(Resume::Normal).unwrap()),
    ("suspend and resume", |threads, _| {
        threads.suspend().unwrap();
        threads.resume(Resume::HostSleep).unwrap();
    }),
    ("resume after migration", |threads, _| threads.resume(Resume::Migrated).unwrap()),
    ("reset", |threads, _| threads.reset()),
    ("link down", |_, commander| commander.set_link(LinkState::Down)),
    ("link down and up", |_, commander| {
        commander.set_link(LinkState::Down);
        commander.set_link(LinkState::Up);
    }),
    ("reattach", |_, commander| {
        // A socket has no interface to bind again.
        commander.backend.upgrade().unwrap().reattach(&Config::new().name("tap0")).unwrap_err();
    }),
];

/// A device that gives one command from one callback.
struct Commander {
    at: Callback,
    command: Command,
    begun: AtomicBool,
    done: AtomicBool,
    backend: Weak<Backend>,
    threads: Mutex<Option<Arc<Threads>>>,
}

impl Commander {
    fn set_link(&self, state: LinkState) {
        self.backend.upgrade().expect("the test holds it").set_link_state(state);
    }

    fn called(&self, callback: Callback) {
        if callback != self.at || self.begun.swap(true, Ordering::SeqCst) {
            return;
        }
        let threads = self.threads.lock().unwrap().clone().expect("the test put it there before");
        (self.command)(threads, self);
        self.done.store(true, Ordering::SeqCst);
    }
}

impl Frontend for Commander {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        self.called(Callback::Wait);
        Wait::Available
    }

    fn interrupt_wait(&self) {
        self.called(Callback::Interrupt);
    }

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        self.called(Callback::Receive);
        Ok(())
    }

    fn receive_gso(&self, _: &[IoSlice<'_>], _: Gso, _: Checksum) -> Result<(), Refused> {
        self.called(Callback::ReceiveGso);
        Ok(())
    }

    fn takes_partial_checksum(&self) -> bool {
        self.called(Callback::TakesPartial);
        false
    }

    fn transmit_pending(&self) {
        self.called(Callback::Pending);
    }

    fn device_gone(&self) {
        self.called(Callback::Gone);
    }

    fn flap_link(&self) {
        self.called(Callback::Flap);
    }
}

/// A backend whose frames have a header before them.
fn backend() -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    let tap = Config::new().inherited(ours.into()).offload(Offload::ALL).attach().unwrap();
    (Arc::new(Backend::new(tap)), host)
}

/// A TCP frame with a header whose flag says that the checksum is partial.
fn tcp(kind: u8) -> Vec<u8> {
    let (frame, gso) = oversized();
    let [size_low, size_high] = if kind == 0 { [0; 2] } else { gso.segment_size.to_le_bytes() };
    let mut whole = vec![1, kind, 54, 0, size_low, size_high, 34, 0, 16, 0, 0, 0];
    whole.extend(frame);
    whole
}

fn plain() -> Vec<u8> {
    [&[0; 12][..], &pair::frame(60, 1)].concat()
}

/// Makes the threads call back.
fn provoke(
    callback: Callback,
    backend: &Backend,
    host: UnixDatagram,
    threads: impl Deref<Target = Threads>,
) -> UnixDatagram {
    // Who needs no handle gives it up, so that the callback has the last one.
    let threads = Some(threads).filter(|_| matches!(callback, Callback::Interrupt | Callback::Flap));
    let command = |command: &dyn Fn(&Threads)| threads.as_deref().into_iter().for_each(command);
    match callback {
        Callback::Wait | Callback::Receive => drop(host.send(&plain()).unwrap()),
        Callback::ReceiveGso => drop(host.send(&tcp(1)).unwrap()),
        Callback::TakesPartial => drop(host.send(&tcp(0)).unwrap()),
        Callback::Interrupt => command(&Threads::reset),
        Callback::Pending => {
            let session = backend.begin_transmit();
            assert!(backend.begin_transmit().is_none());
            drop(session);
        }
        Callback::Flap => {
            command(&|threads| threads.suspend().unwrap());
            command(&|threads| threads.resume(Resume::HostSleep).unwrap());
        }
        Callback::Gone => {
            drop(host);
            let frame = pair::frame(60, 2);
            let send = || backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]));
            pair::wait_until("the end of the peer", || matches!(send(), Err(TransmitError::Gone)));
            return UnixDatagram::unbound().unwrap();
        }
    }
    host
}

/// Frames of the host reach a new device.
fn assert_works(backend: &Arc<Backend>, host: &UnixDatagram, case: &str) {
    let device = Arc::new(Device::default());
    let threads = Mutex::new(None);
    pair::wait_until(&format!("{case}: other threads"), || {
        match Threads::spawn(Arc::clone(backend), Arc::clone(&device) as _) {
            Ok(spawned) => threads.lock().unwrap().replace(spawned).is_none(),
            Err(ThreadsError::AlreadyDriven) => false,
            Err(error) => panic!("{case}: {error}"),
        }
    });
    backend.set_link_state(LinkState::Up);
    host.send(&plain()).unwrap();
    pair::wait_until(&format!("{case}: a frame"), || device.count() > 0);
}

fn assert_nothing_is_left(callback: Callback, name: &str, command: Command) {
    let case = format!("{name} in {callback:?}");
    let (backend, host) = backend();
    let commander = Arc::new(Commander {
        at: callback,
        command,
        begun: AtomicBool::new(false),
        done: AtomicBool::new(false),
        backend: Arc::downgrade(&backend),
        threads: Mutex::new(None),
    });
    let threads = Arc::new(Threads::spawn(Arc::clone(&backend), Arc::clone(&commander) as _).unwrap());
    *commander.threads.lock().unwrap() = Some(Arc::clone(&threads));
    let host = provoke(callback, &backend, host, threads);
    pair::wait_until(&case, || commander.done.load(Ordering::SeqCst));
    drop(commander.threads.lock().unwrap().take());
    if callback != Callback::Gone {
        assert_works(&backend, &host, &case);
    }
    let (backend, commander) = (Arc::downgrade(&{ backend }), Arc::downgrade(&{ commander }));
    pair::wait_until(&format!("{case}: the end of the device"), || commander.strong_count() == 0);
    pair::wait_until(&format!("{case}: the end of the backend"), || backend.strong_count() == 0);
}

#[test]
fn every_command_from_every_callback_leaves_nothing_behind() {
    for callback in CALLBACKS {
        for (name, command) in COMMANDS {
            assert_nothing_is_left(callback, name, command);
        }
    }
}

/// A device that gives commands whenever a wait is to be interrupted.
#[derive(Default)]
struct Restless {
    threads: OnceLock<Weak<Threads>>,
    interruptions: AtomicUsize,
}

impl Frontend for Restless {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        Wait::Available
    }

    fn interrupt_wait(&self) {
        self.interruptions.fetch_add(1, Ordering::SeqCst);
        if let Some(threads) = self.threads.get().and_then(Weak::upgrade) {
            threads.reset();
            threads.suspend().unwrap();
            threads.resume(Resume::Normal).unwrap();
        }
    }

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        Ok(())
    }
}

#[test]
fn commands_in_an_interruption_cause_no_other_one() {
    let (backend, _host) = backend();
    let device = Arc::new(Restless::default());
    let threads = Arc::new(Threads::spawn(backend, Arc::clone(&device) as _).unwrap());
    device.threads.set(Arc::downgrade(&threads)).unwrap();
    threads.reset();
    assert_eq!(device.interruptions.load(Ordering::SeqCst), 1);
    threads.suspend().unwrap();
    threads.stop().unwrap();
}

/// Panics when it is dropped, with another one of its kind.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Self(self.0 - 1));
        }
    }
}

struct Bomber(Callback);

impl Bomber {
    fn called(&self, callback: Callback) {
        if self.0 == callback {
            panic_any(Bomb(3));
        }
    }
}

impl Frontend for Bomber {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        self.called(Callback::Wait);
        Wait::Available
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        self.called(Callback::Receive);
        Ok(())
    }

    fn transmit_pending(&self) {
        self.called(Callback::Pending);
    }
}

#[test]
fn a_panic_that_panics_when_it_is_dropped_still_ends_the_threads() {
    for (callback, name) in [(Callback::Wait, "receive"), (Callback::Pending, "transmit")] {
        let (backend, host) = backend();
        let threads = Threads::spawn(Arc::clone(&backend), Arc::new(Bomber(callback))).unwrap();
        let _host = provoke(callback, &backend, host, &threads);
        pair::wait_until("the panic", || threads.resume(Resume::Normal).is_err());
        // In a thread of its own, so that one that never returns is seen.
        let stopping = std::thread::spawn(move || threads.stop());
        pair::wait_until("the end of stop", || stopping.is_finished());
        let result = stopping.join().unwrap();
        assert!(
            matches!(result, Err(ThreadsError::Panicked { thread }) if thread == name),
            "{name}: {result:?}"
        );
        pair::wait_until("the end of the threads", || Arc::strong_count(&backend) == 1);
    }
}

#[test]
fn a_frame_that_met_a_panic_is_counted_as_dropped() {
    for callback in [Callback::Wait, Callback::Receive] {
        let (backend, host) = backend();
        let threads = Threads::spawn(Arc::clone(&backend), Arc::new(Bomber(callback))).unwrap();
        let _host = provoke(callback, &backend, host, &threads);
        pair::wait_until("the panic", || threads.resume(Resume::Normal).is_err());
        assert!(threads.stop().is_err());
        pair::assert_adds_up(&backend);
    }
}

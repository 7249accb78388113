//! Frames both ways while something else happens, with pauses in which nothing is on its way.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::unistd::{read, write};
use tap_plumb::{Backend, Frame};

use crate::frames::{KINDS, Random, Recipe};
use crate::packet::PacketSocket;

/// Between two frames each way: what is tried is the fault, not the speed.
const PACE: Duration = Duration::from_micros(300);

/// Two threads that send, one for each way, until it is dropped.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    senders: Vec<JoinHandle<()>>,
}

struct Shared {
    backend: Arc<Backend>,
    /// Read for each frame, written by who wants quiet.
    gate: RwLock<()>,
    /// Of the interface as it is now.
    host: Mutex<Option<PacketSocket>>,
    stop: AtomicBool,
}

impl Traffic {
    pub(crate) fn start(backend: &Arc<Backend>, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            backend: Arc::clone(backend),
            gate: RwLock::new(()),
            host: Mutex::new(None),
            stop: AtomicBool::new(false),
        });
        let sender = |send: fn(&Shared, &mut Random), seed| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut random = Random(seed);
                while !shared.stop.load(Ordering::SeqCst) {
                    let open = shared.gate.read().unwrap_or_else(PoisonError::into_inner);
                    send(&shared, &mut random);
                    drop(open);
                    thread::sleep(PACE);
                }
            })
        };
        let senders = vec![sender(Shared::guest_sends, seed), sender(Shared::host_sends, !seed)];
        Self { shared, senders }
    }

    /// Sends to the interface of this name from now on, or to none.
    pub(crate) fn set_host(&self, interface: Option<&str>) {
        let socket = interface.map(|name| PacketSocket::new(name).expect("a packet socket"));
        *self.shared.host.lock().unwrap_or_else(PoisonError::into_inner) = socket;
    }

    /// Nobody sends while this is held.
    pub(crate) fn quiet(&self) -> RwLockWriteGuard<'_, ()> {
        self.shared.gate.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for sender in self.senders.drain(..) {
            sender.join().expect("a sender ends");
        }
    }
}

impl Shared {
    fn guest_sends(&self, random: &mut Random) {
        let Some(mut session) = self.backend.begin_transmit() else { return };
        let mut recipe = Recipe::random(random.pick(&KINDS), random);
        recipe.payload_len = random.within(1, 3000);
        let (bytes, gso) = recipe.build();
        let slices = [IoSlice::new(&bytes)];
        let frame = if random.one_in(3) { Frame::new(&slices).gso(gso) } else { Frame::new(&slices) };
        // What becomes of it is counted, and the counters are what is looked at.
        let _ = session.send(&frame);
    }

    fn host_sends(&self, random: &mut Random) {
        let host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = &*host else { return };
        let len = random.within(60, 1514);
        let mut frame = random.bytes(len);
        // A protocol that nobody takes, to everybody.
        frame[..14].copy_from_slice(&[255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
        // An interface that is down, gone or too narrow refuses it.
        let _ = write(socket, &frame);
        let mut scratch = [0; 64];
        while read(socket, &mut scratch).is_ok() {}
    }
}

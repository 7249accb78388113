//! Frames both ways, and the two ends between which they go.

use std::io::{self, IoSlice};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use nix::unistd::{gettid, read, write};
use tap_plumb::{Backend, Checksum, Frame, Frontend, Gso, Refused, Wait};

use crate::frames::{KINDS, Random, Recipe};

// Frames both ways while something else happens, with pauses in which nothing is on its way.

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

// The host's side of a TAP: a packet socket, which sees and sends whole frames (packet(7)).

/// Bound to one interface; its calls do not wait.
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    pub(crate) fn new(interface: &str) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol.into()) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was made just now and is nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.bind(nix::net::if_::if_nametoindex(interface)?, protocol)?;
        Ok(socket)
    }

    fn bind(&self, index: u32, protocol: u16) -> io::Result<()> {
        // SAFETY: a sockaddr_ll holds integers only, which may all be zero.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = index as i32;
        let (pointer, len) = ((&raw const address).cast(), size_of::<libc::sockaddr_ll>() as u32);
        // SAFETY: `pointer` is to a sockaddr_ll of this frame, which is `len` bytes long and outlives the call.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), pointer, len) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

// A guest's device: counts what it is given, and knows which threads call it.

#[derive(Default)]
pub(crate) struct Guest {
    pub(crate) delivered: AtomicU64,
    pub(crate) gone: AtomicU64,
    pub(crate) flaps: AtomicU64,
    pub(crate) pending: AtomicU64,
    receive_thread: AtomicI32,
    transmit_thread: AtomicI32,
    /// The guest has no buffers now.
    pub(crate) starved: AtomicBool,
    interrupted: AtomicBool,
    /// Every so many frames are refused; 0 for none.
    pub(crate) refuses: AtomicU64,
}

impl Guest {
    /// The numbers of the threads that have called so far.
    pub(crate) fn threads(&self) -> Vec<i32> {
        let numbers =
            [&self.receive_thread, &self.transmit_thread].map(|number| number.load(Ordering::SeqCst));
        numbers.into_iter().filter(|number| *number != 0).collect()
    }

    fn take(&self) -> Result<(), Refused> {
        let count = self.delivered.fetch_add(1, Ordering::Relaxed);
        let refuses = self.refuses.load(Ordering::Relaxed);
        if refuses > 0 && count.is_multiple_of(refuses) { Err(Refused) } else { Ok(()) }
    }
}

impl Frontend for Guest {
    fn wait_receive_available(&self, timeout: Duration) -> Wait {
        self.receive_thread.store(gettid().as_raw(), Ordering::SeqCst);
        if !self.starved.load(Ordering::SeqCst) {
            return Wait::Available;
        }
        sleep(timeout.min(Duration::from_millis(1)));
        if self.interrupted.swap(false, Ordering::SeqCst) { Wait::Interrupted } else { Wait::TimedOut }
    }

    fn interrupt_wait(&self) {
        self.interrupted.store(self.starved.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        self.take()
    }

    fn receive_gso(&self, _: &[IoSlice<'_>], _: Gso, _: Checksum) -> Result<(), Refused> {
        self.take()
    }

    fn transmit_pending(&self) {
        self.transmit_thread.store(gettid().as_raw(), Ordering::SeqCst);
        self.pending.fetch_add(1, Ordering::SeqCst);
    }

    fn device_gone(&self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }

    fn flap_link(&self) {
        self.flaps.fetch_add(1, Ordering::SeqCst);
    }
}

//! A hypervisor with its guest, over the real protocol.
#![expect(unsafe_code, reason = "the library's event descriptors are not borrowed safely")]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use tap_plumb::Offload;
use tap_plumb_vhost_user::features::{PROTOCOL_FEATURES, offered};
use tap_plumb_vhost_user::memory::{Description, Memory};
use tap_plumb_vhost_user::pair::Pair;
use tap_plumb_vhost_user::revive::Reviver;
use tap_plumb_vhost_user::server::Service;
use tap_plumb_vhost_user::socket::{ServeError, Socket};
use tap_plumb_vhost_user::stop::Stop;
use vhost::vhost_user::message::VhostUserProtocolFeatures;
use vhost::vhost_user::{Frontend, VhostUserFrontend};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use vmm_sys_util::eventfd::EventFd;

use super::driver::{Driver, RING, WRITE};
use super::{SIZE, VERSION_1, backend, frame, wire};

pub(crate) const MEMORY: usize = 0x80000;
/// Where the hypervisor claims to have the guest's memory.
pub(crate) const USER: u64 = 0x7000_0000_0000;
/// Long enough for any machine; what happens at all happens at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The service under test, over as many wires as it has pairs.
pub(crate) struct Host {
    pub(crate) path: PathBuf,
    pub(crate) wires: Vec<UnixDatagram>,
    pub(crate) pairs: Arc<[Pair]>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Host {
    pub(crate) fn new(name: &str, count: usize) -> Self {
        let path = std::env::temp_dir().join(format!("tap-plumb-{name}-{}", std::process::id()));
        let (near, wires): (Vec<_>, Vec<_>) = (0..count).map(|_| wire()).unzip();
        let pairs =
            near.into_iter().map(|near| Pair::new(backend(near, 12), false).unwrap()).collect::<Arc<[_]>>();
        let stop = Arc::new(Stop::new().unwrap());
        let service = Service {
            pairs: Arc::clone(&pairs),
            features: offered(Some(Offload::ALL), count),
            reviver: Arc::new(Reviver::default()),
            stop: Arc::clone(&stop),
            once: false,
        };
        let socket = Socket::listen(&path).unwrap();
        let thread = thread::spawn(move || service.run(&socket));
        Self { path, wires, pairs, stop, thread: Some(thread) }
    }

    pub(crate) fn end(&mut self) {
        self.stop.ask();
        let start = Instant::now();
        self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(start.elapsed() < PATIENCE / 2, "the end took {:?}", start.elapsed());
        assert!(!self.path.exists(), "the socket is left behind");
    }
}

/// One ring with what the device signals it by.
pub(crate) struct Ring {
    pub(crate) driver: Driver,
    pub(crate) kick: EventFd,
    pub(crate) call: EventFd,
}

/// A hypervisor with its guest.
pub(crate) struct Guest {
    pub(crate) frontend: Frontend,
    pub(crate) rings: Vec<Ring>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) file: File,
}

impl Guest {
    /// Connects as QEMU 7.2 does, which enables rings before anything is agreed.
    pub(crate) fn connect(host: &Host, enabled: usize) -> Self {
        Self::connect_with_stream(host, enabled).0
    }

    /// The same, with the connection for further messages.
    pub(crate) fn connect_with_stream(host: &Host, enabled: usize) -> (Self, UnixStream) {
        let rings = 2 * host.pairs.len();
        let stream = UnixStream::connect(&host.path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut early = stream.try_clone().unwrap();
        let mut frontend = Frontend::from_stream(stream, rings as u64);
        let features = frontend.get_features().unwrap();
        let protocol = frontend.get_protocol_features().unwrap();
        assert!(protocol.contains(VhostUserProtocolFeatures::MQ));
        frontend.set_protocol_features(protocol).unwrap();
        assert_eq!(frontend.get_queue_num().unwrap(), rings as u64);
        frontend.set_owner().unwrap();
        for ring in 0..2 * enabled as u32 {
            let words = [18, 1, 8, ring, 1_u32];
            early.write_all(&words.map(u32::to_le_bytes).concat()).unwrap();
        }
        frontend.set_features(features & (VERSION_1 | PROTOCOL_FEATURES)).unwrap();
        let (memory, file) = share(&frontend);
        let rings = (0..rings).map(|index| ring(&frontend, &memory, index)).collect();
        (Self { frontend, rings, memory, file }, early)
    }

    pub(crate) fn place(&self, ring: usize) -> u64 {
        (self.rings.len() + ring) as u64 * RING
    }

    /// Sends a frame by pair `pair`, and has its chain back.
    pub(crate) fn send(&mut self, pair: usize, bytes: &[u8]) {
        self.offer(pair, bytes);
        assert_eq!(self.rings[2 * pair + 1].wait(), [(0, 0)]);
    }

    /// Offers a frame to pair `pair`.
    pub(crate) fn offer(&mut self, pair: usize, bytes: &[u8]) {
        let place = self.place(2 * pair + 1);
        let ring = &mut self.rings[2 * pair + 1];
        ring.driver.write(place, &[&[0; 12][..], bytes].concat());
        ring.driver.chain(0, &[(place, 12 + bytes.len() as u32)], 0);
        ring.driver.offer(0);
        ring.kick.write(1).unwrap();
    }

    /// Offers room for a frame to pair `pair`.
    pub(crate) fn make_room(&mut self, pair: usize) {
        let place = self.place(2 * pair);
        let ring = &mut self.rings[2 * pair];
        ring.driver.chain(0, &[(place, 2000)], WRITE);
        ring.driver.offer(0);
        ring.kick.write(1).unwrap();
    }

    /// Waits for the frame that fills it.
    pub(crate) fn received(&mut self, pair: usize) -> Vec<u8> {
        let place = self.place(2 * pair);
        let ring = &mut self.rings[2 * pair];
        let [(0, len)] = ring.wait()[..] else { panic!("not one chain") };
        ring.driver.read(place, len as usize)[12..].to_vec()
    }
}

impl Ring {
    /// Waits for an interrupt, and gives what came back.
    pub(crate) fn wait(&mut self) -> Vec<(u32, u32)> {
        readable(&self.call);
        self.call.read().unwrap();
        self.driver.used()
    }
}

pub(crate) fn readable(fd: &impl AsRawFd) {
    // SAFETY: an open descriptor of the caller's, which it keeps for the call.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd.as_raw_fd()) };
    let timeout = rustix::event::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout)).unwrap();
    assert_eq!(ready, 1, "nothing happened");
}

/// Shares memory with the device.
pub(crate) fn share(frontend: &Frontend) -> (Arc<Memory>, File) {
    let file = File::from(memfd_create("guest", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(MEMORY as u64).unwrap();
    let description = Description { guest: 0, len: MEMORY as u64, user: USER, offset: 0 };
    let memory = Memory::map(vec![(description, file.try_clone().unwrap().into())]).unwrap();
    let region = VhostUserMemoryRegionInfo {
        guest_phys_addr: 0,
        memory_size: MEMORY as u64,
        userspace_addr: USER,
        mmap_offset: 0,
        mmap_handle: file.as_raw_fd(),
    };
    frontend.set_mem_table(&[region]).unwrap();
    (Arc::new(memory), file)
}

pub(crate) fn ring(frontend: &Frontend, memory: &Arc<Memory>, index: usize) -> Ring {
    let driver = Driver::new(memory, index as u64 * RING, SIZE);
    let (kick, call) = (EventFd::new(0).unwrap(), EventFd::new(0).unwrap());
    let [desc_table_addr, avail_ring_addr, used_ring_addr] = driver.addresses().map(|address| USER + address);
    let data = VringConfigData {
        queue_max_size: SIZE,
        queue_size: SIZE,
        flags: 0,
        desc_table_addr,
        used_ring_addr,
        avail_ring_addr,
        log_addr: None,
    };
    frontend.set_vring_num(index, SIZE).unwrap();
    frontend.set_vring_addr(index, &data).unwrap();
    frontend.set_vring_base(index, 0).unwrap();
    frontend.set_vring_call(index, &call).unwrap();
    frontend.set_vring_kick(index, &kick).unwrap();
    Ring { driver, kick, call }
}

pub(crate) fn host_receives(wire: &UnixDatagram) -> Vec<u8> {
    let mut bytes = [0; 2000];
    readable(wire);
    let len = wire.recv(&mut bytes).unwrap();
    bytes[12..len].to_vec()
}

/// A frame each way.
pub(crate) fn exchange(host: &Host, guest: &mut Guest, pair: usize) {
    guest.send(pair, &frame(700));
    assert_eq!(host_receives(&host.wires[pair]), frame(700));
    guest.make_room(pair);
    host.wires[pair].send(&[&[0; 12][..], &frame(60)].concat()).unwrap();
    assert_eq!(guest.received(pair), frame(60));
}

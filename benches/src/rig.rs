//! A TAP in a namespace of its own, a host that sends to it, and the memory for its frames.

use std::net::UdpSocket;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, IntoRawFd};
use std::process::Command;
use std::{fs, io};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::unistd::{Pid, getgid, getuid};
use tap_plumb::{Backend, Config, Offload, Tap};
use tun_rs::SyncDevice;

use crate::measure::PLACES;

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Where the frames are moved, and where whoever makes or takes them runs meanwhile.
pub const WORKER: usize = 1;
pub const OTHER: usize = 0;

const PAGE: usize = 4096;

/// Enters a network namespace of this process's own; as an ordinary user by way of a user namespace.
pub fn enter_namespace() -> Outcome<()> {
    let (user, group) = (getuid(), getgid());
    if user.is_root() {
        unshare(CloneFlags::CLONE_NEWNET)?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    }
    silence()
}

/// Keeps out of this thread's network namespace what would be measured along: the host's own neighbour discovery, and what
/// TCP remembers of an earlier connection.
pub fn silence() -> Outcome<()> {
    fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
    Ok(fs::write("/proc/sys/net/ipv4/tcp_no_metrics_save", "1")?)
}

/// Keeps this thread, and what it starts, on one processor, where that is allowed.
pub fn pin(processor: usize) {
    let mut set = CpuSet::new();
    let pinned = set.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        eprintln!("not pinned: {error}");
    }
}

/// A backend whose interface is up, and a socket whose datagrams come out of it.
pub struct Rig {
    pub backend: Backend,
    socket: UdpSocket,
}

/// Frames that a full queue of the host holds (the default transmit queue length of a TAP).
pub const QUEUE: usize = 1000;

/// Frames that the queue is sure to take wherever it was emptied: the host's ring gives places free several at a time.
pub const HELD: usize = 900;

impl Rig {
    pub fn new(number: u8, offload: Offload) -> Outcome<Self> {
        let tap = config(number).offload(offload).attach()?;
        let socket = socket_to(number)?;
        Ok(Self { backend: Backend::new(tap), socket })
    }

    /// Fills the queue with frames of `len` bytes.
    pub fn fill(&self, len: usize) -> io::Result<()> {
        self.send(QUEUE, len)
    }

    /// Has the host send `count` frames of `len` bytes.
    pub fn send(&self, count: usize, len: usize) -> io::Result<()> {
        send(&self.socket, count, len)
    }

    /// Waits until the backend is readable, as the seed does before every frame.
    pub fn poll(&self) -> bool {
        let mut fds = [PollFd::new(self.backend.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// The same queue of the same TAP, by way of tun-rs.
    pub fn tun_rs(&self) -> io::Result<SyncDevice> {
        tun_rs(self.backend.tap())
    }
}

/// The same queue of the same TAP, by way of tun-rs.
pub fn tun_rs(tap: &Tap) -> io::Result<SyncDevice> {
    let fd = tap.as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is a duplicate that nobody else owns, of a TAP without packet information or header.
    unsafe { SyncDevice::from_fd(fd.into_raw_fd()) }
}

/// The interface `tap<number>`, up, with an address and a silent neighbour's network behind it.
pub fn config(number: u8) -> Config {
    Config::new()
        .name(format!("tap{number}"))
        .address([10, 0, number, 1].into(), 24)
        .hardware_address([2, 0, 0, 0, number, 1])
        .up()
}

/// A socket to a neighbour behind `tap<number>` whose address needs not be asked for.
pub fn socket_to(number: u8) -> Outcome<UdpSocket> {
    let neighbour = format!("10.0.{number}.2");
    let interface = format!("tap{number}");
    let status = Command::new("ip")
        .args(["neigh", "replace", &neighbour, "lladdr", "02:00:00:00:00:02", "dev", &interface])
        .status()?;
    if !status.success() {
        return Err("ip neigh failed".into());
    }
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((neighbour.as_str(), 9))?;
    Ok(socket)
}

/// Sends `count` frames of `len` bytes.
pub fn send(socket: &UdpSocket, count: usize, len: usize) -> io::Result<()> {
    let payload = [0x55; 1500];
    for _ in 0..count {
        socket.send(&payload[..len - 14 - 20 - 8])?;
    }
    Ok(())
}

/// A frame of `len` bytes that the host takes and drops: nobody there speaks its protocol.
pub fn frame(len: usize) -> Aligned {
    let mut frame = Aligned::copy_of(&vec![0x55; len]);
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    frame
}

/// Memory that begins with a page: where bytes lie changes what it costs to copy and to sum them, and is to differ neither
/// between contenders nor between runs.
pub struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` bytes, all touched already.
    pub fn new(len: usize) -> Self {
        let memory = vec![0x55; len + PAGE];
        let start = memory.as_ptr().align_offset(PAGE);
        Self { memory, start, len }
    }

    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::new(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }
}

/// Memory at as many places as a loop has in the code.
pub type Places = [Aligned; PLACES];

/// At each place `len` bytes.
pub fn room(len: usize) -> Places {
    std::array::from_fn(|_| Aligned::new(len))
}

/// At each place these bytes.
pub fn copies(bytes: &[u8]) -> Places {
    std::array::from_fn(|_| Aligned::copy_of(bytes))
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.len]
    }
}

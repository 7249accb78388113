//! A TAP in a namespace of its own, and a host that sends to it.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::Command;
use std::{fs, io};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::unistd::{Pid, getgid, getuid};
use tap_plumb::{Backend, Config, Offload};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

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
    // The host's own neighbour discovery would be measured along.
    fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
    Ok(())
}

/// Stays on one processor, where that is allowed.
pub fn pin() {
    let mut set = CpuSet::new();
    let pinned = set.set(1).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
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

impl Rig {
    pub fn new(number: u8, offload: Offload) -> Outcome<Self> {
        let name = format!("tap{number}");
        let tap = Config::new()
            .name(&*name)
            .address([10, 0, number, 1].into(), 24)
            .offload(offload)
            .hardware_address([2, 0, 0, 0, number, 1])
            .up()
            .attach()?;
        let neighbour = format!("10.0.{number}.2");
        let status = Command::new("ip")
            .args(["neigh", "add", &neighbour, "lladdr", "02:00:00:00:00:02", "dev", &name])
            .status()?;
        if !status.success() {
            return Err("ip neigh failed".into());
        }
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect((neighbour.as_str(), 9))?;
        Ok(Self { backend: Backend::new(tap), socket })
    }

    /// Fills the queue with frames of `len` bytes.
    pub fn fill(&self, len: usize) -> io::Result<()> {
        let payload = vec![0x55; len - 14 - 20 - 8];
        for _ in 0..QUEUE {
            self.socket.send(&payload)?;
        }
        Ok(())
    }

    /// Waits until the backend is readable, as the seed does before every frame.
    pub fn poll(&self) -> bool {
        let mut fds = [PollFd::new(self.backend.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

/// A frame of `len` bytes that the host takes and drops: nobody there speaks its protocol.
pub fn frame(len: usize) -> Vec<u8> {
    let mut frame = vec![0x55; len];
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    frame
}

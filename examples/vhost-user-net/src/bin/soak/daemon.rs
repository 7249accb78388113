//! The daemon under test, and the host's end of its wire.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::io::{FdFlags, fcntl_setfd};
use tap_plumb_vhost_user::message::request;

use crate::Loss;
use crate::peer::Peer;

// The daemon under test: this program once more.

/// The first argument that makes this program the daemon.
pub(crate) const AS_DAEMON: &str = "--as-daemon";
/// Long enough for any machine; what happens at all happens at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// What the allocator may keep, in KiB.
const SLACK: u64 = 32 << 10;

pub(crate) struct Daemon {
    child: Child,
    folder: PathBuf,
    pub(crate) wire: Wire,
}

/// What a process holds.
pub(crate) struct Holdings {
    descriptors: usize,
    threads: usize,
    /// Resident, in KiB.
    memory: u64,
}

impl Daemon {
    pub(crate) fn start() -> Result<Self, Loss> {
        let failed = |error: std::io::Error| format!("starting the daemon: {error}");
        let folder = std::env::temp_dir().join(format!("tap-plumb-soak-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(failed)?;
        let (wire, near) = Wire::new().map_err(failed)?;
        fcntl_setfd(&near, FdFlags::empty()).map_err(|error| failed(error.into()))?;
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args([AS_DAEMON, "--fd", &near.as_raw_fd().to_string(), "--socket"])
            .arg(folder.join("s"))
            .stdout(Stdio::null())
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()))
            .spawn()
            .map_err(failed)?;
        let daemon = Self { child, folder, wire };
        let start = Instant::now();
        while !daemon.path().exists() && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// A new hypervisor is served.
    pub(crate) fn must_answer(&mut self) -> Result<(), Loss> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the daemon has ended: {status}"));
        }
        let peer = Peer::connect(self)?;
        peer.ask(request::GET_FEATURES, &[]).map(drop).ok_or_else(|| "the daemon does not answer".to_owned())
    }

    pub(crate) fn holdings(&self) -> Result<Holdings, Loss> {
        let folder = format!("/proc/{}", self.child.id());
        let entries = |name: &str| fs::read_dir(Path::new(&folder).join(name)).map(Iterator::count);
        let read = || -> std::io::Result<Holdings> {
            let status = fs::read_to_string(Path::new(&folder).join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let memory = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
            Ok(Holdings {
                descriptors: entries("fd")?,
                threads: entries("task")?,
                memory: memory.unwrap_or(u64::MAX),
            })
        };
        read().map_err(|error| format!("{folder}: {error}"))
    }

    /// Waits until the last connection is gone for good.
    pub(crate) fn must_hold_no_more_than(&self, before: &Holdings) -> Result<(), Loss> {
        let start = Instant::now();
        loop {
            let now = self.holdings()?;
            let good = now.descriptors <= before.descriptors
                && now.threads <= before.threads
                && now.memory <= before.memory + SLACK;
            if good {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!(
                    "the daemon holds {} descriptors (before: {}), {} threads ({}), {} KiB ({})",
                    now.descriptors,
                    before.descriptors,
                    now.threads,
                    before.threads,
                    now.memory,
                    before.memory
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end.
    pub(crate) fn stop(mut self) -> Result<(), Loss> {
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the daemon ended with {status}")),
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
        Err("the daemon does not end".to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

// The host's end of the socket pair that stands in for a TAP.

/// Bytes of the header in front of a frame.
const HEADER: usize = 12;
/// Where a frame's number lies: behind the Ethernet header.
const NUMBER: usize = HEADER + 14;

/// Reads all that comes, so that the daemon is never held up, and remembers the last number.
pub(crate) struct Wire {
    socket: UnixDatagram,
    seen: Arc<(Mutex<u64>, Condvar)>,
}

impl Wire {
    /// The host's end, and the daemon's.
    pub(crate) fn new() -> std::io::Result<(Self, UnixDatagram)> {
        let (socket, near) = UnixDatagram::pair()?;
        let (reader, seen) = (socket.try_clone()?, Arc::new((Mutex::new(0), Condvar::new())));
        let sink = Arc::clone(&seen);
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(len) = reader.recv(&mut bytes) {
                if let Some(number) = bytes[..len].get(NUMBER..).and_then(|rest| rest.first_chunk()) {
                    *sink.0.lock().unwrap_or_else(PoisonError::into_inner) = u64::from_le_bytes(*number);
                    sink.1.notify_all();
                }
            }
        });
        socket.set_write_timeout(Some(Duration::from_millis(1)))?;
        Ok((Self { socket, seen }, near))
    }

    /// A frame with a number, behind its header.
    pub(crate) fn frame(number: u64) -> Vec<u8> {
        let mut bytes = vec![0; NUMBER + 8 + 40];
        bytes[NUMBER..NUMBER + 8].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// Sends what the host sends; when nobody takes it, it is lost.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send(bytes);
    }

    /// Waits for the frame with this number.
    pub(crate) fn wait(&self, number: u64, patience: Duration) -> bool {
        let seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.seen.1.wait_timeout_while(seen, patience, |seen| *seen != number);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

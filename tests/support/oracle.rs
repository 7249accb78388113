//! The running kernel as a segmentation engine: frames go into one TAP with a virtio-net header, over a bridge, and come
//! out of another one that can do nothing, so that the kernel cuts and completes them in software.
// UNSAFETY: a TAP is made by ioctl(2), which takes an untyped pointer. The crate under test must not judge itself, so its
// own attach is not used here.
#![expect(unsafe_code, reason = "ioctl")]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::frames::SOURCE;

/// Bytes of virtio-net header before a frame.
pub(crate) const HEADER_LEN: usize = 12;
/// The longest frame a TAP hands out here: an IP packet of 64 KiB, Ethernet header and tags.
const LONGEST: usize = 65_536 + 64;

#[derive(Debug)]
pub(crate) struct Oracle {
    entry: File,
    exit: File,
    /// Bytes of virtio-net header before a frame that comes out.
    exit_header: usize,
    buffer: Vec<u8>,
}

/// What the kernel made of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Refused(i32),
    Frames(Vec<Vec<u8>>),
}

/// Runs the named test of this binary again in a network namespace of its own, with the right to configure it; tells
/// whether this is that run.
///
/// `None`: the host forbids it. That is said on standard error, and is a failure under CI=true.
pub(crate) fn in_own_namespace(test: &str) -> Option<bool> {
    const INSIDE: &str = "TAP_PLUMB_ORACLE_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return Some(true);
    }
    // Nothing but the real thing shows whether the host allows it: privileges depend on the machine.
    let options = if owns_the_machine() { "-n" } else { "-Urn" };
    if let Err(reason) = probe(options) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{test}: {reason}");
        eprintln!("{test} skipped: {reason}");
        return None;
    }
    let status = Command::new("unshare")
        .args([options, "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace");
    Some(false)
}

fn owns_the_machine() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout == b"0\n")
}

fn probe(options: &str) -> Result<(), String> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map_err(|error| format!("/dev/net/tun: {error}"))?;
    let output = Command::new("unshare")
        .args([options, "--", "ip", "link", "add", "probe0", "type", "bridge"])
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("no bridge in a network namespace: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

impl Oracle {
    /// What comes out is cut and complete.
    pub(crate) fn new() -> io::Result<Self> {
        Self::with_exit(tap("exit0", 0)?, 0)
    }

    /// What comes out is left to the reader, as the header before each frame says.
    pub(crate) fn offloading() -> io::Result<Self> {
        let exit = tap("exit0", libc::IFF_VNET_HDR)?;
        set_header_len(&exit)?;
        let all = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        set_offload(&exit, all | libc::TUN_F_USO4 | libc::TUN_F_USO6).or_else(|_| set_offload(&exit, all))?;
        Self::with_exit(exit, HEADER_LEN)
    }

    fn with_exit(exit: File, exit_header: usize) -> io::Result<Self> {
        let entry = tap("entry0", libc::IFF_VNET_HDR)?;
        set_header_len(&entry)?;
        ip(&["link", "add", "bridge0", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0"])?;
        spare_the_firewall()?;
        for name in ["entry0", "exit0", "bridge0"] {
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1")?;
            // Whole frames must pass as they are, and a frame may make a thousand segments before anything is read.
            ip(&["link", "set", name, "mtu", "65521", "txqueuelen", "30000"])?;
        }
        for name in ["entry0", "exit0"] {
            ip(&["link", "set", name, "master", "bridge0", "up"])?;
        }
        ip(&["link", "set", "bridge0", "up"])?;
        let mut oracle = Self { entry, exit, exit_header, buffer: vec![0; LONGEST] };
        oracle.wait_until_forwarding()?;
        Ok(oracle)
    }

    /// Writes one frame with its header, in as few slices as it comes, and reads what comes out.
    pub(crate) fn pass(&mut self, slices: &[IoSlice<'_>]) -> io::Result<Verdict> {
        match self.entry.write_vectored(slices) {
            Ok(written) => {
                assert_eq!(written, slices.iter().map(|slice| slice.len()).sum::<usize>(), "a short write");
                self.drain().map(Verdict::Frames)
            }
            Err(error) => Ok(Verdict::Refused(error.raw_os_error().unwrap_or(0))),
        }
    }

    pub(crate) fn drain(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        loop {
            match self.exit.read(&mut self.buffer) {
                Ok(len) if self.buffer[self.exit_header..][6..12] == SOURCE => {
                    frames.push(self.buffer[..len].to_vec())
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(frames),
                Err(error) => return Err(error),
            }
        }
    }

    fn wait_until_forwarding(&mut self) -> io::Result<()> {
        let mut frame = [0; HEADER_LEN + 60];
        frame[HEADER_LEN + 6..HEADER_LEN + 12].copy_from_slice(&SOURCE);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.pass(&[IoSlice::new(&frame)])? != Verdict::Frames(Vec::new()) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the bridge does not forward"))
    }
}

/// A kernel with bridge netfilter drops packets that it finds fault with before they are cut.
fn spare_the_firewall() -> io::Result<()> {
    for family in ["arptables", "iptables", "ip6tables"] {
        match std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "0") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

fn tap(name: &str, flags: i32) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: `ifreq` is a C struct of integers and arrays of integers, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | flags) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`; ours lives on this stack frame through the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(file) }
}

fn set_header_len(tap: &File) -> io::Result<()> {
    let len = HEADER_LEN as libc::c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one `int`; ours lives on this stack frame through the call.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETVNETHDRSZ as _, &raw const len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set_offload(tap: &File, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value, and no pointer.
    let result =
        unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD as _, libc::c_ulong::from(flags)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

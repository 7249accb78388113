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
/// The TAPs and the bridge between them.
pub(crate) const ENTRY: &str = "entry0";
const EXIT: &str = "exit0";
const BRIDGE: &str = "bridge0";
const USO: libc::c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;
/// The longest frame a TAP hands out here: an IP packet of 64 KiB, Ethernet header and tags.
const LONGEST: usize = 65_536 + 64;

#[derive(Debug)]
pub(crate) struct Oracle {
    entry: File,
    exit: Exit,
}

/// Where frames come out.
#[derive(Debug)]
pub(crate) struct Exit {
    tap: File,
    /// Bytes of virtio-net header before a frame.
    pub(crate) header: usize,
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
    let inside = Command::new("unshare")
        .args([options, "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    // Not by print!, which the harness keeps to itself: what was skipped inside is to be read.
    io::stdout().write_all(&inside.stdout).unwrap();
    io::stderr().write_all(&inside.stderr).unwrap();
    assert!(inside.status.success(), "{test} failed in its namespace");
    assert!(String::from_utf8_lossy(&inside.stdout).contains("1 passed"), "there is no test {test}");
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
        Self::with_exit(Exit::bare()?)
    }

    /// What comes out is left to the reader, as the header before each frame says.
    pub(crate) fn offloading() -> io::Result<Self> {
        Self::with_exit(Exit::offloading()?)
    }

    fn with_exit(exit: Exit) -> io::Result<Self> {
        let entry = tap(ENTRY, libc::IFF_VNET_HDR)?;
        set_header_len(&entry)?;
        let mut oracle = Self { entry, exit };
        connect(|frame| {
            let frames = oracle.pass(&[IoSlice::new(&[0; HEADER_LEN]), IoSlice::new(frame)])?;
            Ok(frames != Verdict::Frames(Vec::new()))
        })?;
        Ok(oracle)
    }

    /// Writes one frame with its header, in as few slices as it comes, and reads what comes out.
    pub(crate) fn pass(&mut self, slices: &[IoSlice<'_>]) -> io::Result<Verdict> {
        match self.entry.write_vectored(slices) {
            Ok(written) => {
                assert_eq!(written, slices.iter().map(|slice| slice.len()).sum::<usize>(), "a short write");
                self.exit.drain().map(Verdict::Frames)
            }
            Err(error) => Ok(Verdict::Refused(error.raw_os_error().unwrap_or(0))),
        }
    }
}

impl Exit {
    /// Frames come out cut and complete.
    pub(crate) fn bare() -> io::Result<Self> {
        Ok(Self { tap: tap(EXIT, 0)?, header: 0, buffer: vec![0; LONGEST] })
    }

    /// Frames come out as they are, behind a header that says what is left to do.
    pub(crate) fn offloading() -> io::Result<Self> {
        let tap = tap(EXIT, libc::IFF_VNET_HDR)?;
        set_header_len(&tap)?;
        let all = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        set_offload(&tap, all | USO).or_else(|_| set_offload(&tap, all))?;
        Ok(Self { tap, header: HEADER_LEN, buffer: vec![0; LONGEST] })
    }

    /// All that has come out since the last time; what the host sends of its own accord is left out.
    pub(crate) fn drain(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        loop {
            match self.tap.read(&mut self.buffer) {
                Ok(len) if self.buffer[self.header..][6..12] == SOURCE => {
                    frames.push(self.buffer[..len].to_vec())
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(frames),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Asks the kernel, without the crate, whether it knows oversized UDP: Linux 6.2 does.
pub(crate) fn kernel_has_uso() -> bool {
    let tap = tap("uso0", libc::IFF_VNET_HDR).expect("a TAP");
    set_offload(&tap, libc::TUN_F_CSUM | USO).is_ok()
}

/// Makes the bridge from [`ENTRY`] to [`EXIT`], and waits until it forwards: `passes` sends a frame and tells whether it
/// came out.
pub(crate) fn connect(mut passes: impl FnMut(&[u8]) -> io::Result<bool>) -> io::Result<()> {
    ip(&["link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0", "forward_delay", "0"])?;
    spare_the_firewall()?;
    for name in [ENTRY, EXIT, BRIDGE] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1")?;
        // Whole frames must pass as they are, and a frame may make a thousand segments before anything is read. Some kernels
        // take no queue of 32768 or more.
        ip(&["link", "set", name, "mtu", "65521", "txqueuelen", "30000"])?;
    }
    for name in [ENTRY, EXIT] {
        ip(&["link", "set", name, "master", BRIDGE, "up"])?;
    }
    ip(&["link", "set", BRIDGE, "up"])?;
    let mut frame = [0; 60];
    frame[6..12].copy_from_slice(&SOURCE);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if passes(&frame)? {
            return Ok(());
        }
        sleep(Duration::from_millis(20));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the bridge does not forward"))
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

//! What the kernel answers, as far as the crate relies on it; reading, writing and polling first.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};

use libc::{EAGAIN, EBADFD, EINVAL, EIO};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::readv;
use nix::sys::utsname::uname;
use nix::unistd::{read, write};

use super::host::ip;
use super::host::{HEADERS, Host};
use super::raw_tap::{self, BARE, HEADER, TAP};

// What the kernel answers, as far as the crate relies on it. Each fact was seen on Debian's kernels from 5.10 to 7.3, or says
// on which; it is asserted on those, and elsewhere a difference is printed.

/// The first two numbers of a kernel's release.
type Release = (u32, u32);

/// Where all facts were looked at.
const SEEN: RangeInclusive<Release> = (5, 10)..=(7, 3);

/// Compares facts with what this kernel does.
#[derive(Default)]
pub(crate) struct Facts {
    differences: Vec<String>,
}

/// The errno of a result, 0 for success.
pub(crate) fn errno<T>(result: Result<T, impl Into<io::Error>>) -> i32 {
    result.map_or_else(|error| error.into().raw_os_error().unwrap_or(-1), |_| 0)
}

/// The running kernel's release, in numbers.
pub(crate) fn release() -> Release {
    let release = name();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).expect("a release begins with two numbers");
    (next(), next())
}

fn name() -> String {
    uname().unwrap().release().to_string_lossy().into_owned()
}

impl Facts {
    pub(crate) fn check<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.differences.push(format!("{what}: {found:?} where {expected:?} was expected"));
        }
    }

    /// A fact that changed with `release`.
    pub(crate) fn check_since<T: PartialEq + Debug>(
        &mut self,
        release: Release,
        what: &str,
        found: T,
        (before, after): (T, T),
    ) {
        self.check(what, found, if self::release() < release { before } else { after });
    }

    /// A fact that some updates of a release changed and others did not: each answer, with the kernels that gave it.
    pub(crate) fn check_any<T: PartialEq + Debug>(&mut self, what: &str, found: T, answers: &[(T, &str)]) {
        match answers.iter().find(|(answer, _)| *answer == found) {
            Some((_, kernels)) => println!("{what}: {found:?}, as on {kernels}"),
            None => {
                self.differences.push(format!("{what}: {found:?}, which no kernel gave: {answers:?}"));
            }
        }
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        if self.differences.is_empty() || std::thread::panicking() {
            return;
        }
        let text = format!("Linux {} differs:\n{}", name(), self.differences.join("\n"));
        assert!(!SEEN.contains(&release()), "{text}");
        eprintln!("{text}");
    }
}

// Facts about reading, writing and polling.

fn tap(name: &str, flags: i32) -> OwnedFd {
    let fd = raw_tap::tap(name, flags);
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    fd
}

fn events(fd: &OwnedFd) -> PollFlags {
    let mut set = [PollFd::new(fd.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
    poll(&mut set, PollTimeout::ZERO).unwrap();
    set[0].revents().unwrap()
}

pub(crate) fn one_read_takes_one_frame_and_cuts_it() {
    let mut facts = Facts::default();
    let fd = tap("read0", TAP | BARE);
    let host = Host::on("read0");
    let whole = 100 + HEADERS;
    for _ in 0..6 {
        host.send(&[7; 100]);
    }
    facts.check("no room does not consume", read(&fd, &mut []).ok(), Some(0));
    facts.check("room to spare", read(&fd, &mut [0; 2000]).ok(), Some(whole));
    facts.check("just enough room", read(&fd, &mut vec![0; whole]).ok(), Some(whole));
    facts.check("too little room looks like just enough", read(&fd, &mut [0; 60]).ok(), Some(60));
    let (mut buffer, mut spare) = (vec![0; whole - 1], [0]);
    let mut slices = [IoSliceMut::new(&mut buffer), IoSliceMut::new(&mut spare)];
    facts.check("a spare byte tells them apart", readv(&fd, &mut slices).ok(), Some(whole));
    facts.check("the rest of a cut frame is gone", read(&fd, &mut [0; 2000]).ok(), Some(whole));
    facts.check("the sixth", read(&fd, &mut [0; 2000]).ok(), Some(whole));
    facts.check("empty", errno(read(&fd, &mut [0; 2000])), EAGAIN);
}

pub(crate) fn a_buffer_shorter_than_the_header_eats_the_frame() {
    let mut facts = Facts::default();
    let fd = tap("read0", TAP | BARE | HEADER);
    raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, 12).unwrap();
    let host = Host::on("read0");
    host.send(&[7; 10]);
    facts.check("short", errno(read(&fd, &mut [0; 11])), EINVAL);
    facts.check("eaten", errno(read(&fd, &mut [0; 2000])), EAGAIN);
    host.send(&[7; 10]);
    facts.check("whole", read(&fd, &mut [0; 2000]).ok(), Some(12 + 10 + HEADERS));
}

pub(crate) fn writes_are_checked_for_the_ethernet_header_only() {
    let mut facts = Facts::default();
    let fd = tap("write0", TAP | BARE);
    facts.check("13 bytes while down", errno(write(&fd, &[0; 13])), EINVAL);
    facts.check("14 bytes while down", errno(write(&fd, &[0; 14])), EIO);
    ip("link set write0 up");
    facts.check("13 bytes", errno(write(&fd, &[0; 13])), EINVAL);
    facts.check("14 bytes", write(&fd, &[0; 14]).ok(), Some(14));
    // A MiB at once is ENOBUFS for want of memory in one piece on a small machine: seen on 6.12 and 6.16 with 1 GiB.
    facts.check("far over the MTU", write(&fd, &vec![0; 100_000]).ok(), Some(100_000));
    raw_tap::int(&fd, libc::TUNSETCARRIER, 0).unwrap();
    facts.check("without carrier", write(&fd, &[0; 60]).ok(), Some(60));
    ip("link del write0");
    facts.check("removed", errno(write(&fd, &[0; 60])), EBADFD);
}

pub(crate) fn headers_are_checked_against_the_frame() {
    let mut facts = Facts::default();
    let fd = tap("write0", TAP | BARE | HEADER);
    raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, 12).unwrap();
    ip("link set write0 up");
    // flags, type, header_len, segment size, checksum start and offset; little-endian.
    for (what, header, answer) in [
        ("no work", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0),
        ("header of 13 bytes", [0, 0, 13, 0, 0, 0, 0, 0, 0, 0], EINVAL),
        ("header beyond the frame", [0, 0, 203, 0, 0, 0, 0, 0, 0, 0], EINVAL),
        ("checksum beyond the frame", [1, 0, 0, 0, 0, 0, 200, 0, 0, 0], EINVAL),
        ("checksum at 0", [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], EINVAL),
        ("TCP over IPv4 into nothing", [1, 1, 54, 0, 0, 0, 34, 0, 16, 0], EINVAL),
        ("unknown type 2", [1, 2, 54, 0, 100, 0, 34, 0, 16, 0], EINVAL),
        ("ECN alone", [1, 0x80, 54, 0, 100, 0, 34, 0, 16, 0], EINVAL),
    ] {
        let mut bytes = [0; 12 + 200];
        bytes[..10].copy_from_slice(&header.map(|byte: u16| byte as u8));
        facts.check(what, errno(write(&fd, &bytes)), answer);
    }
    let mut bytes = [0; 12 + 200];
    bytes[2] = 202;
    let slack = errno(write(&fd, &bytes));
    facts.check_since((6, 16), "header within the slack of two bytes", slack, (EINVAL, 0));
    facts.check("shorter than the header", errno(write(&fd, &[0; 11])), EINVAL);
}

pub(crate) fn poll_tells_the_state() {
    let mut facts = Facts::default();
    facts.check("unbound", events(&raw_tap::open()), PollFlags::POLLERR);
    let fd = tap("poll0", TAP | BARE);
    facts.check("down", events(&fd), PollFlags::empty());
    let host = Host::on("poll0");
    facts.check("up", events(&fd), PollFlags::POLLOUT);
    raw_tap::int(&fd, libc::TUNSETCARRIER, 0).unwrap();
    facts.check("without carrier", events(&fd), PollFlags::POLLOUT);
    raw_tap::int(&fd, libc::TUNSETCARRIER, 1).unwrap();
    host.send(&[7; 10]);
    facts.check("a frame", events(&fd), PollFlags::POLLOUT | PollFlags::POLLIN);
    ip("link set poll0 down");
    facts.check("a frame from before it went down", events(&fd), PollFlags::POLLIN);
    facts.check("can be read", read(&fd, &mut [0; 2000]).ok(), Some(10 + HEADERS));
    ip("link del poll0");
    facts.check("removed", events(&fd), PollFlags::POLLERR);
    facts.check("read", errno(read(&fd, &mut [0; 2000])), EBADFD);
}

pub(crate) fn a_blocked_read_ends_when_the_interface_goes() {
    let mut facts = Facts::default();
    let fd = raw_tap::tap("block0", TAP | BARE);
    ip("link set block0 up");
    let mut file = File::from(fd);
    // The host may announce itself first.
    let reader = std::thread::spawn(move || {
        loop {
            if let Err(error) = file.read(&mut [0; 2000]) {
                return errno::<()>(Err(error));
            }
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    ip("link del block0");
    facts.check("blocked read", reader.join().unwrap(), libc::EFAULT);
}

pub(crate) fn an_interface_is_made_where_the_node_was_opened() {
    let mut facts = Facts::default();
    let fd = raw_tap::open();
    let elsewhere = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let bound = raw_tap::bind(&fd, b"home0", TAP | BARE);
        (fd, errno(bound), super::host::exists("home0"))
    });
    let (_fd, answer, there) = elsewhere.join().unwrap();
    facts.check(
        "bound from another namespace",
        (answer, there, super::host::exists("home0")),
        (0, false, true),
    );
}

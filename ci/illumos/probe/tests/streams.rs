//! The model kernel behind an illumos program: devices, modules, links, frames, and what must not survive.
//!
//! The sequence is that of streamio(4I), if_tcp(4P) and dlpi(4P) for an interface above a TAP.
#![cfg(any(target_os = "illumos", target_os = "solaris"))]
#![expect(unsafe_code, reason = "requests of STREAMS have no safe interface")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::{offset_of, size_of};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use std::{env, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const I_STR: libc::c_int = 0x5308;
const I_PUSH: libc::c_int = 0x5302;
const I_POP: libc::c_int = 0x5303;
const I_LINK: libc::c_int = 0x530c;
const I_UNLINK: libc::c_int = 0x530d;
const I_SRDOPT: libc::c_int = 0x5306;
const RMSGD: libc::c_int = 1;
const TUNNEWPPA: libc::c_int = 0x54_0001;
const SIOCSLIFNAME: libc::c_int = 0xc078_6981_u32 as libc::c_int;
const SIOCSLIFFLAGS: libc::c_int = 0x8078_6974_u32 as libc::c_int;
const SIOCGLIFFLAGS: libc::c_int = 0xc078_6975_u32 as libc::c_int;
const SIOCSLIFADDR: libc::c_int = 0x8078_6970_u32 as libc::c_int;
const IFF_UP: u64 = 1;
const IFF_IPV4: u64 = 0x100_0000;

#[repr(C)]
struct Strioctl {
    command: libc::c_int,
    timeout: libc::c_int,
    length: libc::c_int,
    data: *mut libc::c_void,
}
const _: () = assert!(size_of::<Strioctl>() == 24 && offset_of!(Strioctl, data) == 16);

#[repr(C)]
struct Lifreq {
    name: [u8; 32],
    ppa: u32,
    kind: u32,
    rest: [u64; 42],
}
const _: () = assert!(size_of::<Lifreq>() == 376 && offset_of!(Lifreq, rest) == 40);

impl Lifreq {
    fn new(name: &str) -> Self {
        let mut this = Self { name: [0; 32], ppa: 0, kind: 0, rest: [0; 42] };
        this.name[..name.len()].copy_from_slice(name.as_bytes());
        this
    }

    fn named(name: &str, ppa: u32) -> Self {
        let mut this = Self::new(name);
        this.ppa = ppa;
        this.rest[0] = IFF_IPV4;
        this
    }
}

fn device(path: &str) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// A request whose argument is the value itself.
fn request(file: &File, request: libc::c_int, value: libc::c_int) -> io::Result<libc::c_int> {
    // SAFETY: these requests take a number.
    check(unsafe { libc::ioctl(file.as_raw_fd(), request, value) })
}

/// A request whose argument is read and written.
fn request_about<T>(fd: BorrowedFd<'_>, request: libc::c_int, about: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: the requests of these tests take an interface's name and data, or a string, of this size at most.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(about)) })
}

/// A request wrapped in I_STR.
fn wrapped<T>(file: &File, command: libc::c_int, about: &mut T) -> io::Result<(libc::c_int, libc::c_int)> {
    let length = libc::c_int::try_from(size_of::<T>()).unwrap();
    let mut request = Strioctl { command, timeout: 5, length, data: std::ptr::from_mut(about).cast() };
    let value = request_about(file.as_fd(), I_STR, &mut request)?;
    Ok((value, request.length))
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

/// A control stream that has a new number.
fn control() -> (File, u32) {
    let tap = device("/dev/tap");
    let (ppa, _) = wrapped(&tap, TUNNEWPPA, &mut -1_i32).unwrap();
    request(&tap, I_SRDOPT, RMSGD).unwrap();
    (tap, u32::try_from(ppa).unwrap())
}

/// An interface above a control stream: the stream that holds the links, and their ids.
fn plumb(ppa: u32) -> (File, [libc::c_int; 2]) {
    let name = format!("tap{ppa}");
    let mux = device("/dev/udp");
    let ip = device("/dev/tap");
    request_about(ip.as_fd(), I_PUSH, &mut { *b"ip\0" }).unwrap();
    request_about(ip.as_fd(), SIOCSLIFNAME, &mut Lifreq::named(&name, ppa)).unwrap();
    let arp = device("/dev/tap");
    request_about(arp.as_fd(), I_PUSH, &mut { *b"arp\0" }).unwrap();
    wrapped(&arp, SIOCSLIFNAME, &mut Lifreq::named(&name, ppa)).unwrap();
    let ip_id = request(&mux, I_LINK, ip.as_raw_fd()).unwrap();
    let arp_id = request(&mux, I_LINK, arp.as_raw_fd()).unwrap();
    (mux, [ip_id, arp_id])
}

fn bring_up(mux: &File, ppa: u32) {
    let mut address = Lifreq::new(&format!("tap{ppa}"));
    // sockaddr_in: family 2, port 0, 10.77.0.1 in network order
    address.rest[0] = u64::from_le_bytes([2, 0, 0, 0, 10, 77, 0, 1]);
    request_about(mux.as_fd(), SIOCSLIFADDR, &mut address).unwrap();
    let mut flags = Lifreq::new(&format!("tap{ppa}"));
    request_about(mux.as_fd(), SIOCGLIFFLAGS, &mut flags).unwrap();
    flags.rest[0] |= IFF_UP;
    request_about(mux.as_fd(), SIOCSLIFFLAGS, &mut flags).unwrap();
}

fn readable(file: &File, wait: u16) -> bool {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(wait)).unwrap() == 1
}

#[test]
fn a_control_stream_gets_a_number_and_gives_it_back() {
    let tap = device("/dev/tap");
    let (ppa, length) = wrapped(&tap, TUNNEWPPA, &mut -1_i32).unwrap();
    assert!((0..20).contains(&ppa));
    assert_eq!(length, 0, "the driver says that it returns no data");
    let other = device("/dev/tap");
    assert_eq!(errno(wrapped(&other, TUNNEWPPA, &mut ppa.clone())), Some(libc::EEXIST));
}

#[test]
fn errors_of_the_model_are_illumos_errors() {
    let (mut tap, _) = control();
    assert_eq!(errno(tap.write(&[0; 20])), Some(libc::ERANGE));
    assert_eq!(tap.write(&[0; 60]).unwrap(), 60);
    assert_eq!(errno(wrapped(&tap, 0x54_0099, &mut 0_i32)), Some(libc::EINVAL));
    assert_eq!(errno(request(&tap, I_POP, 0)), Some(libc::EINVAL));
    assert_eq!(errno(File::open("/dev/tap4711")), Some(libc::ENOENT));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unknown = request_about(socket.as_fd(), SIOCGLIFFLAGS, &mut Lifreq::new("net77"));
    assert_eq!(errno(unknown), Some(libc::ENXIO));
}

#[test]
fn an_interface_is_plumbed_comes_up_and_goes() {
    let (mut tap, ppa) = control();
    assert!(!readable(&tap, 0));
    let (mux, ids) = plumb(ppa);
    bring_up(&mux, ppa);
    // the interface asks the network whether its address is taken: an ARP frame comes out of the TAP
    assert!(readable(&tap, 10_000), "no frame came");
    let mut frame = [0; 2048];
    let length = tap.read(&mut frame).unwrap();
    assert!(length >= 42 && frame[12..14] == [0x08, 0x06], "{:02x?}", &frame[..length]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut flags = Lifreq::new(&format!("tap{ppa}"));
    request_about(socket.as_fd(), SIOCGLIFFLAGS, &mut flags).unwrap();
    assert_eq!(flags.rest[0] & (IFF_UP | IFF_IPV4), IFF_UP | IFF_IPV4);
    assert!(ids.iter().rev().all(|id| request(&mux, I_UNLINK, *id).is_ok()));
    assert_eq!(errno(request_about(socket.as_fd(), SIOCGLIFFLAGS, &mut flags)), Some(libc::ENXIO));
}

#[test]
fn poll_waits_for_a_stream_and_a_pipe_at_once() {
    let (tap, _) = control();
    let (mut reader, mut writer) = io::pipe().unwrap();
    let wait = |reader: &io::PipeReader, time: u16| {
        let mut fds =
            [PollFd::new(tap.as_fd(), PollFlags::POLLIN), PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        let count = poll(&mut fds, PollTimeout::from(time)).unwrap();
        (count, fds[0].any().unwrap(), fds[1].any().unwrap())
    };
    assert_eq!(wait(&reader, 20), (0, false, false));
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        writer.write_all(b"x").unwrap();
        writer
    });
    let start = Instant::now();
    assert_eq!(wait(&reader, 10_000), (1, false, true));
    assert!(start.elapsed() < Duration::from_secs(5));
    reader.read_exact(&mut [0]).unwrap();
    drop(late.join().unwrap());
    let mut fds = [PollFd::new(tap.as_fd(), PollFlags::POLLOUT)];
    assert_eq!(poll(&mut fds, PollTimeout::ZERO), Ok(1));
}

#[test]
fn an_empty_stream_would_block_when_told_so() {
    let mut options = OpenOptions::new();
    let mut tap = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/tap").unwrap();
    assert_eq!(errno(tap.read(&mut [0; 2048])), Some(libc::EAGAIN));
    let flags = nix::fcntl::fcntl(&tap, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    assert_eq!(flags & libc::O_NONBLOCK, libc::O_NONBLOCK);
}

#[test]
fn a_stream_lives_as_long_as_its_last_descriptor() {
    let (tap, ppa) = control();
    let copy = tap.try_clone().unwrap();
    drop(tap);
    let wanted = libc::c_int::try_from(ppa).unwrap();
    assert_eq!(errno(wrapped(&device("/dev/tap"), TUNNEWPPA, &mut wanted.clone())), Some(libc::EEXIST));
    drop(copy);
    let (again, _) = wrapped(&device("/dev/tap"), TUNNEWPPA, &mut wanted.clone()).unwrap();
    assert_eq!(again, wanted);
}

#[test]
fn a_stream_is_a_character_device() {
    assert!(fs::metadata("/dev/tap").unwrap().file_type().is_char_device());
    let tap = device("/dev/tap");
    assert!(tap.metadata().unwrap().file_type().is_char_device());
    unsafe extern "C" {
        fn isastream(fd: libc::c_int) -> libc::c_int;
    }
    let file = File::open("/dev/null").unwrap();
    // SAFETY: takes a number.
    let answers = [&tap, &file].map(|file| unsafe { isastream(file.as_raw_fd()) });
    assert_eq!(answers, [1, 0]);
}

/// Only the children of the next tests do something here.
#[test]
fn child() {
    match env::var("PROBE_STREAMS").as_deref() {
        Ok("inherits") => {
            let fd = env::var("PROBE_FD").unwrap().parse().unwrap();
            // SAFETY: takes numbers.
            let result = check(unsafe { libc::fcntl(fd, libc::F_GETFD) });
            println!("[{}]", if result.is_ok() { "open" } else { "closed" });
        }
        Ok("crashes") => {
            // 20 is one past the driver's table: a real machine writes past it
            let _ = wrapped(&device("/dev/tap"), TUNNEWPPA, &mut 20_i32);
        }
        Ok("records") => {
            let (tap, ppa) = control();
            let (mux, ids) = plumb(ppa);
            assert!(ids.iter().rev().all(|id| request(&mux, I_UNLINK, *id).is_ok()));
            drop(mux);
            drop(tap);
        }
        _ => {}
    }
}

fn in_child(role: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env("PROBE_STREAMS", role);
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn exec_closes_what_is_marked() {
    let tap = device("/dev/tap");
    let number = tap.as_raw_fd().to_string();
    let seen = |output: &Output, word: &str| String::from_utf8_lossy(&output.stdout).contains(word);
    let output = in_child("inherits", &[("PROBE_FD", &number)]);
    assert!(seen(&output, "[closed]"), "{output:?}");
    nix::fcntl::fcntl(&tap, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let output = in_child("inherits", &[("PROBE_FD", &number)]);
    assert!(seen(&output, "[open]"), "{output:?}");
}

#[test]
fn what_crashes_a_kernel_ends_the_program() {
    let output = in_child("crashes", &[]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(97), "{text}");
    assert!(text.contains("the model kernel failed"), "{text}");
}

#[test]
fn a_record_of_all_calls_is_kept_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let output = in_child("records", &[("STREAMS_TRACE", path.to_str().unwrap())]);
    assert!(output.status.success(), "{output:?}");
    let trace = fs::read_to_string(path).unwrap();
    let operations: Vec<_> = trace.lines().map(|line| line.split('(').next().unwrap()).collect();
    let expected = [
        "open",
        "I_STR",
        "I_SRDOPT",
        "open",
        "open",
        "I_PUSH",
        "SIOCSLIFNAME",
        "open",
        "I_PUSH",
        "I_STR",
        "I_LINK",
        "I_LINK",
        "close",
        "close",
        "I_UNLINK",
        "I_UNLINK",
        "close",
        "close",
    ];
    assert_eq!(operations, expected, "{trace}");
}

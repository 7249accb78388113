//! Plumbing through the C functions, as a program on the machine does it.

// UNSAFETY: ioctls with structures of this file.
#![expect(unsafe_code, reason = "ioctls of the C library")]

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

use streams_model::abi::{self, IFF_IPV4, IFF_UP};
use streams_model::{Lifreq, Strioctl};

/// An ioctl whose argument is a value.
pub(crate) fn ioctl_value(file: &impl AsRawFd, request: u32, value: i32) -> i32 {
    // SAFETY: requests of this kind take the value itself and follow no pointer.
    unsafe { libc::ioctl(file.as_raw_fd(), u64::from(request), value as libc::c_long) }
}

/// An ioctl whose argument points at `bytes`.
pub(crate) fn ioctl_bytes(file: &impl AsRawFd, request: u32, bytes: &mut [u8]) -> i32 {
    // SAFETY: the slice is as long as the request's structure, writable, and lives until the call returns.
    unsafe { libc::ioctl(file.as_raw_fd(), u64::from(request), bytes.as_mut_ptr()) }
}

/// `I_STR` with `data`.
pub(crate) fn str_ioctl(file: &impl AsRawFd, cmd: u32, data: &mut [u8]) -> i32 {
    let dp = data.as_mut_ptr().expose_provenance() as u64;
    let mut image = Strioctl { cmd, timout: 5, len: data.len() as i32, dp }.image();
    ioctl_bytes(file, abi::I_STR, &mut image)
}

pub(crate) fn open(path: &str) -> File {
    File::options().read(true).write(true).open(path).expect("opens")
}

pub(crate) fn push(file: &impl AsRawFd, module: &str) -> i32 {
    ioctl_bytes(file, abi::I_PUSH, &mut [module.as_bytes(), &[0]].concat())
}

/// A control stream with this PPA, in message mode.
pub(crate) fn control(ppa: i32) -> File {
    let tap = open("/dev/tap");
    assert_eq!(str_ioctl(&tap, abi::TUNNEWPPA, &mut ppa.to_le_bytes()), ppa);
    assert_eq!(ioctl_value(&tap, abi::I_SRDOPT, abi::RMSGD), 0);
    tap
}

/// Names a stream with ip for as long as `work` takes.
pub(crate) fn name_ip(ppa: u32, flags: u64, work: impl FnOnce(&File)) {
    let mut name = Lifreq::default();
    name.set_name(&format!("tap{ppa}")).set_ppa(ppa).set_flags(flags);
    let ip = open("/dev/tap");
    assert_eq!(push(&ip, "ip"), 0);
    assert_eq!(ioctl_bytes(&ip, abi::SIOCSLIFNAME, &mut name.0), 0);
    work(&ip);
}

/// The mux stream and the control stream of a plumbed interface, with its mux ids.
pub(crate) struct Plumbed {
    pub(crate) mux: File,
    pub(crate) control: File,
    pub(crate) muxids: [i32; 2],
}

pub(crate) fn plumb(ppa: i32) -> Plumbed {
    let mux = open("/dev/udp");
    assert_eq!(push(&mux, "arp"), 0);
    let control = control(ppa);
    let mut name = Lifreq::default();
    name.set_name(&format!("tap{ppa}")).set_ppa(ppa as u32).set_flags(IFF_IPV4);
    let ip = open("/dev/tap");
    assert_eq!(push(&ip, "ip"), 0);
    assert_eq!(ioctl_bytes(&ip, abi::SIOCSLIFNAME, &mut name.0), 0);
    let arp = open("/dev/tap");
    assert_eq!(push(&arp, "arp"), 0);
    assert_eq!(str_ioctl(&arp, abi::SIOCSLIFNAME, &mut name.0), 0);
    let muxids = [&ip, &arp].map(|lower| ioctl_value(&mux, abi::I_LINK, lower.as_raw_fd()));
    Plumbed { mux, control, muxids }
}

impl Plumbed {
    pub(crate) fn bring_up(&self, name: &str, address: [u8; 4]) {
        let mut request = Lifreq::default();
        request.set_name(name).set_address(abi::AF_INET as u16, &address);
        assert_eq!(ioctl_bytes(&self.mux, abi::SIOCSLIFADDR, &mut request.0), 0);
        request.set_address(abi::AF_INET as u16, &[255, 255, 255, 0]);
        assert_eq!(ioctl_bytes(&self.mux, abi::SIOCSLIFNETMASK, &mut request.0), 0);
        assert_eq!(ioctl_bytes(&self.mux, abi::SIOCGLIFFLAGS, &mut request.0), 0);
        let flags = request.flags() | IFF_UP;
        request.set_flags(flags);
        assert_eq!(ioctl_bytes(&self.mux, abi::SIOCSLIFFLAGS, &mut request.0), 0);
    }

    pub(crate) fn unplumb(self) {
        let [ip, arp] = self.muxids;
        assert_eq!(ioctl_value(&self.mux, abi::I_UNLINK, arp), 0);
        assert_eq!(ioctl_value(&self.mux, abi::I_UNLINK, ip), 0);
        drop(self.mux);
        drop(self.control);
    }
}

/// A datagram socket made by the C function.
pub(crate) fn datagram_socket() -> File {
    // SAFETY: socket takes three integers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: the descriptor was made just now and nobody else owns it.
    unsafe { File::from_raw_fd(fd) }
}

/// poll(2) of these descriptors for input.
pub(crate) fn poll(fds: &[&dyn AsRawFd], timeout_ms: i32) -> (i32, Vec<i16>) {
    let entry = |fd: &&dyn AsRawFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<_> = fds.iter().map(entry).collect();
    // SAFETY: the vector's entries are initialised pollfd that live until the call returns.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as u64, timeout_ms) };
    (ready, entries.iter().map(|entry| entry.revents).collect())
}

/// poll(2) of one descriptor.
pub(crate) fn poll_entry(entry: &mut libc::pollfd, timeout_ms: i32) -> i32 {
    // SAFETY: the entry is an initialised pollfd that lives until the call returns.
    unsafe { libc::poll(entry, 1, timeout_ms) }
}

/// A `strbuf` of `stropts.h`.
#[repr(C)]
struct Strbuf {
    maxlen: i32,
    len: i32,
    buf: *mut u8,
}

unsafe extern "C" {
    fn getmsg(fd: i32, control: *mut Strbuf, data: *mut Strbuf, flags: *mut i32) -> i32;
    fn putmsg(fd: i32, control: *const Strbuf, data: *const Strbuf, flags: i32) -> i32;
}

/// putmsg(2) of a control part.
pub(crate) fn put_control(file: &impl AsRawFd, control: &mut [u8]) -> i32 {
    let strbuf = Strbuf { maxlen: 0, len: control.len() as i32, buf: control.as_mut_ptr() };
    // SAFETY: the strbuf and the bytes it points at live until the call returns; there is no data part.
    unsafe { putmsg(file.as_raw_fd(), &raw const strbuf, std::ptr::null(), 0) }
}

/// getmsg(2): what it returns, and the control part.
pub(crate) fn get_control(file: &impl AsRawFd) -> (i32, Vec<u8>) {
    let mut buffer = [0; 256];
    let mut strbuf = Strbuf { maxlen: 256, len: 0, buf: buffer.as_mut_ptr() };
    let mut flags = 0;
    // SAFETY: the strbuf, its 256 bytes and the flags live until the call returns; there is no data part.
    let result = unsafe { getmsg(file.as_raw_fd(), &raw mut strbuf, std::ptr::null_mut(), &raw mut flags) };
    (result, buffer[..strbuf.len.max(0) as usize].to_vec())
}

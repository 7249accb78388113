//! The kernel's requests without the crate, to prepare what the crate finds and to ask what it left.

// UNSAFETY: ioctl(2) takes an untyped pointer; each function below states the pointee of the requests it is for.
#![expect(unsafe_code, reason = "ioctl(2) has no safe form")]

use std::ffi::c_int;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

pub(crate) const TAP: c_int = libc::IFF_TAP;
pub(crate) const TUN: c_int = libc::IFF_TUN;
pub(crate) const BARE: c_int = libc::IFF_NO_PI;
pub(crate) const HEADER: c_int = libc::IFF_VNET_HDR;
pub(crate) const MULTI_QUEUE: c_int = libc::IFF_MULTI_QUEUE;

/// Opens the node as an owner that knows nothing of this crate: blocking.
pub(crate) fn open() -> OwnedFd {
    OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap().into()
}

/// Opens a TAP of this name and mode, which vanishes with the descriptor.
pub(crate) fn tap(name: &str, flags: c_int) -> OwnedFd {
    let fd = open();
    bind_patiently(&fd, name.as_bytes(), flags).unwrap_or_else(|error| panic!("{name}: {error}"));
    fd
}

/// As [`bind`], but for a second: a process that another test is starting can hold a copy of the last descriptor for a moment.
/// Linux 7.3 gives a name away before its place in sysfs is free, and says EEXIST then. Of a template with digits behind its
/// `%d` the kernel tries one number only, and says ENFILE.
pub(crate) fn bind_patiently(fd: impl AsFd, name: &[u8], flags: c_int) -> io::Result<String> {
    let busy = |result: &io::Result<String>| {
        let errno = result.as_ref().err().and_then(io::Error::raw_os_error);
        matches!(errno, Some(libc::EBUSY | libc::EEXIST | libc::ENFILE))
    };
    let mut tries = (0..1000).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        bind(fd.as_fd(), name, flags)
    });
    tries.find(|result| !busy(result)).unwrap_or_else(|| bind(fd.as_fd(), name, flags))
}

/// `TUNSETIFF`; returns the name given.
pub(crate) fn bind(fd: impl AsFd, name: &[u8], flags: c_int) -> io::Result<String> {
    request(fd, libc::TUNSETIFF, name, flags).map(|(name, _)| name)
}

/// `TUNGETIFF`: name and flags.
pub(crate) fn bound(fd: impl AsFd) -> io::Result<(String, c_int)> {
    request(fd, libc::TUNGETIFF, b"", 0)
}

/// `TUNSETQUEUE`.
pub(crate) fn set_queue(fd: impl AsFd, flag: c_int) -> io::Result<()> {
    request(fd, libc::TUNSETQUEUE, b"", flag).map(drop)
}

fn request(fd: impl AsFd, number: libc::Ioctl, name: &[u8], flags: c_int) -> io::Result<(String, c_int)> {
    let mut bytes = [0_u8; size_of::<libc::ifreq>()];
    let len = name.len().min(libc::IFNAMSIZ);
    bytes[..len].copy_from_slice(&name[..len]);
    bytes[16..18].copy_from_slice(&(flags as u16).to_ne_bytes());
    // SAFETY: the argument points to as many bytes as a `struct ifreq` has, owned by this frame during the call; this function
    // is called only with numbers that read or write one such structure.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), number, bytes.as_mut_ptr()) };
    checked(result)?;
    let name = bytes[..16].split(|byte| *byte == 0).next().unwrap();
    Ok((String::from_utf8_lossy(name).into_owned(), u16::from_ne_bytes([bytes[16], bytes[17]]).into()))
}

/// A request about an `int`, such as `TUNSETVNETHDRSZ`; returns what is there afterwards.
pub(crate) fn int(fd: impl AsFd, number: libc::Ioctl, mut value: c_int) -> io::Result<c_int> {
    // SAFETY: the argument points to an `int` of this frame; this function is called only with numbers that read or write one.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), number, &raw mut value) };
    checked(result).map(|()| value)
}

/// A request whose argument is a number, such as `TUNSETOFFLOAD`.
pub(crate) fn value(fd: impl AsFd, number: libc::Ioctl, value: c_int) -> io::Result<()> {
    // SAFETY: this function is called only with numbers whose argument the kernel does not follow.
    checked(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), number, value) })
}

/// Asks the kernel, without the crate, whether it knows oversized UDP (checksums and USO for both families).
pub(crate) fn knows_uso() -> bool {
    value(tap("uso0", TAP | BARE | HEADER), libc::TUNSETOFFLOAD, 0x61).is_ok()
}

/// Attaches a classic filter that accepts everything, or nothing (`TUNATTACHFILTER`).
pub(crate) fn attach_filter(fd: impl AsFd, accept: bool) -> io::Result<()> {
    let verdict = if accept { u32::MAX } else { 0 };
    // BPF_RET | BPF_K: how many bytes of the frame pass.
    let mut code = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: verdict }];
    let program = libc::sock_fprog { len: 1, filter: code.as_mut_ptr() };
    // SAFETY: the argument points to a `struct sock_fprog` whose one instruction lives in this frame; the kernel copies it.
    checked(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TUNATTACHFILTER, &raw const program) })
}

/// Lets frames to this address pass and no others (`TUNSETTXFILTER`).
pub(crate) fn address_filter(fd: impl AsFd, address: [u8; 6]) -> io::Result<()> {
    let mut filter = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    filter[2..4].copy_from_slice(&1_u16.to_ne_bytes());
    filter[4..].copy_from_slice(&address);
    // SAFETY: the argument points to a `struct tun_filter` with one address, ten bytes of this frame, which the kernel reads.
    checked(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TUNSETTXFILTER, filter.as_ptr()) })
}

fn checked(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! Descriptors: `fcntl.h`, `unistd.h`, `sys/uio.h`, `sys/file.h`.
//!
//! Each call asks first whether the descriptor is a stream of the model kernel.
//! Pseudo-terminals are here, too: `stdlib.h`. Terminals' settings (`termios.h`) are not translated: they stop the process.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::datagram::{self, Mark};
use crate::errno::{EINVAL, EMSGSIZE, ENAMETOOLONG, ENOTTY, ENXIO, errno, fail};
use crate::path::directory;
use crate::solaris::illumos_fcntl_request;
use crate::streams;
use crate::system::iov_max;
use crate::translate::{Flags, Numbers};
use libc::{iovec, mode_t, off_t};
use std::ffi::{c_char, c_int, c_long, c_void};

/// `sys/fcntl.h`. The access mode (0, 1, 2) agrees and is handled apart.
pub(crate) const OPEN_FLAGS: Flags = Flags {
    what: "open flag",
    pairs: &[
        (0x80, libc::O_NONBLOCK),
        (0x04, libc::O_NONBLOCK), // O_NDELAY; second, so that F_GETFL says O_NONBLOCK
        (0x08, libc::O_APPEND),
        (0x10, libc::O_SYNC),
        (0x40, libc::O_DSYNC),
        (0x8000, libc::O_RSYNC),
        (0x100, libc::O_CREAT),
        (0x200, libc::O_TRUNC),
        (0x400, libc::O_EXCL),
        (0x800, libc::O_NOCTTY),
        (0x2000, 0), // O_LARGEFILE: always so
        (0x20000, libc::O_NOFOLLOW),
        (0x80_0000, libc::O_CLOEXEC),
        (0x100_0000, libc::O_DIRECTORY),
    ],
};
const ACCESS_MODE: c_int = 3;
/// What F_GETFL reports besides the access mode.
const STATUS_FLAGS: Flags = Flags {
    what: "status flag",
    pairs: &[(0x80, libc::O_NONBLOCK), (0x08, libc::O_APPEND), (0x10, libc::O_SYNC)],
};

/// `sys/fcntl.h`: requests whose argument is a plain number on both sides.
const PLAIN_REQUESTS: Numbers = Numbers {
    what: "fcntl request",
    pairs: &[(0, libc::F_DUPFD), (37, libc::F_DUPFD_CLOEXEC), (1, libc::F_GETFD), (2, libc::F_SETFD)],
};
const F_GETFL: c_int = 3;
const F_SETFL: c_int = 4;
const F_DUP2FD: c_int = 9;
const F_DUP2FD_CLOEXEC: c_int = 36;

/// `sys/filio.h`: the two requests of ordinary descriptors.
const FILE_IOCTLS: [(c_int, u64); 2] =
    [(0x4004_667f, libc::FIONREAD), (0x8004_667e_u32.cast_signed(), libc::FIONBIO)];

forward! { errno:
    fn lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t;
    fn pread(fd: c_int, buffer: *mut c_void, length: usize, offset: off_t) -> isize;
    fn pwrite(fd: c_int, buffer: *const c_void, length: usize, offset: off_t) -> isize;
    fn preadv(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> isize;
    fn pwritev(fd: c_int, slices: *const iovec, count: c_int, offset: off_t) -> isize;
    fn pipe(ends: *mut c_int) -> c_int;
    fn fsync(fd: c_int) -> c_int;
    fn fdatasync(fd: c_int) -> c_int;
    fn ftruncate(fd: c_int, length: off_t) -> c_int;
    // sys/file.h: LOCK_SH 1, LOCK_EX 2, LOCK_NB 4 and LOCK_UN 8 agree
    fn flock(fd: c_int, operation: c_int) -> c_int;
}

forward! { number:
    fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int;
    // sys/fcntl.h: advice 0 to 5 agrees
    fn posix_fadvise(fd: c_int, offset: off_t, length: off_t, advice: c_int) -> c_int;
}

fn host_open_flags(illumos: c_int) -> c_int {
    (illumos & ACCESS_MODE) | OPEN_FLAGS.to_host(illumos & !ACCESS_MODE)
}

/// `mode` is there only with O_CREAT; without, its register holds anything and the host ignores it too.
#[unsafe(export_name = "illumos_open")]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { crate::path::is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if let Some(fd) = unsafe { streams::open(path, flags) } {
        return fd;
    }
    // SAFETY: as above; the host only reads the path.
    errno(unsafe { libc::open(path, host_open_flags(flags), mode) })
}

#[unsafe(export_name = "illumos_openat")]
unsafe extern "C" fn openat(at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    if unsafe { crate::path::is_too_long(path) } {
        return fail(ENAMETOOLONG);
    }
    // SAFETY: the caller's path is a NUL-terminated string that lives through the call.
    errno(unsafe { libc::openat(directory(at), path, host_open_flags(flags), mode) })
}

#[unsafe(export_name = "illumos_close")]
extern "C" fn close(fd: c_int) -> c_int {
    if let Some(result) = streams::close(fd) {
        return result;
    }
    // SAFETY: takes a number; that it is the caller's to close is the caller's promise on illumos too.
    errno(unsafe { libc::close(fd) })
}

#[unsafe(export_name = "illumos_read")]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: usize) -> isize {
    if streams::owns(fd) {
        // SAFETY: the caller's buffer has `length` writable bytes.
        return unsafe { streams::read(fd, buffer.cast(), length) };
    }
    if let Some(mark) = Mark::of(fd) {
        let slice = datagram::slice(buffer, length);
        // SAFETY: one slice, of the caller's buffer.
        return unsafe { datagram::receive(fd, mark, &mut datagram::message(&raw const slice, 1), 0) };
    }
    // SAFETY: as above.
    errno(unsafe { libc::read(fd, buffer, length) })
}

#[unsafe(export_name = "illumos_write")]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: usize) -> isize {
    if streams::owns(fd) {
        // SAFETY: the caller's buffer has `length` readable bytes.
        return unsafe { streams::write(fd, buffer.cast(), length) };
    }
    if let Some(mark) = Mark::of(fd) {
        let slice = datagram::slice(buffer, length);
        // SAFETY: one slice, of the caller's buffer.
        return unsafe { datagram::send(fd, mark, &datagram::message(&raw const slice, 1), 0, length) };
    }
    if datagram::is_too_long(fd, length) {
        return fail(EMSGSIZE);
    }
    // SAFETY: as above.
    datagram::sent(fd, unsafe { libc::write(fd, buffer, length) }, length)
}

#[unsafe(export_name = "illumos_readv")]
unsafe extern "C" fn readv(fd: c_int, slices: *const iovec, count: c_int) -> isize {
    if !(1..=iov_max()).contains(&count) {
        return fail(EINVAL);
    }
    if streams::owns(fd) {
        // SAFETY: the caller's array has `count` entries, each of a writable buffer; `struct iovec` is the host's.
        return unsafe { streams::readv(fd, slices, count) };
    }
    if let Some(mark) = Mark::of(fd) {
        let mut message = datagram::message(slices, usize::try_from(count).unwrap_or(0));
        // SAFETY: the caller's slices.
        return unsafe { datagram::receive(fd, mark, &mut message, 0) };
    }
    // SAFETY: as above.
    errno(unsafe { libc::readv(fd, slices, count) })
}

#[unsafe(export_name = "illumos_writev")]
unsafe extern "C" fn writev(fd: c_int, slices: *const iovec, count: c_int) -> isize {
    if !(1..=iov_max()).contains(&count) {
        return fail(EINVAL);
    }
    if streams::owns(fd) {
        // SAFETY: the caller's array has `count` entries, each of a readable buffer; `struct iovec` is the host's.
        return unsafe { streams::writev(fd, slices, count) };
    }
    let entries = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller's slices.
    let length = unsafe { datagram::total(slices, entries) };
    if let Some(mark) = Mark::of(fd) {
        // SAFETY: the caller's slices.
        return unsafe { datagram::send(fd, mark, &datagram::message(slices, entries), 0, length) };
    }
    if datagram::is_too_long(fd, length) {
        return fail(EMSGSIZE);
    }
    // SAFETY: as above.
    datagram::sent(fd, unsafe { libc::writev(fd, slices, count) }, length)
}

#[unsafe(export_name = "illumos_fcntl")]
extern "C" fn fcntl(fd: c_int, request: c_int, argument: c_long) -> c_int {
    let request = illumos_fcntl_request(request);
    if let Some(result) = streams::fcntl(fd, request, argument) {
        return result;
    }
    let number = c_int::try_from(argument).unwrap_or(c_int::MAX);
    match request {
        F_GETFL => status_flags(fd),
        // SAFETY: takes numbers only.
        F_SETFL => errno(unsafe { libc::fcntl(fd, libc::F_SETFL, host_open_flags(number)) }),
        F_DUP2FD => dup2(fd, number),
        F_DUP2FD_CLOEXEC => dup3(fd, number, 0x80_0000),
        // SAFETY: the requests of the table take numbers only.
        plain => errno(unsafe { libc::fcntl(fd, PLAIN_REQUESTS.to_host(plain), argument) }),
    }
}

fn status_flags(fd: c_int) -> c_int {
    // SAFETY: takes numbers only.
    let host = errno(unsafe { libc::fcntl(fd, libc::F_GETFL) });
    if host < 0 { host } else { (host & ACCESS_MODE) | STATUS_FLAGS.to_illumos(host) }
}

#[unsafe(export_name = "illumos_dup")]
extern "C" fn dup(fd: c_int) -> c_int {
    if let Some(copy) = streams::dup(fd) {
        return copy;
    }
    // SAFETY: takes a number.
    errno(unsafe { libc::dup(fd) })
}

#[unsafe(export_name = "illumos_dup2")]
extern "C" fn dup2(from: c_int, to: c_int) -> c_int {
    if let Some(copy) = streams::dup_to(from, to, false) {
        return copy;
    }
    // SAFETY: takes numbers.
    errno(unsafe { libc::dup2(from, to) })
}

#[unsafe(export_name = "illumos_dup3")]
extern "C" fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    let host = OPEN_FLAGS.to_host(flags);
    if let Some(copy) = streams::dup_to(from, to, host & libc::O_CLOEXEC != 0) {
        return copy;
    }
    // SAFETY: takes numbers.
    errno(unsafe { libc::dup3(from, to, host) })
}

#[unsafe(export_name = "illumos_pipe2")]
unsafe extern "C" fn pipe2(ends: *mut c_int, flags: c_int) -> c_int {
    // SAFETY: the caller's array has room for two descriptors.
    errno(unsafe { libc::pipe2(ends, OPEN_FLAGS.to_host(flags)) })
}

/// `isatty` tells of an error by 0, not by -1.
#[unsafe(export_name = "illumos_isatty")]
extern "C" fn isatty(fd: c_int) -> c_int {
    // SAFETY: takes a number.
    let answer = unsafe { libc::isatty(fd) };
    if answer == 0 {
        crate::errno::take_over();
    }
    answer
}

#[unsafe(export_name = "illumos_ioctl")]
unsafe extern "C" fn ioctl(fd: c_int, request: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: what the argument points to is as the request says, a promise of the caller's.
    if let Some(result) = unsafe { streams::ioctl(fd, request, argument) } {
        return result;
    }
    match FILE_IOCTLS.iter().find(|pair| pair.0 == request) {
        // SAFETY: both requests of the table have one int behind the pointer, on both systems.
        Some(&(_, host)) => errno(unsafe { libc::ioctl(fd, host, argument) }),
        // SAFETY: takes numbers; asks whether the descriptor is one at all, so that a bad one gets EBADF.
        None if errno(unsafe { libc::fcntl(fd, libc::F_GETFD) }) < 0 => -1,
        None => fail(if is_memory(fd) { ENXIO } else { ENOTTY }),
    }
}

/// `/dev/null` and `/dev/zero` refuse every request in the way of `mmioctl` of `mem.c`.
fn is_memory(fd: c_int) -> bool {
    /// The host's numbers of the two: its first device, and the minors of `mem(4)`.
    const DEVICES: [libc::dev_t; 2] = [libc::makedev(1, 3), libc::makedev(1, 5)];
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: room for a `struct stat` on this stack.
    unsafe { libc::fstat(fd, status.as_mut_ptr()) };
    // SAFETY: numbers, for which zero is a value; the host has filled them, or left zero.
    let status = unsafe { status.assume_init() };
    status.st_mode & libc::S_IFMT == libc::S_IFCHR && DEVICES.contains(&status.st_rdev)
}

#[cfg(test)]
mod tests {
    use super::{OPEN_FLAGS, host_open_flags, status_flags};

    #[test]
    fn a_new_file_is_opened_for_writing_only() {
        // O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
        assert_eq!(
            host_open_flags(0x80_0501),
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC
        );
    }

    #[test]
    fn nonblocking_comes_back_under_its_posix_name_only() {
        assert_eq!(OPEN_FLAGS.to_illumos(OPEN_FLAGS.to_host(0x04)) & 0x80, 0x80);
        assert_eq!(super::STATUS_FLAGS.to_illumos(libc::O_NONBLOCK), 0x80);
    }

    #[test]
    fn standard_input_has_status_flags() {
        assert!(status_flags(0) >= 0);
    }

    /// Row O9.
    #[test]
    fn a_memory_device_refuses_a_request_in_its_own_way() {
        const I_LIST: i32 = 0x5315;
        for (path, errno) in [("/dev/null", 6), ("/dev/zero", 6), ("/proc/self/exe", 25)] {
            let file = std::fs::File::open(path).unwrap();
            // SAFETY: the request is refused, and what its argument points to not looked at.
            let result =
                unsafe { super::ioctl(std::os::fd::AsRawFd::as_raw_fd(&file), I_LIST, std::ptr::null_mut()) };
            // SAFETY: this thread's number.
            assert_eq!((result, unsafe { crate::errno::location().read() }), (-1, errno), "{path}");
        }
    }
}

forward! { errno:
    fn grantpt(fd: c_int) -> c_int;
    fn unlockpt(fd: c_int) -> c_int;
    fn ptsname(fd: c_int) -> *mut c_char;
}

#[unsafe(export_name = "illumos_posix_openpt")]
extern "C" fn posix_openpt(flags: c_int) -> c_int {
    // SAFETY: takes a number; the access mode agrees.
    errno(unsafe { libc::posix_openpt((flags & 3) | OPEN_FLAGS.to_host(flags & !3)) })
}

//! The process layer as a shim for illumos binaries calls it: illumos numbers, raw addresses, no interposition.

// UNSAFETY: passes addresses of this test's own memory.
#![expect(unsafe_code, reason = "raw system calls need addresses")]

use std::ffi::CString;

use streams_model::abi::{self, F_GETFD, F_GETFL, F_SETFL, I_STR, O_CLOEXEC, O_NONBLOCK, O_RDWR};
use streams_model::{Answer, Call, Errno, Family, Machine, Moment, Strioctl, Trouble, process};

fn address<T: ?Sized>(pointer: *const T) -> u64 {
    pointer.cast::<u8>().expose_provenance() as u64
}

fn open(path: &str, flags: i32) -> Answer {
    let path = CString::new(path).expect("no NUL inside");
    // SAFETY: `path` is a NUL-terminated string that lives until the call returns.
    unsafe { process().open(address(path.as_ptr()), flags) }
}

fn call(call: Call) -> Answer {
    // SAFETY: the calls of this file carry addresses of live, large enough locals, or none.
    unsafe { process().call(call) }
}

fn new_ppa(fd: i32, ppa: i32) -> Answer {
    let mut image = Strioctl { cmd: abi::TUNNEWPPA, timout: 5, len: 4, dp: address(&raw const ppa) }.image();
    call(Call::Ioctl { fd, request: I_STR, argument: address(image.as_mut_ptr()) })
}

#[test]
fn descriptors_are_the_hosts_lowest_and_answer_in_illumos_numbers() {
    let machine = Machine::boot();
    let tap = open("/dev/tap", O_RDWR | O_CLOEXEC).expect("opens") as i32;
    assert!(process().owns(tap) && process().is_stream(tap) && !process().owns(0));
    assert_eq!(process().fcntl(tap, F_GETFD, 0), Ok(1));
    assert_eq!(new_ppa(tap, 3), Ok(3));
    let other = open("/dev/tap", O_RDWR).expect("opens") as i32;
    assert_eq!(new_ppa(other, 3), Err(Errno::EEXIST));
    assert_eq!(process().close(other), Ok(0));
    assert_eq!(process().close(other), Err(Errno::EBADF));
    assert_eq!(process().duplicate(tap, 0, true), Ok(i64::from(other)), "the lowest free number");
    assert_eq!(process().fcntl(tap, F_SETFL, i64::from(O_RDWR | O_NONBLOCK)), Ok(0));
    assert_eq!(process().fcntl(other, F_GETFL, 0), Ok(i64::from(O_RDWR | O_NONBLOCK)));
    let mut frame = [0_u8; 2048];
    let read = Call::Read { fd: other, buffer: address(frame.as_mut_ptr()), length: 2048 };
    assert_eq!(call(read), Err(Errno::EAGAIN));
    assert!(machine.inject_frame(3, &[7; 60]));
    assert_eq!(call(read), Ok(60));
    assert_eq!(frame[..61], [&[7; 60][..], &[0]].concat());
    assert_eq!(process().duplicate_onto(tap, other, false), Ok(i64::from(other)));
    assert_eq!(process().fcntl(other, F_GETFD, 0), Ok(0));
    for fd in [tap, other] {
        assert_eq!(process().close(fd), Ok(0));
    }
    assert_eq!(machine.snapshot(), Default::default());
}

#[test]
fn a_null_address_is_a_fault() {
    let _machine = Machine::boot();
    let tap = open("/dev/tap", O_RDWR | O_CLOEXEC).expect("opens") as i32;
    assert_eq!(call(Call::Ioctl { fd: tap, request: I_STR, argument: 0 }), Err(Errno::EFAULT));
    assert_eq!(call(Call::Write { fd: tap, buffer: 0, length: 60 }), Err(Errno::EFAULT));
    assert_eq!(process().close(tap), Ok(0));
}

#[test]
fn a_socket_is_a_real_one() {
    let _machine = Machine::boot();
    let socket = process().socket(Family::V6, true).expect("makes one") as i32;
    assert!(process().owns(socket) && !process().is_stream(socket));
    assert_eq!(process().close(socket), Ok(0));
}

#[test]
fn poll_sees_streams_by_themselves() {
    let machine = Machine::boot();
    let tap = open("/dev/tap", O_RDWR | O_CLOEXEC).expect("opens") as i32;
    new_ppa(tap, 0).expect("makes the PPA");
    let mut fds = [libc::pollfd { fd: tap, events: abi::POLLIN | abi::POLLOUT, revents: 0 }];
    assert_eq!((process().poll(&mut fds, -1), fds[0].revents), (Ok(1), abi::POLLOUT));
    machine.inject_frame(0, &[0; 60]);
    assert_eq!((process().poll(&mut fds, 0), fds[0].revents), (Ok(1), abi::POLLIN | abi::POLLOUT));
    machine.kernel(|kernel| kernel.hang_up(tap)).expect("is open");
    assert_eq!((process().poll(&mut fds, 0), fds[0].revents), (Ok(1), abi::POLLIN | abi::POLLHUP));
    assert_eq!(process().close(tap), Ok(0));
}

#[test]
fn a_duplicate_onto_a_descriptor_of_the_model_closes_it() {
    let machine = Machine::boot();
    let tap = open("/dev/tap", O_RDWR | O_CLOEXEC).expect("opens") as i32;
    let mux = open("/dev/udp", O_RDWR | O_CLOEXEC).expect("opens") as i32;
    new_ppa(tap, 0).expect("makes the PPA");
    assert_eq!(process().duplicate_onto(mux, tap, true), Ok(i64::from(tap)));
    assert_eq!(machine.snapshot().ppas, [0; 0]);
    assert_eq!(machine.snapshot().descriptors[&tap], "udp, close-on-exec");
    assert_eq!(process().close(mux), Ok(0));
    // A descriptor of the host's takes the number over, whatever the close of the model's says.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
    machine.fail_nth(1, |record| record.is("close"), Trouble::Errno(Errno::EINTR), Moment::Before);
    assert_eq!(
        process().duplicate_onto(std::os::fd::AsRawFd::as_raw_fd(&socket), tap, true),
        Ok(i64::from(tap))
    );
    assert!(!process().owns(tap));
    assert_eq!(process().close(tap), Err(Errno::EBADF));
}

/// Whether the host itself finds a descriptor readable. This binary interposes nothing.
fn host_readable(fd: i32) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one initialised pollfd that lives until the call returns.
    let ready = unsafe { libc::poll(&raw mut entry, 1, 0) };
    ready == 1
}

#[test]
fn the_hosts_descriptor_is_readable_exactly_when_the_stream_is() {
    let machine = Machine::boot();
    let tap = open("/dev/tap", O_RDWR | O_CLOEXEC | O_NONBLOCK).expect("opens") as i32;
    new_ppa(tap, 0).expect("makes the PPA");
    assert!(!host_readable(tap));
    machine.inject_frame(0, &[0; 60]);
    assert!(host_readable(tap));
    let mut frame = [0_u8; 2048];
    assert_eq!(call(Call::Read { fd: tap, buffer: address(frame.as_mut_ptr()), length: 2048 }), Ok(60));
    assert!(!host_readable(tap));
    assert_eq!(process().close(tap), Ok(0));
}

#[test]
fn a_forked_child_is_not_on_the_machine() {
    let _machine = Machine::boot();
    let tap = open("/dev/tap", O_RDWR | O_CLOEXEC).expect("opens") as i32;
    // SAFETY: the child only reads atomics and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let owned = process().owns(tap);
        // SAFETY: ends the child at once, running nothing of the parent's.
        unsafe { libc::_exit(i32::from(owned)) };
    }
    let mut status = -1;
    // SAFETY: `status` is an int that lives until the call returns; the child is ours.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
    assert!(process().owns(tap));
    assert_eq!(process().close(tap), Ok(0));
}

//! STREAMS devices and IP interfaces: what the host's kernel has not, the model kernel answers.
//!
//! The machine is booted when the program first asks for something of it. A device's descriptor is a descriptor of the
//! host, so that the host's poll, dup, exec and close see it; what happens on it is the model's. A datagram socket is
//! the host's, but for the requests about interfaces (`SIOC...`).
//!
//! A process that a program starts has a machine of its own, and no descriptor of the old one.

// UNSAFETY: passes addresses of the program on to the model, which reads and writes as the kernel would.
#![expect(unsafe_code, reason = "the model takes raw system calls")]

use crate::errno::{self, Outcome};
use crate::poll::{host_events, illumos_events};
use crate::signal_set::SignalMask;
use crate::unknown::unknown;
use libc::{iovec, pollfd};
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};
use std::{env, fs, ptr, thread};
use streams_model::{Answer, Call, Driver, Family, Machine, process};

/// The variable that names a file for the record of all calls the model has answered.
const TRACE: &str = "STREAMS_TRACE";
/// The variable that describes the data links of the machine, in the words of `Kernel::make_links`.
const LINKS: &str = "STREAMS_LINKS";
/// The status of a process that has crashed the model kernel, or left it in a state that no program should.
const STATUS: c_int = 97;
/// `sys/sockio.h` and `sys/ioccom.h`: the groups of requests about interfaces, in the second byte.
const INTERFACE_GROUPS: [u8; 2] = [b'i', b's'];

/// How often the machine is told what time it is.
const TICK: Duration = Duration::from_millis(5);

/// `sys/fcntl.h`. No device of the model is a terminal, and the model does not know the flag.
const O_NOCTTY: c_int = 0x800;

/// `struct lifreq` of `net/if.h`, and the request of `sys/sockio.h` that fills in its number.
const LIFREQ_LEN: usize = 376;
const LIFR_INDEX: usize = 40;
const SIOCGLIFINDEX: c_int = 0xc078_6985_u32.cast_signed();

/// The machine, once it is booted; never freed.
static MACHINE: AtomicPtr<Machine> = AtomicPtr::new(ptr::null_mut());

fn boot() {
    static BOOTED: Once = Once::new();
    BOOTED.call_once(|| {
        let machine = Box::leak(Box::new(Machine::boot()));
        if let Ok(links) = env::var(LINKS)
            && let Err(error) = machine.kernel(|kernel| kernel.make_links(&links))
        {
            eprintln!("{LINKS}: {error}");
            std::process::exit(STATUS);
        }
        MACHINE.store(machine, Release);
        run_clock(machine);
    });
}

/// Lets the machine's time pass as the world's does, by a thread of the shim's. The program's signals are not for it.
fn run_clock(machine: &'static Machine) {
    let mask = SignalMask::block_all();
    let started = thread::Builder::new().name("model clock".into()).spawn(move || {
        let mut last = Instant::now();
        loop {
            thread::sleep(TICK);
            let now = Instant::now();
            machine.advance(now - last);
            last = now;
        }
    });
    drop(mask);
    if let Err(error) = started {
        unknown("a machine without a clock:", error);
    }
}

fn machine() -> Option<&'static Machine> {
    // SAFETY: null, or a box that is never freed; the machine may be shared between threads.
    unsafe { MACHINE.load(Acquire).as_ref() }
}

/// Gives the model's answer the way C does.
fn given<T: Outcome + TryFrom<i64>>(answer: Answer) -> T {
    match answer {
        Ok(value) => T::try_from(value).unwrap_or(T::FAILURE),
        Err(number) => errno::fail(number.0),
    }
}

fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// Is this a device of the model?
pub(crate) fn serves(path: &CStr) -> bool {
    Driver::is_device(path.to_bytes())
}

/// Is what happens on this descriptor the model's? (Not so on its sockets.)
pub(crate) fn owns(fd: c_int) -> bool {
    process().owns(fd) && process().is_stream(fd)
}

/// None if the path is not the model's.
///
/// # Safety
/// `path` is null or a NUL-terminated string.
pub(crate) unsafe fn open(path: *const c_char, flags: c_int) -> Option<c_int> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    if !serves(unsafe { CStr::from_ptr(path) }) {
        return None;
    }
    boot();
    // SAFETY: as the caller promises.
    Some(given(unsafe { process().open(address(path), flags & !O_NOCTTY) }))
}

/// A datagram socket of the running machine; None as long as no machine runs, or for another kind.
pub(crate) fn socket(family: c_int, kind: c_int, protocol: c_int) -> Option<c_int> {
    let version = match family {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return None,
    };
    let is_plain = kind & !libc::SOCK_CLOEXEC == libc::SOCK_DGRAM && protocol == 0;
    machine().filter(|_| is_plain && process().is_booted())?;
    Some(given(process().socket(version, kind & libc::SOCK_CLOEXEC != 0)))
}

pub(crate) fn close(fd: c_int) -> Option<c_int> {
    process().owns(fd).then(|| given(process().close(fd)))
}

/// # Safety
/// `buffer` has `length` writable bytes.
pub(crate) unsafe fn read(fd: c_int, buffer: *mut u8, length: usize) -> isize {
    let call = Call::Read { fd, buffer: address(buffer), length: length as u64 };
    // SAFETY: as the caller promises.
    given(unsafe { process().call(call) })
}

/// # Safety
/// `buffer` has `length` readable bytes.
pub(crate) unsafe fn write(fd: c_int, buffer: *const u8, length: usize) -> isize {
    let call = Call::Write { fd, buffer: address(buffer), length: length as u64 };
    // SAFETY: as the caller promises.
    given(unsafe { process().call(call) })
}

/// # Safety
/// `slices` has `count` entries, each of a writable buffer.
pub(crate) unsafe fn readv(fd: c_int, slices: *const iovec, count: c_int) -> isize {
    // SAFETY: as the caller promises.
    given(unsafe { process().call(Call::Readv { fd, vector: address(slices), count }) })
}

/// # Safety
/// `slices` has `count` entries, each of a readable buffer.
pub(crate) unsafe fn writev(fd: c_int, slices: *const iovec, count: c_int) -> isize {
    // SAFETY: as the caller promises.
    given(unsafe { process().call(Call::Writev { fd, vector: address(slices), count }) })
}

/// None if the request is the host's: on sockets, all but what makes another descriptor.
pub(crate) fn fcntl(fd: c_int, request: c_int, argument: c_long) -> Option<c_int> {
    let duplicates = matches!(request, 0 | 37);
    (owns(fd) || process().owns(fd) && duplicates).then(|| given(process().fcntl(fd, request, argument)))
}

pub(crate) fn dup(fd: c_int) -> Option<c_int> {
    process().owns(fd).then(|| given(process().duplicate(fd, 0, false)))
}

pub(crate) fn dup_to(fd: c_int, to: c_int, close_on_exec: bool) -> Option<c_int> {
    let concerned = process().owns(fd) || process().owns(to);
    concerned.then(|| given(process().duplicate_onto(fd, to, close_on_exec)))
}

/// None if the request is the host's.
///
/// # Safety
/// `argument` is what the request says.
pub(crate) unsafe fn ioctl(fd: c_int, request: c_int, argument: *mut c_void) -> Option<c_int> {
    let [_, group, ..] = request.to_le_bytes();
    let about_interfaces = INTERFACE_GROUPS.contains(&group);
    if !owns(fd) && !about_interfaces {
        return None;
    }
    if !process().owns(fd) {
        // SAFETY: as the caller promises.
        return unsafe { ask_for(fd, request, argument) };
    }
    // SAFETY: as the caller promises.
    Some(given(unsafe { model_ioctl(fd, request, argument) }))
}

/// # Safety
/// `argument` is what the request says.
unsafe fn model_ioctl(fd: c_int, request: c_int, argument: *mut c_void) -> Answer {
    let call = Call::Ioctl { fd, request: request.cast_unsigned(), argument: address(argument) };
    // SAFETY: as the caller promises.
    unsafe { process().call(call) }
}

/// Asks about interfaces for a socket that was made before the machine was booted: by a socket of the machine.
///
/// # Safety
/// `argument` is what the request says.
unsafe fn ask_for(fd: c_int, request: c_int, argument: *mut c_void) -> Option<c_int> {
    let (mut family, mut length) = (0, 4);
    // SAFETY: room for a number on this stack, with its length.
    let known = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, (&raw mut family).cast(), &raw mut length)
    };
    if known != 0 {
        return None;
    }
    boot();
    let stand_in = socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)?;
    // SAFETY: as the caller promises.
    let answer = unsafe { model_ioctl(stand_in, request, argument) };
    close(stand_in);
    Some(given(answer))
}

/// The number of an interface of the machine, asked for as libsocket does: by a socket of the interface's family.
pub(crate) fn interface_index(name: &CStr) -> Option<u32> {
    let name = name.to_str().ok()?;
    let states = machine().filter(|_| process().is_booted())?.kernel(|kernel| kernel.interface_states());
    let found = states.into_iter().find(|state| state.name == name)?;
    let mut request = [0_u8; LIFREQ_LEN];
    request.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    let family = if found.family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
    let fd = socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)?;
    // SAFETY: a `struct lifreq` of this stack, which is what the request takes.
    let answer = unsafe { model_ioctl(fd, SIOCGLIFINDEX, request.as_mut_ptr().cast()) };
    close(fd);
    let index = request[LIFR_INDEX..][..4].try_into().map(u32::from_ne_bytes);
    answer.ok().and(index.ok())
}

/// None if no descriptor is the model's.
pub(crate) fn poll(fds: &mut [pollfd], timeout: c_int) -> Option<c_int> {
    if !fds.iter().any(|entry| process().owns(entry.fd)) {
        return None;
    }
    let asked: Vec<_> = fds.iter().map(|entry| entry.events).collect();
    for entry in fds.iter_mut().filter(|entry| !process().owns(entry.fd)) {
        entry.events = host_events(entry.events);
    }
    let answer = process().poll(fds, timeout);
    for (entry, events) in fds.iter_mut().zip(asked) {
        entry.events = events;
        if !process().owns(entry.fd) {
            entry.revents = illumos_events(entry.revents);
        }
    }
    Some(given(answer))
}

/// What only streams have: the host has no such call, and its descriptors are no streams.
///
/// # Safety
/// `control` and `data` are null or the program's `struct strbuf`, `flags` is its number.
#[unsafe(export_name = "illumos_getmsg")]
unsafe extern "C" fn getmsg(fd: c_int, control: *mut c_void, data: *mut c_void, flags: *mut c_int) -> c_int {
    let call = Call::Getmsg { fd, control: address(control), data: address(data), flags: address(flags) };
    // SAFETY: as the caller promises.
    or_no_stream(fd, || unsafe { process().call(call) })
}

/// # Safety
/// `control` and `data` are null or the program's `struct strbuf`.
#[unsafe(export_name = "illumos_putmsg")]
unsafe extern "C" fn putmsg(fd: c_int, control: *const c_void, data: *const c_void, flags: c_int) -> c_int {
    let call = Call::Putmsg { fd, control: address(control), data: address(data), flags };
    // SAFETY: as the caller promises.
    or_no_stream(fd, || unsafe { process().call(call) })
}

fn or_no_stream(fd: c_int, work: impl FnOnce() -> Answer) -> c_int {
    const ENOSTR: c_int = 60;
    match isastream(fd) {
        0 => errno::fail(ENOSTR),
        1 => given(work()),
        failed => failed,
    }
}

#[unsafe(export_name = "illumos_isastream")]
extern "C" fn isastream(fd: c_int) -> c_int {
    if owns(fd) {
        return 1;
    }
    // SAFETY: takes numbers; asks whether the descriptor is one at all.
    errno::errno(unsafe { libc::fcntl(fd, libc::F_GETFD) }).min(0)
}

/// At the program's end: writes down what was asked of the machine, and makes known what went wrong inside.
pub(crate) fn end() {
    let Some(machine) = machine().filter(|_| process().is_booted()) else {
        return;
    };
    if let Some(path) = env::var_os(TRACE) {
        let lines = machine.trace_lines().into_iter().map(|line| line + "\n").collect::<String>();
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(lines.as_bytes())) {
            unknown("a trace file that cannot be written:", error);
        }
    }
    if let Some(failure) = machine.failure() {
        eprintln!("\nillumos shim: the model kernel failed: {failure}");
        // SAFETY: takes a number.
        unsafe { libc::_exit(STATUS) }
    }
}

//! The machine, the program and the clocks: `unistd.h`, `sys/utsname.h`, `sys/pset.h`, `stdlib.h`, `time.h`, `sys/time_impl.h`.
//! `struct timespec` and `struct timeval` agree.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{EINVAL, errno, fail, number};
use crate::translate::Numbers;
use crate::unknown::unknown;
use libc::{clockid_t, timespec, timeval};
use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// `sys/unistd.h`: limits that are the machine's.
const LIMITS: Numbers = Numbers {
    what: "sysconf name",
    pairs: &[
        (1, libc::_SC_ARG_MAX),
        (2, libc::_SC_CHILD_MAX),
        (3, libc::_SC_CLK_TCK),
        (4, libc::_SC_NGROUPS_MAX),
        (5, libc::_SC_OPEN_MAX),
        (11, libc::_SC_PAGESIZE),
        (14, libc::_SC_NPROCESSORS_CONF),
        (15, libc::_SC_NPROCESSORS_ONLN),
        (500, libc::_SC_PHYS_PAGES),
        (501, libc::_SC_AVPHYS_PAGES),
        (735, libc::_SC_HOST_NAME_MAX),
    ],
};
/// `sys/unistd.h`: limits that are the system's.
const SYSTEM_LIMITS: [(c_int, c_long); 3] = [(569, 1024), (570, 1024), (573, 8192)];
const SC_IOV_MAX: c_int = 77;
/// `limits.h`. POSIX promises 16, which older systems have: the variable lets a program meet one of these.
const IOV_MAX: c_long = 1024;
const IOV_MAX_VARIABLE: &str = "ILLUMOS_IOV_MAX";
/// `sys/pset.h`, and the only processor set there is.
const PS_MYID: c_int = -3;
const PS_NONE: c_int = -1;

forward! { errno:
    fn gethostname(name: *mut c_char, length: usize) -> c_int;
}

/// The most slices readv and writev take.
pub(crate) fn iov_max() -> c_int {
    static LIMIT: OnceLock<c_int> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let given = std::env::var(IOV_MAX_VARIABLE).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(c_int::try_from(IOV_MAX).unwrap_or(c_int::MAX))
    })
}

#[unsafe(export_name = "illumos_sysconf")]
pub(crate) extern "C" fn sysconf(name: c_int) -> c_long {
    if name == SC_IOV_MAX {
        return c_long::from(iov_max());
    }
    if let Some(&(_, value)) = SYSTEM_LIMITS.iter().find(|pair| pair.0 == name) {
        return value;
    }
    // SAFETY: takes a number.
    errno(unsafe { libc::sysconf(LIMITS.to_host(name)) })
}

#[unsafe(export_name = "illumos__sysconf")]
extern "C" fn private_sysconf(name: c_int) -> c_long {
    sysconf(name)
}

#[unsafe(export_name = "illumos_getpagesize")]
extern "C" fn getpagesize() -> c_int {
    // SAFETY: takes a number.
    c_int::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// `struct utsname` of `sys/utsname.h`: each member has SYS_NMLN bytes.
#[repr(C)]
struct Names {
    members: [[u8; 257]; 5],
}

#[unsafe(export_name = "illumos_uname")]
unsafe extern "C" fn uname(names: *mut Names) -> c_int {
    let mut filled = Names { members: [[0; 257]; 5] };
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    for (member, text) in
        filled.members.iter_mut().zip(["SunOS", host.trim_end(), "5.11", "illumos", "i86pc"])
    {
        let length = text.len().min(256);
        member[..length].copy_from_slice(&text.as_bytes()[..length]);
    }
    // SAFETY: the caller's structure, writable, perhaps uninitialised.
    unsafe { names.write(filled) };
    // uname(2): not negative
    0
}

#[unsafe(export_name = "illumos_pset_info")]
unsafe extern "C" fn pset_info(set: c_int, kind: *mut c_int, count: *mut u32, list: *mut c_int) -> c_int {
    if !matches!(set, PS_NONE | PS_MYID) {
        return fail(EINVAL);
    }
    if !list.is_null() {
        unknown("pset_info", "with a list of processors");
    }
    // SAFETY: null or the caller's place.
    if let Some(kind) = unsafe { kind.as_mut() } {
        *kind = 0;
    }
    // SAFETY: null or the caller's place.
    if let Some(count) = unsafe { count.as_mut() } {
        // SAFETY: takes a number.
        *count = u32::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1);
    }
    0
}

/// The mapping the program's own headers lie in. The process runs the host's loader, so /proc/self/exe is that.
fn program() -> Option<PathBuf> {
    // SAFETY: takes a number.
    let headers = usize::try_from(unsafe { libc::getauxval(libc::AT_PHDR) }).ok()?;
    fs::read_to_string("/proc/self/maps").ok()?.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (low, high) = range.split_once('-')?;
        let low = usize::from_str_radix(low, 16).ok()?;
        let high = usize::from_str_radix(high, 16).ok()?;
        let path = &rest[rest.find('/')?..];
        (low..high).contains(&headers).then(|| PathBuf::from(path))
    })
}

pub(crate) fn program_name() -> &'static CString {
    static NAME: OnceLock<CString> = OnceLock::new();
    NAME.get_or_init(|| {
        let path = program().unwrap_or_default();
        CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
    })
}

#[unsafe(export_name = "illumos_getexecname")]
extern "C" fn getexecname() -> *const c_char {
    program_name().as_ptr()
}

fn random(buffer: *mut c_void, length: usize) -> isize {
    // SAFETY: called with a buffer of `length` writable bytes only.
    errno(unsafe { libc::getrandom(buffer, length, 0) })
}

#[unsafe(export_name = "illumos_arc4random_buf")]
unsafe extern "C" fn arc4random_buf(buffer: *mut c_void, length: usize) {
    let mut done = 0;
    while done < length {
        // SAFETY: inside the caller's buffer.
        let rest = unsafe { buffer.add(done) };
        done += usize::try_from(random(rest, length - done)).unwrap_or(0);
    }
}

#[unsafe(export_name = "illumos_arc4random")]
extern "C" fn arc4random() -> u32 {
    let mut number = 0_u32;
    // SAFETY: four bytes of this stack.
    unsafe { arc4random_buf((&raw mut number).cast(), size_of::<u32>()) };
    number
}

/// `sys/random.h`: GRND_RANDOM and GRND_NONBLOCK change nothing here.
#[unsafe(export_name = "illumos_getrandom")]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, _flags: u32) -> isize {
    random(buffer, length)
}

#[unsafe(export_name = "illumos_getentropy")]
unsafe extern "C" fn getentropy(buffer: *mut c_void, length: usize) -> c_int {
    // SAFETY: the caller's buffer of `length` writable bytes.
    errno(unsafe { libc::getentropy(buffer, length) })
}

/// `sys/time_impl.h`.
const CLOCKS: Numbers = Numbers {
    what: "clock",
    pairs: &[
        (3, libc::CLOCK_REALTIME),
        (0, libc::CLOCK_REALTIME), // its old number
        (4, libc::CLOCK_MONOTONIC),
        (2, libc::CLOCK_THREAD_CPUTIME_ID),
        (5, libc::CLOCK_PROCESS_CPUTIME_ID),
    ],
};

forward! { errno:
    fn nanosleep(time: *const timespec, rest: *mut timespec) -> c_int;
}

forward! { same:
    fn time(out: *mut i64) -> i64;
    fn sched_yield() -> c_int;
    fn sleep(seconds: u32) -> u32;
    fn usleep(microseconds: u32) -> c_int;
    fn alarm(seconds: u32) -> u32;
}

pub(crate) fn host_clock(illumos: c_int) -> clockid_t {
    CLOCKS.to_host(illumos)
}

#[unsafe(export_name = "illumos_clock_gettime")]
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut timespec) -> c_int {
    // SAFETY: the caller's place for a time.
    errno(unsafe { libc::clock_gettime(host_clock(clock), time) })
}

#[unsafe(export_name = "illumos_clock_getres")]
unsafe extern "C" fn clock_getres(clock: c_int, time: *mut timespec) -> c_int {
    // SAFETY: null or the caller's place for a time.
    errno(unsafe { libc::clock_getres(host_clock(clock), time) })
}

/// `sys/time_impl.h`: TIMER_ABSTIME is 1 on both sides.
#[unsafe(export_name = "illumos_clock_nanosleep")]
unsafe extern "C" fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    time: *const timespec,
    rest: *mut timespec,
) -> c_int {
    // SAFETY: the caller's time, and null or a place for the rest of it.
    number(unsafe { libc::clock_nanosleep(host_clock(clock), flags, time, rest) })
}

#[unsafe(export_name = "illumos_gettimeofday")]
unsafe extern "C" fn gettimeofday(time: *mut timeval, _zone: *mut c_void) -> c_int {
    // SAFETY: the caller's place for a time; no time zone is asked for.
    errno(unsafe { libc::gettimeofday(time, std::ptr::null_mut()) })
}

//! A model of the part of the illumos kernel that puts a TAP device under IP: STREAMS, the tuntap driver, the ip and
//! arp modules, the links below `/dev/udp`, and the interface requests; and of the part that gives a program an existing
//! data link: `/dev/net/NAME`, DLPI, bufmod, vnics and their switch.
//!
//! It is as strict as the real thing and says so: what would panic a real machine, or take its network away, panics the
//! model with the reason. It knows nothing of the code it tests.
//!
//! # Layers
//!
//! 1. [`Kernel`]: pure state. [`Kernel::call`] takes a raw system call ([`Call`]) with illumos numbers, copies bytes in
//!    and out of the caller's [`Memory`], and says how the call ended ([`Outcome`]).
//! 2. [`Process`]: one process around a kernel, with real pointers, real descriptors behind the model's, and threads.
//! 3. [`interpose!`]: the host's `open`, `ioctl`, `read`, ... of a test binary, led to the process while a [`Machine`]
//!    is booted.
//!
//! ```
//! use streams_model::{Arena, Call, Kernel, Outcome, Place, abi};
//!
//! let mut kernel = Kernel::new();
//! let mut memory = Arena::new();
//! let path = memory.put_string("/dev/tap");
//! let open = Call::Open { path, flags: abi::O_RDWR | abi::O_CLOEXEC, place: Place::Lowest(0) };
//! assert_eq!(kernel.call(&mut memory, open), Outcome::Done(3));
//! assert_eq!(kernel.trace()[0].to_string(), "open(\"/dev/tap\", O_RDWR|O_CLOEXEC) = 3");
//! ```

pub mod abi;
pub mod call;
pub mod fault;
pub mod image;
pub mod memory;

mod kernel;
mod machine;
mod process;

pub mod interpose;

pub use abi::Errno;
pub use call::{Call, Hang, Outcome, Place, Record, Suspicion, Ticket};
pub use fault::{Fault, Moment, Predicate, Trouble, When};
pub use image::{Lifreq, Strbuf, Strioctl};
pub use kernel::datalink::{DatalinkState, LinkClass, Mac, Offload, Offloads};
pub use kernel::interface::Family;
pub use kernel::stream::{Driver, Message, MessageKind, Module, ReadMode};
pub use kernel::{
    DEFAULT_MAC, InterfaceState, Kernel, LinkState, Privileges, Service, Snapshot, Traffic, Tuntap,
};
pub use machine::Machine;
pub use memory::{Arena, HostMemory, Memory};
pub use process::{Answer, Process, process};

/// Defines `open`, `close`, `ioctl`, `read`, ... of the C library in the calling test binary, led to the model.
///
/// Invoke it once, at the top level of the test's crate root. The linker prefers these to the C library's, for the calls
/// of the standard library as well.
#[macro_export]
macro_rules! interpose {
    () => {
        #[allow(unsafe_code, unreachable_pub, missing_docs, clippy::missing_safety_doc)]
        mod interposed_functions {
            use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

            use $crate::interpose as model;

            const AT_FDCWD: c_int = -100;

            $crate::interpose! { @define
                fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int
                    => model::openat(AT_FDCWD, path, flags, mode);
                fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int
                    => model::openat(AT_FDCWD, path, flags, mode);
                fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int
                    => model::openat(directory, path, flags, mode);
                fn openat64(directory: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int
                    => model::openat(directory, path, flags, mode);
                fn fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int => model::fcntl(fd, command, argument);
                fn fcntl64(fd: c_int, command: c_int, argument: c_ulong) -> c_int => model::fcntl(fd, command, argument);
                fn fstat(fd: c_int, status: *mut c_void) -> c_int => model::fstat(fd, status.cast());
                fn fstat64(fd: c_int, status: *mut c_void) -> c_int => model::fstat(fd, status.cast());
                fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int
                    => model::ioctl(fd, request, argument);
                fn read(fd: c_int, buffer: *mut c_void, length: usize) -> isize => model::read(fd, buffer, length);
                fn write(fd: c_int, buffer: *const c_void, length: usize) -> isize => model::write(fd, buffer, length);
                fn readv(fd: c_int, vector: *const c_void, count: c_int) -> isize
                    => model::readv(fd, vector.cast(), count);
                fn writev(fd: c_int, vector: *const c_void, count: c_int) -> isize
                    => model::writev(fd, vector.cast(), count);
                fn poll(fds: *mut c_void, count: c_ulong, timeout: c_int) -> c_int
                    => model::poll(fds.cast(), count, timeout);
                fn getmsg(fd: c_int, control: *mut c_void, data: *mut c_void, flags: *mut c_int) -> c_int
                    => model::getmsg(fd, control, data, flags);
                fn putmsg(fd: c_int, control: *const c_void, data: *const c_void, flags: c_int) -> c_int
                    => model::putmsg(fd, control, data, flags);
            }

            $crate::interpose! { @define_safe
                fn close(fd: c_int) -> c_int;
                fn dup(fd: c_int) -> c_int;
                fn dup2(fd: c_int, onto: c_int) -> c_int;
                fn dup3(fd: c_int, onto: c_int, flags: c_int) -> c_int;
                fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
            }
        }
    };
    (@define $(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty => $call:expr;)*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $kind),*) -> $result {
            // SAFETY: the arguments are those of a call to the C function of this name, whose rules are the same.
            unsafe { $call }
        }
    )* };
    (@define_safe $(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => { $(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $kind),*) -> $result {
            model::$name($($argument),*)
        }
    )* };
}

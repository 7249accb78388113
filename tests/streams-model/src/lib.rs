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

#[path = "interpose/define.rs"]
mod define;
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

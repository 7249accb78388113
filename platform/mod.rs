//! Device attach. Everything that differs between operating systems is behind `sys`, which each system provides with the
//! same names.
//!
//! `Interface` is one queue of an attached interface. It owns the frames' descriptor, whose number stays the same for its
//! whole life, and whatever else holds the interface together. Dropping it undoes the attach in reverse. Its methods:
//!
//! | method | does |
//! |---|---|
//! | `attach(name, &Config, queues) -> Result<Vec<Self>, AttachError>` | makes or opens the interface, and applies the settings of the configuration |
//! | `attach_datalink(name, &Config) -> Result<Self, AttachError>` | opens an existing data link |
//! | `adopt(OwnedFd, &Config) -> Result<Self, AdoptError>` | says what a foreign character device is, and prepares it; it is open for reading and writing, non-blocking and close-on-exec already |
//! | `socket(OwnedFd, Kind, Offload) -> Self` | takes a datagram socket whose peer stands at the other end of the cable; it has no interface to ask |
//! | `reattach(&self, &Config) -> Result<(bool, Offload), AttachError>` | binds the interface again after its removal: `true` when a poller must register the descriptor anew, and the offloads granted |
//! | `is_lost(&self) -> bool` | tells whether a `reattach` has failed after the interface was undone |
//! | `detach(self) -> Result<(), DetachError>` | does what a drop does, and tells what failed |
//! | `as_fd(&self)`, `into_fd(self) -> Result<OwnedFd, Self>` | lend the descriptor; give it out where it is all there is |
//! | `kind(&self) -> Kind`, `offload(&self) -> Offload`, `host_can(&self) -> HostCan`, `limits(&self) -> FrameLimits`, `created(&self) -> bool` | what the descriptor is; what was granted at the attach; what the host cuts; the frames that it takes; whether the attach made the interface |
//! | `station(&self) -> Option<[u8; 6]>` | the guest's address, where the descriptor also delivers frames for others, and frames to groups with unfinished checksums |
//! | `clear_way(&self, errno) -> bool` | takes from the descriptor a message that a read cannot pass, if the errno of a read says that there is one |
//! | `news_fd(&self) -> Option<BorrowedFd>`, `take_news(&self) -> io::Result<Option<bool>>` | a descriptor that is readable when MTU, address or carrier have changed; takes what it tells, and says the carrier's state where that was told |
//! | `set_offload(&self, Offload) -> io::Result<Offload>` | changes the offloads, and says what was granted |
//! | `set_header_len(&self, usize) -> io::Result<()>` | changes the length of the header, where there is one |
//! | `add_queues(&self, u16) -> Result<Vec<Self>, AttachError>`, `persist(&self, Owner) -> Result<(), AttachError>` | opens more queues; makes the interface outlive its descriptors |
//! | `set_queue_enabled(&self, bool) -> io::Result<()>` | attaches or detaches one queue of several |
//! | `name`, `index`, `addresses`, `queue_length`, `set_queue_length`, `mtu`, `set_mtu`, `hardware_address`, `set_hardware_address`, `is_up`, `set_up`, `set_address`, `set_carrier`, `dropped_by_host` | what a `Tap` asks of its interface, each time anew, since an interface can be renamed |
//! | `is_removed(&self) -> bool` | tells whether the interface was removed, where neither read, write nor poll does |
//! | `name_of(BorrowedFd) -> io::Result<InterfaceName>` | the name of the interface behind a descriptor that is not adopted yet |
//!
//! Beside it stand:
//!
//! - `check_name(&str)`, `check_datalink_name(&str)`: the system's rules for names, asked before any call;
//! - `remedy_of_setting(Setting, &io::Error)`: what an administrator can do about a setting that was refused; may be empty;
//! - `read_fault(errno)`, `write_fault(errno)`: what an errno of a device means; those of sockets are the same everywhere
//!   (`Kind`). Nothing else decides that.
//!
//! What the frames' descriptor promises the engine: it is non-blocking and close-on-exec. One read takes exactly one frame
//! and one write puts exactly one. With `offload.header_len` a virtio-net header of that length precedes each. One spare byte
//! in the buffer shows that a frame was longer than expected.
//!
//! `frame_io::read(fd, slices)` and `frame_io::write(fd, slices)` move one frame by one system call; an errno comes as it is.
//!
//! This folder imports `src/attach`, `src/memory` and `src/wire` alone.

mod tap;

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        mod linux;
        use linux as sys;
    } else if #[cfg(any(target_os = "illumos", target_os = "solaris"))] {
        mod illumos;
        use illumos as sys;
    } else {
        mod elsewhere;
        use elsewhere as sys;
    }
}

// On Linux a frame's system call is made in line, where the processor is known. Elsewhere the C library makes the call. It
// also does so wherever something stands before the C library: a model of the kernel, Miri, a sanitizer. The same holds in a
// build for SVE. Linux clears the upper parts of the SVE registers in each system call, and nobody can tell that to a
// compiler.
cfg_if::cfg_if! {
    if #[cfg(all(
        target_os = "linux",
        target_pointer_width = "64",
        any(target_arch = "x86_64", all(target_arch = "aarch64", not(target_feature = "sve"))),
        not(any(tap_plumb_libc, miri))
    ))] {
        #[path = "linux/frame_io.rs"]
        pub(crate) mod frame_io;
    } else {
        #[path = "posix.rs"]
        pub(crate) mod frame_io;
    }
}

pub use tap::Tap;
pub(crate) use tap::{FrameLimits, HostCan, ReadFault, Tags, WriteFault, is_refusal};

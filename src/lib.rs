//! The host's side of a guest's network card: attaches a TAP device and moves Ethernet frames between it and a
//! hypervisor's network device.
//!
//! On illumos (OmniOS, OpenIndiana) and Solaris the TAP is plumbed by STREAMS (`/dev/tap`, `/dev/udp`, `I_LINK`). On Linux it
//! comes from `/dev/net/tun`. On any other Unix it is a descriptor that somebody else opened. The engine behind it is the same.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | **transmit**, **receive** | always from the guest's side: transmit goes to the host, receive comes from it |
//! | **frame** | one Ethernet frame, header to end of payload, without FCS |
//! | **segment** | one output of cutting an oversized frame ([`Gso`]); a **slice** is one part of a scattered frame |
//! | **frontend**, **backend** | the guest-facing device, and the host's side of it: [`Frontend`], [`Backend`] |
//! | **attach**, **detach** | make the device usable, and undo it: [`Config::attach`], [`Tap::detach`] or a drop |
//! | **plumb** | illumos: build IP over a device; **ppa** is the device's instance number, **muxid** the id of a linked stream |
//! | **link state**, **carrier** | the guest's virtual cable, and the signal the host sees on the TAP |
//! | **offload** | work the host does for the guest: checksums and segmentation ([`Offload`]) |
//! | **setup**, **terminate program** | programs of the administrator's that run at the attach and at the detach |
//!
//! # Life cycle
//!
//! 1. [`Config`] says what to attach; [`Config::attach`] gives a [`Tap`], or an error that names the step, its object and
//!    the remedy. [`Tap::from_fd`] adopts an inherited descriptor instead.
//! 2. [`Backend::new`] takes the TAP into service. Everything from here works on `&self`, from any thread.
//! 3. Frames move; see the two ways below.
//! 4. [`Threads::stop`], where there are threads; then [`Backend::into_tap`] and [`Tap::detach`], or just drop them.
//!
//! # With an event loop of your own
//!
//! Poll the backend's descriptor, lend the backend the guest's memory, and act on the outcomes listed at [`Backend`]. There is
//! no thread, no allocation and no copy; one frame is one system call. A page of the guide shows [loops with
//! pollers](guide::event_loops).
//!
//! A virtio device lends its buffers as the driver lists them, the virtio-net header first:
//!
//! ```no_run
//! use std::io::{IoSlice, IoSliceMut};
//! use tap_plumb::{Backend, Config, Offload};
//!
//! let backend = Backend::new(Config::new().name("tap3").offload(Offload::ALL).attach()?);
//! let mut buffer = vec![0; 12 + backend.receive_buffer_len()];
//! // When the descriptor is readable:
//! while let Some(bytes) = backend.receive_with_header(&mut [IoSliceMut::new(&mut buffer)])? {
//!     // buffer[..bytes] is the guest's, header and frame
//!     # let _ = bytes;
//! }
//! // When the guest has frames:
//! if let Some(mut session) = backend.begin_transmit() {
//!     session.send_with_header(&[IoSlice::new(&buffer[..72])], 12)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For guest memory that must not become a Rust reference there are methods such as [`Backend::receive_raw_with_header`]. A
//! device without such headers uses bare frames: [`Backend::receive`], and [`Session::send`] of a [`Frame`].
//!
//! The [guide] shows more: [porting a hypervisor](guide::porting), [event loops](guide::event_loops), [sandboxes and
//! jails](guide::sandboxes), [illumos and Solaris](guide::illumos). `examples/vhost-user-net` is a whole device, for QEMU and
//! other vhost-user clients.
//!
//! # With a device that the crate's threads call
//!
//! Implement [`Frontend`], and let [`Threads`] call it. The receive thread waits for guest buffers before it reads the next
//! frame. The transmit thread calls back when a session that was refused is available. Suspend, resume, reset and stop are
//! calls that are legal in every state.
//!
//! # System calls
//!
//! The crate makes one system call for each frame, or for each segment where it cuts the frame. The call is read, readv, write
//! or writev, and no other, whatever the outcome. On Linux on x86-64 and aarch64 the instruction of the call is inlined into the
//! caller's loop; elsewhere the crate calls the C library. A build with `RUSTFLAGS=--cfg=tap_plumb_libc` calls it everywhere, for
//! sanitizers and for tests that put functions of their own in place of the C library's.
//!
//! # Log
//!
//! The crate logs by the `log` crate: attach, detach, link and removal at info and debug. It logs the standard error of a setup or
//! terminate program at info, or at warn when the program failed. It logs each frame at trace, with the time since the last one
//! and a hex dump, under the target `tap_plumb::frame`.

mod threads;

mod backend;

#[path = "../platform/mod.rs"]
mod platform;

mod attach;

mod segmentation;

mod memory;

mod wire;

pub use attach::{AdoptError, AttachError, Config, DetachError, InterfaceName, ProgramError};
pub use backend::{
    Backend, LinkState, OwnedTransmitter, ReceiveError, ReceiveStatistics, Received, Session, Statistics,
    TransmitBuffer, TransmitError, TransmitStatistics, Transmitter,
};
pub use memory::RawSlice;
pub use platform::Tap;
#[doc(hidden)]
pub use segmentation::Completion;
pub use segmentation::{CarveError, Frame};
pub use threads::{Frontend, Refused, Resume, Threads, ThreadsError, Wait};
pub use wire::{Checksum, Gso, GsoKind, Offload, RejectReason, internet_checksum};

#[cfg(any(doc, doctest))]
#[doc = include_str!("guide/index.md")]
pub mod guide {
    #[doc = include_str!("guide/porting.md")]
    pub mod porting {}

    #[doc(alias = "epoll", alias = "tokio", alias = "mio")]
    #[doc = include_str!("guide/event-loops.md")]
    pub mod event_loops {}

    #[doc(alias = "seccomp", alias = "jail", alias = "chroot")]
    #[doc = include_str!("guide/sandboxes.md")]
    pub mod sandboxes {}

    #[doc(alias = "OmniOS", alias = "Solaris", alias = "vnic", alias = "viona", alias = "zone")]
    #[doc = include_str!("guide/illumos.md")]
    pub mod illumos {}
}

/// Compiles what README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Device attach. Everything that differs between operating systems is behind `sys`, which each system provides with
//! the same names:
//!
//! - `Plumbing`: owns what holds the interface together besides the frames' descriptor; dropping it undoes that part of
//!   the attach, `undo` does the same and tells what failed; `is_needed` says whether the interface depends on it,
//!   `is_lost` that a `rebind` has failed after the interface was undone.
//! - `attach(name, &Config, queues) -> Result<Vec<Attached>, AttachError>`: makes or opens the interface.
//! - `adopt(OwnedFd, &Offload) -> Result<Attached, AdoptError>`: says what a foreign descriptor is, and prepares it.
//!   Only character devices get here, open for reading and writing, non-blocking and close-on-exec already.
//! - `rebind(fd, &mut plumbing, &Config, multi_queue) -> Result<(bool, Offload), AttachError>`: binds the descriptor of a
//!   removed interface again; `true` when a poller must register it anew; and the offloads granted.
//! - `set_offload(fd, plumbing, Offload) -> io::Result<Offload>`: changes the offloads and says what was granted.
//! - `set_queue_enabled(fd, bool) -> io::Result<()>`: attaches or detaches one queue of several.
//! - `check_name(&str)`: the system's rule for names, asked before any call.
//! - `name`, `mtu`, `set_mtu`, `hardware_address`, `set_hardware_address`, `is_up`, `set_up`, `set_address`, `set_carrier`,
//!   `dropped_by_host`: what a `Tap` asks of its interface, each time anew, since an interface can be renamed. Each
//!   takes the descriptor and the plumbing, and uses what its system needs.
//! - `read_frame(fd, slices)`, `write_frame(fd, slices)`: one frame by one system call; an errno as it came.
//! - `read_fault`, `write_fault`: what an errno of the frames' descriptor means. The only place where that is decided.
//!
//! What an attached descriptor promises the engine: it is non-blocking and close-on-exec; one read takes exactly one
//! frame and one write puts exactly one; with `offload.header_len` a virtio-net header of that length precedes each; a
//! frame longer than the buffer can be told by one spare byte.

mod attach;
mod child;
mod fault;
mod granted;
mod inherited;
mod number;
mod settings;
mod tap;

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        mod linux;
        use linux as sys;
    } else if #[cfg(any(target_os = "illumos", target_os = "solaris"))] {
        mod illumos;
        mod posix;
        use illumos as sys;
    } else {
        mod elsewhere;
        mod posix;
        use elsewhere as sys;
    }
}

pub(crate) use attach::attach;
pub(crate) use child::inherit_standard_streams_only;
pub(crate) use fault::{ReadFault, WriteFault};
pub(crate) use number::duplicate;
pub(crate) use sys::{check_name, read_fault, read_frame, write_fault, write_frame};
pub(crate) use tap::FrameLimits;
pub use tap::Tap;

//! illumos' C library on top of the host's.
//!
//! An illumos program calls `open` of illumos' `libc.so.1`. The libraries made by `libraries.py` turn that into a jump
//! to `illumos_open` here, which takes illumos' numbers and layouts, calls the host's C library, and gives its answer
//! back in illumos' numbers and layouts. What the host's kernel does not have at all (STREAMS devices, IP interfaces)
//! is answered by the model kernel of `tests/streams-model`.
//!
//! # Where the numbers come from
//!
//! illumos' side: its headers (`sys/errno.h`, `sys/fcntl.h` and so on, named in each module), written down here a
//! second time on purpose. The program under test takes them from the `libc` crate or from its own declarations; a
//! number that both had from one place would be wrong in both and no test would fail. The host's side is the `libc`
//! crate's.
//!
//! # What is not known stops
//!
//! A function, flag, option or request that the shim does not know ends the process with status 99 and its name
//! ([`unknown`]), never with a guess.

#[macro_use]
mod forward;

mod datagram;
mod delivery;
mod errno;
mod exec;
mod file;
mod handle;
mod loader;
mod math;
mod memory;
mod message;
mod mutex;
mod netdb;
mod path;
mod poll;
mod process;
mod signal;
mod signal_set;
mod socket;
mod socket_address;
mod solaris;
mod spawn;
mod stat;
mod streams;
mod system;
mod thread;
mod translate;
mod unknown;

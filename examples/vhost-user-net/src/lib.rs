//! A vhost-user network device and QEMU's stream, each with a TAP of `tap_plumb` behind it.
//!
//! The frames' way: [`ring`] and [`chain`] turn what a guest offers into slices of its [`memory`], [`transmit`] and
//! [`receive`] give these to the kernel, [`pair`] drives both for one pair of queues on the thread of a [`worker`]. The
//! hypervisor's way: [`socket`] and [`server`] take its calls, [`session`] carries out each [`message`]. [`stream`] is
//! the other way to be connected.

pub mod arguments;
pub mod chain;
pub mod counts;
pub mod daemon;
pub mod event;
pub mod features;
pub mod framing;
pub mod gather;
pub mod interface;
mod lost;
pub mod memory;
pub mod message;
pub mod pair;
pub mod receive;
pub mod report;
pub mod revive;
pub mod ring;
pub mod server;
pub mod session;
pub mod signals;
pub mod socket;
pub mod stop;
pub mod stream;
pub mod transmit;
pub mod vring;
pub mod worker;

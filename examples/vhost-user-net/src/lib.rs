//! A vhost-user network device and QEMU's stream, each with a TAP of `tap_plumb` behind it.
//!
//! The frames' way: [`ring`] and [`chain`] turn what a guest offers into slices of its memory, [`transmit`] and
//! [`receive`] give these to the kernel, [`pair`] drives both for one pair of queues, [`device`] is what a hypervisor
//! negotiates with, and [`server`] takes the hypervisor's calls. [`stream`] is the other way to be connected.

pub mod arguments;
pub mod chain;
pub mod counts;
pub mod device;
pub mod event;
pub mod features;
pub mod framing;
pub mod gather;
pub mod interface;
pub mod pair;
pub mod receive;
pub mod relay;
pub mod report;
pub mod revive;
pub mod ring;
pub mod server;
pub mod signals;
pub mod stop;
pub mod stream;
pub mod transmit;

//! The engine on a real TAP.

#[path = "../../../engine/device.rs"]
mod device;

mod host;
pub(super) mod icmp;
pub(super) mod idle;
pub(super) mod link;
pub(super) mod loops;
pub(super) mod macvtap;
pub(super) mod offload;
pub(super) mod removal;
pub(super) mod sandbox;
pub(super) mod traffic;

use super::{host as host_side, process, seccomp};

//! Linux: `/dev/net/tun` and `TUNSETIFF`.
//!
//! Facts: `Documentation/networking/tuntap.rst`, `linux/if_tun.h` and `drivers/net/tun.c` of the kernel; netdevice(7).

mod adopt;
mod attach;
mod busy;
mod claim;
mod counters;
mod errno;
mod frame_call;
mod inspect;
mod interface;
mod ioctl;
mod name;
mod namespace;
mod node;
mod offload;
mod queue;
mod request;
mod state;

pub(crate) use adopt::adopt;
pub(crate) use attach::{attach, rebind};
pub(crate) use counters::dropped_by_host;
pub(crate) use errno::{read_fault, write_fault};
pub(crate) use frame_call::{read_frame, write_frame};
pub(crate) use interface::{
    hardware_address, is_up, mtu, name, set_address, set_carrier, set_hardware_address, set_mtu, set_up,
};
pub(crate) use name::check_name;
pub(crate) use offload::set_offload;
pub(crate) use queue::set_queue_enabled;

use super::tap::FrameLimits;
use crate::error::DetachError;

/// On Linux the descriptor is all there is.
#[derive(Debug)]
pub(crate) enum Plumbing {}

impl Plumbing {
    pub(crate) fn is_needed(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_lost(&self) -> bool {
        match *self {}
    }

    pub(crate) fn undo(self) -> Result<(), DetachError> {
        match self {}
    }
}

/// A frame needs its Ethernet header; the kernel knows no longest one, so the limit is the largest IP packet with an
/// Ethernet header and two VLAN tags.
const LIMITS: FrameLimits = FrameLimits { shortest: 14, longest: 65535 + 14 + 8 };

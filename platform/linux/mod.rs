//! Linux: `/dev/net/tun` and `TUNSETIFF`.
//!
//! Facts: `Documentation/networking/tuntap.rst`, `linux/if_tun.h` and `drivers/net/tun.c` of the kernel; netdevice(7).
//!
//! - `interface` is what the other folders see. `tun` makes or opens one, `claim` binds a descriptor to it, `adopt` takes
//!   one from somebody else; `bound` says what a descriptor is bound to.
//! - `datalink` opens a macvtap.
//! - `state` is what a TAP remembers (header, offloads, filters, carrier), `netdev` what any interface has (MTU, addresses, up).
//! - `ioctl` holds one safe wrapper a request; `rtnetlink` the questions that go by messages.
//! - `remedy` says what helps against an errno.

mod adopt;
mod bound;
mod claim;
mod datalink;
mod fault;
mod interface;
mod ioctl;
mod name;
mod netdev;
mod remedy;
mod rtnetlink;
mod state;
mod tun;

pub(crate) use datalink::check_name as check_datalink_name;
pub(crate) use fault::{read_fault, write_fault};
pub(crate) use interface::Interface;
pub(crate) use name::check_name;
pub(crate) use remedy::of_setting as remedy_of_setting;

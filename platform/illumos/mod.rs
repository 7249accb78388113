//! illumos and Solaris: STREAMS.
//!
//! The tap driver is kaizawa/tuntap, packaged by every illumos distribution as version 1.3.3, which lacks `TUNGETPPA`.
//! A stream of `/dev/tap` makes a device, whose number is its PPA; IP is plumbed over it from further streams, which are linked below `/dev/udp`. Facts: streamio(4I),
//! if_tcp(4P), dlpi(4P), ifconfig(8), and the sources of illumos (`uts/common/os/streamio.c`, `uts/common/inet/ip`,
//! `lib/libipadm/common/ipadm_if.c`) and of the driver (`tun.c`).
//!
//! - `kinds` is what the other folders see: a TAP's `interface`, or a `datalink` of the host; `adopt` takes either from
//!   somebody else.
//! - `plumb` is the sequence; `plumbing` what it leaves; `held` what a re-attach keeps of it; `mux_link` the guard of one link; `stale` what others left.
//! - `control` is the frames' stream; `dlpi` its MAC address, `answer` a driver's; `ip` what IP is asked about.
//! - `streams` is one safe wrapper a system call; `abi` numbers and layouts.

mod abi;
mod adopt;
mod answer;
mod control;
mod datalink;
mod dlpi;
mod fault;
mod held;
mod interface;
mod ip;
mod kinds;
mod mux_link;
mod name;
mod options;
mod plumb;
mod plumbing;
mod refusal;
mod stale;
mod streams;

pub(crate) use self::datalink::check_name as check_datalink_name;
pub(crate) use self::fault::{read_fault, write_fault};
pub(crate) use self::kinds::Interface;
pub(crate) use self::name::check_name;
pub(crate) use self::refusal::of_setting as remedy_of_setting;

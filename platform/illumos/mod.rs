//! illumos and Solaris: STREAMS.
//!
//! The tap driver is kaizawa/tuntap, packaged by every illumos distribution as version 1.3.3, which lacks TUNGETPPA. A stream of `/dev/tap` makes a device, whose
//! number is its PPA; IP is plumbed over it from further streams, which are linked below `/dev/udp`. Facts: streamio(4I),
//! if_tcp(4P), dlpi(4P), ifconfig(8), and the sources of illumos (`uts/common/os/streamio.c`, `uts/common/inet/ip`,
//! `lib/libipadm/common/ipadm_if.c`) and of the driver (`tun.c`).
//!
//! - `plumb` is the sequence; `plumbing` what it leaves; `mux_link` the guard of one link.
//! - `control` is the frames' stream; `dlpi` its MAC address; `interface` what IP is asked about.
//! - `streams` and `messages` are one safe wrapper a system call; `abi` numbers and layouts; `lifreq` one of the latter.

mod abi;
mod adopt;
mod control;
mod dlpi;
mod faults;
mod interface;
mod lifreq;
mod messages;
mod mux_link;
mod name;
mod options;
mod plumb;
mod plumbing;
mod rebind;
mod refusal;
mod settings;
mod stale;
mod streams;

use std::os::fd::OwnedFd;

use self::name::TapName;
use self::plumb::{Attempt, Muxes};
use super::tap::{Attached, FrameLimits};
use crate::config::Config;
use crate::error::AttachError;
use crate::offload::Offload;

pub(crate) use self::adopt::adopt;
pub(crate) use self::faults::{read_fault, write_fault};
pub(crate) use self::plumbing::Plumbing;
pub(crate) use self::rebind::rebind;
pub(crate) use self::settings::{
    dropped_by_host, hardware_address, is_up, mtu, name, set_address, set_carrier, set_hardware_address,
    set_mtu, set_offload, set_queue_enabled, set_up,
};
pub(crate) use super::posix::{read_frame, write_frame};

/// What the driver's queue takes: `tunminfo` of its `tun.c`. The stream head refuses anything else with `ERANGE`.
const LIMITS: FrameLimits = FrameLimits { shortest: 21, longest: 2048 };

/// Checks the rule for names, and that the PPA is one that the driver has.
pub(crate) fn check_name(name: &str) -> Result<(), AttachError> {
    TapName::parse(name).map(drop)
}

/// Makes a device, and plumbs IP over it unless somebody else is to do so.
pub(crate) fn attach(name: Option<&str>, config: &Config, queues: u16) -> Result<Vec<Attached>, AttachError> {
    let wanted = name.map(TapName::parse).transpose()?;
    options::check(config, wanted, queues)?;
    let (fd, plumbing) =
        if config.external_plumbing { bare(wanted, config)? } else { plumbed(wanted, config)? };
    Ok(vec![Attached { plumbing, fd, offload: Offload::NONE, limits: LIMITS, multi_queue: false }])
}

type Parts = (OwnedFd, Option<Plumbing>);

fn plumbed(wanted: Option<TapName>, config: &Config) -> Result<Parts, AttachError> {
    let muxes = Muxes::open(config)?;
    let (control, ppa) = control::open_device(wanted, config.busy_timeout)?;
    let attempt = Attempt::new(muxes, control);
    let (control, plumbing) = match wanted {
        Some(name) => attempt.plumb(name, config)?,
        None => attempt.plumb_any(ppa, config)?,
    };
    Ok((control, Some(plumbing)))
}

/// Makes the device alone. `ifconfig tap3 plumb` then finds it by its number.
fn bare(wanted: Option<TapName>, config: &Config) -> Result<Parts, AttachError> {
    let (control, ppa) = control::open_device(wanted, config.busy_timeout)?;
    if let Some(address) = config.hardware_address {
        dlpi::set_address(ppa, address)?;
    }
    Ok((control, Some(Plumbing::of_device(ppa)?)))
}

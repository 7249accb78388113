//! What a configuration cannot ask for here. Checked before anything is asked of the kernel.

use super::name::TapName;
use crate::attach::{AttachError, Config, Creation};

/// Why an address is none that a host can have.
pub(super) const NO_STATION_ADDRESS: &str = "it is all zero or multicast, not a unicast address";

pub(super) const PERSISTENT: &str = "a TAP that outlives its owner (persistent)";
pub(super) const QUEUE_LENGTH: &str = "setting the length of the queue";

/// Refuses what the system has not, and what contradicts itself.
pub(super) fn check(config: &Config, name: Option<TapName>, queues: u16) -> Result<(), AttachError> {
    if queues > 1 {
        return Err(AttachError::Unsupported { what: "more than one queue" });
    }
    if config.persistent.is_some() {
        return Err(AttachError::Unsupported { what: PERSISTENT });
    }
    if config.queue_length.is_some() {
        return Err(AttachError::Unsupported { what: QUEUE_LENGTH });
    }
    check_creation(config)?;
    check_addresses(config)?;
    check_external(config)?;
    check_device_name(config, name)
}

/// Whether one station can have the address.
pub(super) fn is_station_address(address: [u8; 6]) -> bool {
    address != [0; 6] && address[0] & 1 == 0
}

/// A device lives as long as its control stream, so no free one exists before an attach, and one in use is always refused.
/// The choice has one effect: a left-over IP interface makes an exclusive creation fail.
fn check_creation(config: &Config) -> Result<(), AttachError> {
    match config.creation {
        Creation::MustExist => {
            Err(AttachError::Unsupported { what: "attaching to a TAP that exists already (must_exist)" })
        }
        Creation::Exclusive if config.replace_stale => {
            Err(bad("replace_stale", "create_exclusive() fails on the interface that this would replace"))
        }
        _ => Ok(()),
    }
}

fn check_addresses(config: &Config) -> Result<(), AttachError> {
    if config.hardware_address.is_some_and(|address| !is_station_address(address)) {
        return Err(bad("hardware_address", NO_STATION_ADDRESS));
    }
    if config.hardware_address.is_some() && config.hardware_address == config.guest_address {
        return Err(bad(
            "hardware_address",
            "it is the guest's address, from which the driver drops frames: give the host another one",
        ));
    }
    Ok(())
}

/// The IP interface does not exist yet when somebody else is to plumb it.
fn check_external(config: &Config) -> Result<(), AttachError> {
    let of_interface = [
        (config.mtu.is_some(), "mtu"),
        (!config.addresses.is_empty(), "address"),
        (config.up, "up"),
        (config.replace_stale, "replace_stale"),
    ];
    match of_interface.iter().find(|(asked, _)| *asked && config.external_plumbing) {
        Some((_, option)) => {
            Err(bad(option, "with external_plumbing(), whoever plumbs the interface sets it"))
        }
        None => Ok(()),
    }
}

/// The system's tools find a device by the driver's name and the PPA. Under any other name there is nothing that they
/// could plumb, and an interface found there is none of theirs over a TAP.
fn check_device_name(config: &Config, name: Option<TapName>) -> Result<(), AttachError> {
    let option = match (config.external_plumbing, config.replace_stale) {
        (true, _) => "external_plumbing",
        (_, true) => "replace_stale",
        _ => return Ok(()),
    };
    match name {
        Some(name) if !name.is_device_name() => {
            Err(bad(option, "the interface must be named tap and its PPA"))
        }
        _ => Ok(()),
    }
}

fn bad(option: &str, reason: &str) -> AttachError {
    AttachError::BadOption { option: option.into(), reason: reason.into() }
}

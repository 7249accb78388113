//! What a configuration says of the interface, applied after the claim. Each setting is read first and written only where
//! it differs. So an unprivileged process can use an interface that was made ready for it.

use std::io;
use std::net::IpAddr;

use super::super::sys::{self, Interface};
use crate::attach::{AttachError, Config};
use crate::wire::Offload;

/// A setting, as an error names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setting {
    HardwareAddress,
    Mtu,
    QueueLength,
    Address(IpAddr),
    Up,
}

impl Setting {
    fn name(self) -> &'static str {
        match self {
            Self::HardwareAddress => "hardware address",
            Self::Mtu => "MTU",
            Self::QueueLength => "queue length",
            Self::Address(_) => "address",
            Self::Up => "up",
        }
    }
}

/// Checks the settings that can be wrong whatever the system says.
pub(super) fn check(config: &Config) -> Result<(), AttachError> {
    if let Some(option) = config.contradiction {
        let reason =
            "another source, or another value of this setting, was given before: give one".to_owned();
        return Err(AttachError::BadOption { option: option.to_owned(), reason });
    }
    check_offload(config.offload)?;
    let bad = |reason| AttachError::BadOption { option: "address".to_owned(), reason };
    for (place, &(address, prefix)) in config.addresses.iter().enumerate() {
        check_address(address, prefix).map_err(bad)?;
        if config.addresses[..place].iter().any(|(other, _)| *other == address) {
            return Err(bad(format!("{address} is given twice, with different prefixes")));
        }
    }
    Ok(())
}

/// An offload needs a header that says so, whose length is one of two.
fn check_offload(offload: Offload) -> Result<(), AttachError> {
    let bad =
        |reason: &str| AttachError::BadOption { option: "offload".to_owned(), reason: reason.to_owned() };
    match offload.header_len {
        0 if offload != Offload::NONE => Err(bad("every offload needs a virtio-net header")),
        0 | 10 | 12 => Ok(()),
        _ => Err(bad("a virtio-net header has 10 or 12 bytes")),
    }
}

fn check_address(address: IpAddr, prefix: u8) -> Result<(), String> {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if prefix > longest {
        return Err(format!("{address} has no prefix of {prefix} bits"));
    }
    let everybody = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if everybody || address.is_multicast() || address.is_unspecified() {
        return Err(format!("{address} is not the address of one host"));
    }
    Ok(())
}

/// Applies hardware address, MTU, queue length, addresses and up, in this order: the interface goes up complete.
pub(crate) fn apply(interface: &Interface, config: &Config) -> Result<(), AttachError> {
    let set = |setting, result: io::Result<()>| result.map_err(|source| refused(interface, setting, source));
    if let Some(address) = config.hardware_address {
        set(Setting::HardwareAddress, set_hardware_address(interface, address))?;
    }
    if let Some(mtu) = config.mtu {
        set(Setting::Mtu, set_mtu(interface, mtu))?;
    }
    if let Some(frames) = config.queue_length {
        set(Setting::QueueLength, set_queue_length(interface, frames))?;
    }
    for &(address, prefix) in &config.addresses {
        set(Setting::Address(address), interface.set_address(address, prefix))?;
    }
    if config.up {
        set(Setting::Up, set_up(interface, true))?;
    }
    Ok(())
}

pub(super) fn set_hardware_address(interface: &Interface, address: [u8; 6]) -> io::Result<()> {
    if interface.hardware_address().is_ok_and(|current| current == address) {
        return Ok(());
    }
    interface.set_hardware_address(address)
}

pub(super) fn set_mtu(interface: &Interface, mtu: u32) -> io::Result<()> {
    if interface.mtu().is_ok_and(|current| current == mtu) {
        return Ok(());
    }
    interface.set_mtu(mtu)
}

fn set_queue_length(interface: &Interface, frames: u32) -> io::Result<()> {
    if interface.queue_length().is_ok_and(|current| current == frames) {
        return Ok(());
    }
    interface.set_queue_length(frames)
}

pub(super) fn set_up(interface: &Interface, up: bool) -> io::Result<()> {
    if interface.is_up().is_ok_and(|current| current == up) {
        return Ok(());
    }
    interface.set_up(up)
}

pub(super) fn set_address(interface: &Interface, address: IpAddr, prefix: u8) -> io::Result<()> {
    check_address(address, prefix).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
    interface.set_address(address, prefix)
}

fn refused(interface: &Interface, setting: Setting, source: io::Error) -> AttachError {
    let object = interface.name().map_or_else(|_| "the descriptor".to_owned(), |name| name.to_string());
    let remedy = sys::remedy_of_setting(setting, &source);
    AttachError::Request { request: setting.name(), object, remedy, source }
}

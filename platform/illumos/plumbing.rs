//! What this process plumbed, for as long as it stays.

use std::ffi::c_int;
use std::net::IpAddr;
use std::sync::OnceLock;

use log::warn;

use super::interface::Interface;
use super::mux_link::{Mux, MuxLink};
use super::name::{Ppa, TapName};
use super::plumb::Muxes;
use crate::config::Config;
use crate::error::{AttachError, DetachError};
use crate::name::InterfaceName;

const NO_V6: &str = "an IPv6 address on an interface that was plumbed without one";

/// What an attach leaves besides the control stream: the interface's name, which not every version of the driver tells
/// again, and its IP side where this process has plumbed it.
///
/// Dropped in this order: the links, then the multiplexors.
#[derive(Debug, Default)]
pub(crate) struct Plumbing {
    sides: Option<Sides>,
    /// Kept when a re-attach fails: the next one needs their numbers, which lie below that of the control stream.
    muxes: Option<Box<Muxes>>,
    name: Option<Box<TapName>>,
    /// A re-attach has undone the interface and not made another.
    lost: bool,
}

impl Plumbing {
    /// A device over which somebody else plumbs, or nobody.
    pub(super) fn of_device(ppa: Ppa) -> Result<Self, AttachError> {
        Ok(Self { name: Some(Box::new(TapName::of(ppa)?)), ..Self::default() })
    }

    pub(super) fn of_interface(sides: Sides, muxes: Muxes) -> Self {
        let name = Some(Box::new(sides.v4.name));
        Self { name, sides: Some(sides), muxes: Some(Box::new(muxes)), lost: false }
    }

    /// What the interface was plumbed as, or what the device's number makes of it; `None` for an adopted control stream.
    pub(super) fn name(&self) -> Option<TapName> {
        self.name.as_deref().copied()
    }

    /// The interface, where it is this process'.
    pub(super) fn sides(&self) -> Option<&Sides> {
        self.sides.as_ref()
    }

    /// Does the interface depend on it?
    pub(crate) fn is_needed(&self) -> bool {
        self.muxes.is_some()
    }

    /// Has a re-attach failed after the interface was undone?
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Begins to make the interface anew: the old one is undone. It is lost until [`renewed`](Self::renewed).
    pub(super) fn begin_again(&mut self) {
        self.lost = true;
        if let Some(Err(error)) = self.sides.take().map(Sides::undo) {
            warn!("{error}");
        }
    }

    /// Opens the multiplexors, under the numbers they have where they are open, or returns `None` when somebody else
    /// plumbs. Their close undoes whatever link the kernel refused to undo before.
    pub(super) fn renew_muxes(&mut self, config: &Config) -> Result<Option<Muxes>, AttachError> {
        match &mut self.muxes {
            Some(muxes) => muxes.renew(config)?,
            None if config.external_plumbing => {}
            none => *none = Some(Box::new(Muxes::open(config)?)),
        }
        Ok(self.muxes.as_deref().cloned())
    }

    /// The interface is there again.
    pub(super) fn renewed(&mut self, name: TapName, sides: Option<Sides>) {
        (self.name, self.sides, self.lost) = (Some(Box::new(name)), sides, false);
    }

    /// Unplumbs as a drop does, and tells the first thing that failed.
    pub(crate) fn undo(self) -> Result<(), DetachError> {
        self.sides.map_or(Ok(()), Sides::undo)
    }
}

/// The interface's IP side: everything but the control stream, which must outlive it.
///
/// The control stream's close flushes the requests that IP has sent to the driver and not had answered; one that waits for
/// such an answer waits for ever. Hence first the links, then the multiplexors, then the control stream.
#[derive(Debug)]
pub(super) struct Sides {
    v6: Option<Box<Side>>,
    v4: Box<Side>,
}

impl Sides {
    pub(super) fn new(v4: Side, v6: Option<Side>) -> Self {
        Self { v6: v6.map(Box::new), v4: Box::new(v4) }
    }

    /// Unplumbs as a drop does, the newest first, and tells the first thing that failed; what came after it was done all
    /// the same.
    fn undo(self) -> Result<(), DetachError> {
        let Self { v6, v4 } = self;
        let v6 = v6.map_or(Ok(()), |side| side.unplumb());
        first_failure(v6, v4.unplumb())
    }

    /// Gives the interface what `config` says of it.
    pub(super) fn configure(&self, config: &Config) -> Result<(), AttachError> {
        if let Some(mtu) = config.mtu {
            self.set_mtu(mtu)?;
        }
        if let Some((address, prefix)) = config.address {
            self.set_address(address, prefix)?;
        }
        if config.up { self.set_up(true) } else { Ok(()) }
    }

    pub(super) fn mtu(&self) -> Result<u32, AttachError> {
        self.v4.interface().mtu()
    }

    /// IPv6 first, which takes the fewer values: a refusal then leaves both as they were.
    pub(super) fn set_mtu(&self, mtu: u32) -> Result<(), AttachError> {
        self.sides().try_for_each(|side| side.interface().set_mtu(mtu))
    }

    pub(super) fn is_up(&self) -> Result<bool, AttachError> {
        self.v4.interface().is_up()
    }

    pub(super) fn set_up(&self, up: bool) -> Result<(), AttachError> {
        self.sides().try_for_each(|side| side.set_up(up))
    }

    pub(super) fn set_address(&self, address: IpAddr, prefix: u8) -> Result<(), AttachError> {
        let side = if address.is_ipv6() { self.v6.as_ref() } else { Some(&self.v4) };
        side.ok_or(AttachError::Unsupported { what: NO_V6 })?.set_address(address, prefix)
    }

    fn sides(&self) -> impl Iterator<Item = &Side> {
        self.v6.iter().chain([&self.v4]).map(Box::as_ref)
    }
}

/// One address family of the interface. Its fields are dropped in this order: the kernel wants the younger link undone
/// first, and both before the multiplexor closes.
#[derive(Debug)]
pub(super) struct Side {
    arp: Option<MuxLink>,
    ip: MuxLink,
    mux: Mux,
    name: TapName,
    /// The logical interface that an IPv6 address of global scope needs: the first unit takes none but a link-local one.
    logical: OnceLock<InterfaceName>,
}

impl Side {
    pub(super) fn new(ip: MuxLink, arp: Option<MuxLink>, mux: Mux, name: TapName) -> Self {
        Self { arp, ip, mux, name, logical: OnceLock::new() }
    }

    pub(super) fn interface(&self) -> Interface<'_> {
        Interface { through: &self.mux, name: self.name.text() }
    }

    /// The muxids of the IP and the ARP stream; 0 where there is none, which `I_UNLINK` and `I_PUNLINK` refuse.
    pub(super) fn mux_ids(&self) -> (c_int, c_int) {
        (self.ip.id().number(), self.arp.as_ref().map_or(0, |link| link.id().number()))
    }

    fn unplumb(self) -> Result<(), DetachError> {
        let Self { arp, ip, .. } = self;
        let arp = arp.map_or(Ok(()), MuxLink::unlink);
        first_failure(arp, ip.unlink())
    }

    fn set_address(&self, address: IpAddr, prefix: u8) -> Result<(), AttachError> {
        if let Some(logical) = self.interface().give_address(address, prefix)? {
            self.logical.get_or_init(|| logical);
        }
        Ok(())
    }

    /// The first unit comes up before a logical one and goes down after it.
    fn set_up(&self, up: bool) -> Result<(), AttachError> {
        let logical = self.logical.get().map(|&name| Interface { through: &self.mux, name });
        let mut units: Vec<_> = [Some(self.interface()), logical].into_iter().flatten().collect();
        if !up {
            units.reverse();
        }
        units.iter().try_for_each(|unit| unit.set_up(up))
    }
}

fn first_failure(first: Result<(), DetachError>, second: Result<(), DetachError>) -> Result<(), DetachError> {
    if let (Err(_), Err(later)) = (&first, &second) {
        warn!("{later}");
    }
    first.and(second)
}

//! What this process plumbed, for as long as it stays.

use std::ffi::c_int;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::warn;

use super::ip::IpInterface;
use super::mux_link::{Mux, MuxLink};
use super::name::TapName;
use crate::attach::{AttachError, Config, DetachError, InterfaceName};

const NO_V6: &str = "an IPv6 address on an interface that was plumbed without one";

/// The interface's IP side: everything but the control stream, which must outlive it.
///
/// The control stream's close flushes the requests that IP has sent to the driver and not had answered. One that waits for
/// such an answer waits for ever. Hence first the links, then the multiplexors, then the control stream.
#[derive(Debug)]
pub(super) struct Plumbing {
    v6: Option<Box<Side>>,
    v4: Box<Side>,
}

impl Plumbing {
    pub(super) fn new(v4: Side, v6: Option<Side>) -> Self {
        Self { v6: v6.map(Box::new), v4: Box::new(v4) }
    }

    pub(super) fn name(&self) -> TapName {
        self.v4.name
    }

    /// Unplumbs as a drop does, the newest first, and tells the first thing that failed; what came after it was done all
    /// the same.
    pub(super) fn undo(self) -> Result<(), DetachError> {
        let Self { v6, v4 } = self;
        let v6 = v6.map_or(Ok(()), |side| side.unplumb());
        first_failure(v6, v4.unplumb())
    }

    /// Gives the interface what `config` says of it.
    pub(super) fn configure(&self, config: &Config) -> Result<(), AttachError> {
        if let Some(mtu) = config.mtu {
            self.set_mtu(mtu)?;
        }
        for &(address, prefix) in &config.addresses {
            self.side_of(address)?.set_first_address(address, prefix)?;
        }
        if config.up { self.sides().try_for_each(|side| side.set_up(true)) } else { Ok(()) }
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

    /// An interface that is in use may have lost units that were given here.
    pub(super) fn set_up(&self, up: bool) -> Result<(), AttachError> {
        self.sides().try_for_each(|side| side.forget_removed().and_then(|()| side.set_up(up)))
    }

    /// Gives an interface that is in use an address; others may have given it some, too.
    pub(super) fn set_address(&self, address: IpAddr, prefix: u8) -> Result<(), AttachError> {
        let side = self.side_of(address)?;
        let unit = side.interface().give_address(address, prefix)?;
        side.note(unit);
        Ok(())
    }

    fn side_of(&self, address: IpAddr) -> Result<&Side, AttachError> {
        let side = if address.is_ipv6() { self.v6.as_deref() } else { Some(&*self.v4) };
        side.ok_or(AttachError::Unsupported { what: NO_V6 })
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
    /// The units that bear an address which was given here: the first one, and logical interfaces.
    given: Mutex<Vec<InterfaceName>>,
}

impl Side {
    pub(super) fn new(ip: MuxLink, arp: Option<MuxLink>, mux: Mux, name: TapName) -> Self {
        Self { arp, ip, mux, name, given: Mutex::default() }
    }

    pub(super) fn interface(&self) -> IpInterface<'_> {
        IpInterface { through: &self.mux, name: self.name.text() }
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

    /// Gives one more address to an interface that nobody else knows yet. The first unit bears one, and each further one a
    /// logical interface, which is down.
    fn set_first_address(&self, address: IpAddr, prefix: u8) -> Result<(), AttachError> {
        let unit = self.interface();
        let taken = self.given().contains(&unit.name);
        let bearer = if !taken && IpInterface::takes(address) {
            unit.set_address(address, prefix).map(|()| unit.name)?
        } else {
            unit.add_address(address, prefix)?
        };
        self.note(bearer);
        Ok(())
    }

    /// Somebody else may have removed logical interfaces.
    fn forget_removed(&self) -> Result<(), AttachError> {
        let first = self.name.text();
        if self.given().iter().any(|unit| *unit != first) {
            let units = self.interface().units()?;
            self.given().retain(|known| units.iter().any(|(unit, _)| unit == known));
        }
        Ok(())
    }

    fn note(&self, unit: InterfaceName) {
        let mut given = self.given();
        if !given.contains(&unit) {
            given.push(unit);
        }
    }

    /// The first unit comes up before the logical ones and goes down after them.
    fn set_up(&self, up: bool) -> Result<(), AttachError> {
        let first = self.name.text();
        let logical = self.given().iter().copied().filter(|unit| *unit != first).collect::<Vec<_>>();
        let mut units: Vec<_> = std::iter::once(first).chain(logical).collect();
        if !up {
            units.reverse();
        }
        units.into_iter().try_for_each(|unit| self.unit(unit).set_up(up))
    }

    fn unit(&self, name: InterfaceName) -> IpInterface<'_> {
        IpInterface { through: &self.mux, name }
    }

    fn given(&self) -> MutexGuard<'_, Vec<InterfaceName>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first_failure(first: Result<(), DetachError>, second: Result<(), DetachError>) -> Result<(), DetachError> {
    if let (Err(_), Err(later)) = (&first, &second) {
        warn!("{later}");
    }
    first.and(second)
}

//! A TAP's interface: the control stream, which carries the frames, and the plumbing that this process made over it.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::net::if_::if_nametoindex;

use super::super::tap::{FrameLimits, HostCan, Kind};
use super::ip::IpInterface;
use super::mux_link::{Family, Mux};
use super::name::{Ppa, TapName};
use super::plumb::{self, Muxes};
use super::plumbing::Plumbing;
use super::{adopt, control, dlpi, options, refusal, streams};
use crate::attach::{AdoptError, AttachError, Config, DetachError, InterfaceName, Owner, Source};
use crate::wire::Offload;

/// What the driver's queue takes: `tunminfo` of its `tun.c`. The stream head refuses anything else with `ERANGE`.
const LIMITS: FrameLimits = FrameLimits::between(21, 2048);

/// Dropped in this order: the IP side must be undone before the control stream closes, which could hang the kernel.
#[derive(Debug)]
pub(crate) struct Interface {
    /// `None` where somebody else plumbs, and for a socket.
    plumbing: Mutex<Option<Plumbing>>,
    fd: OwnedFd,
    kind: Kind,
    /// As granted at the attach: none but those of a socket.
    offload: Offload,
    limits: FrameLimits,
    /// This process made the device.
    created: bool,
}

impl Interface {
    /// Makes a device, and plumbs IP over it unless somebody else is to do so.
    pub(crate) fn attach(name: Option<&str>, config: &Config, queues: u16) -> Result<Vec<Self>, AttachError> {
        let wanted = name.map(TapName::parse).transpose()?;
        options::check(config, wanted, queues)?;
        if config.external_plumbing {
            return Ok(vec![Self::of_stream(bare(wanted, config)?, None, true)]);
        }
        let (control, plumbing) = plumb::attach(wanted, config)?;
        Ok(vec![Self::of_stream(control, Some(plumbing), true)])
    }

    /// The driver has no offload to grant, whatever is asked for.
    pub(crate) fn adopt(fd: OwnedFd, _: &Config) -> Result<Self, AdoptError> {
        adopt::adopt(fd)
    }

    pub(super) fn of_stream(fd: OwnedFd, plumbing: Option<Plumbing>, created: bool) -> Self {
        let (kind, offload) = (Kind::Device, Offload::NONE);
        Self { plumbing: Mutex::new(plumbing), fd, kind, offload, limits: LIMITS, created }
    }

    pub(crate) fn socket(fd: OwnedFd, kind: Kind, offload: Offload) -> Self {
        let limits = FrameLimits::OF_SOCKET;
        Self { plumbing: Mutex::new(None), fd, kind, offload, limits, created: false }
    }

    /// Plumbs anew over a new control stream, which takes the number of the old one: that one cannot be used again, a stream
    /// makes one device in its life. Always true, since to a poller it is another descriptor.
    ///
    /// After a failure the number refers to a stream that carries no frame either way, and the same can be tried again.
    pub(crate) fn reattach(&self, config: &Config) -> Result<(bool, Offload), AttachError> {
        let mut plumbing = self.plumbing();
        let wanted = self.wanted_name(plumbing.as_ref(), config)?;
        options::check(config, wanted, 1)?;
        // The old interface's IP side goes before its control stream does, and the number of a multiplexor stays below it.
        let muxes = match plumbing.take() {
            Some(old) => Some(Muxes::renew(old, config)?),
            None if config.external_plumbing => None,
            None => Some(Muxes::open(config)?),
        };
        let ppa = self.renew_control(wanted)?;
        let name = wanted.map_or_else(|| TapName::of(ppa), Ok)?;
        match muxes {
            Some(muxes) => *plumbing = Some(plumb::plumb(&muxes, name, config, config.replace_stale)?),
            None => config.hardware_address.map_or(Ok(()), |address| dlpi::set_address(ppa, address))?,
        }
        Ok((true, Offload::NONE))
    }

    /// Puts a fresh stream under the descriptor's number and makes a device on it.
    fn renew_control(&self, wanted: Option<TapName>) -> Result<Ppa, AttachError> {
        let fresh = control::open()?;
        streams::replace(self.as_fd(), &fresh).map_err(refusal::request("dup3", control::TAP))?;
        drop(fresh);
        control::become_control(self.as_fd(), wanted)
    }

    /// The name that the interface had, or has to have. `None` lets the driver choose.
    fn wanted_name(
        &self,
        plumbing: Option<&Plumbing>,
        config: &Config,
    ) -> Result<Option<TapName>, AttachError> {
        match (&config.source, plumbing) {
            (Source::Name(name), _) => TapName::parse(name).map(Some),
            (Source::Any, Some(plumbing)) => Ok(Some(plumbing.name())),
            (Source::Any, None) => control::ppa_of(self.as_fd()).ok().map(TapName::of).transpose(),
            (Source::Inherited(_) | Source::Datalink(_), _) => {
                Err(AttachError::Unsupported { what: "re-attaching a descriptor that was handed in" })
            }
        }
    }

    pub(crate) fn detach(self) -> Result<(), DetachError> {
        let plumbing = self.plumbing.into_inner().unwrap_or_else(PoisonError::into_inner);
        let undone = plumbing.map_or(Ok(()), Plumbing::undo);
        drop(self.fd);
        undone
    }

    pub(crate) fn into_fd(self) -> Result<OwnedFd, Self> {
        if self.plumbing().is_some() { Err(self) } else { Ok(self.fd) }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn offload(&self) -> Offload {
        self.offload
    }

    pub(crate) fn limits(&self) -> FrameLimits {
        self.limits
    }

    /// The driver has none to grant. With a header it is a socket, whose peer alone knows what it sends.
    pub(crate) fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        Ok(if wanted.header_len == 0 { Offload::NONE } else { wanted })
    }

    /// With a header it is a socket, whose peer's business it is.
    pub(crate) fn host_can(&self) -> HostCan {
        if self.offload.header_len == 0 { HostCan::NOTHING } else { HostCan::EVERYTHING }
    }

    /// Only a socket can have a header, and no request about it.
    pub(crate) fn set_header_len(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn created(&self) -> bool {
        self.created
    }

    pub(crate) fn add_queues(&self, _: u16) -> Result<Vec<Self>, AttachError> {
        Err(AttachError::Unsupported { what: "more than one queue" })
    }

    /// A device lives as long as its control stream.
    pub(crate) fn persist(&self, _: Owner) -> Result<(), AttachError> {
        Err(AttachError::Unsupported { what: options::PERSISTENT })
    }

    pub(crate) fn queue_length(&self) -> io::Result<u32> {
        Err(io::Error::new(io::ErrorKind::Unsupported, options::QUEUE_LENGTH))
    }

    pub(crate) fn set_queue_length(&self, _: u32) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, options::QUEUE_LENGTH))
    }

    /// `if_nametoindex(3SOCKET)`
    pub(crate) fn index(&self) -> io::Result<u32> {
        Ok(if_nametoindex(self.name()?.as_bytes())?)
    }

    pub(crate) fn addresses(&self) -> io::Result<Vec<(IpAddr, u8)>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the addresses are not read here"))
    }

    /// A device has one control stream, and a frame no choice of queue.
    pub(crate) fn set_queue_enabled(&self, _: bool) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a TAP has one queue here"))
    }

    /// The driver has no such signal.
    pub(crate) fn set_carrier(&self, _: bool) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the tap driver has no carrier"))
    }

    /// The driver drops what nobody reads without counting it.
    pub(crate) fn dropped_by_host(&self) -> Option<u64> {
        None
    }

    /// The name: what it was plumbed as, or what the device's number makes of it. It cannot be changed here.
    pub(crate) fn name(&self) -> io::Result<InterfaceName> {
        Ok(self.tap_name()?.text())
    }

    pub(crate) fn name_of(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
        Ok(TapName::of(control::ppa_of(fd)?)?.text())
    }

    pub(crate) fn mtu(&self) -> io::Result<u32> {
        match &*self.plumbing() {
            Some(plumbing) => Ok(plumbing.mtu()?),
            None => self.ask_foreign(Family::V4, |interface| interface.mtu()),
        }
    }

    pub(crate) fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        match &*self.plumbing() {
            Some(plumbing) => Ok(plumbing.set_mtu(mtu)?),
            None => self.ask_foreign(Family::V4, |interface| interface.set_mtu(mtu)),
        }
    }

    pub(crate) fn is_up(&self) -> io::Result<bool> {
        match &*self.plumbing() {
            Some(plumbing) => Ok(plumbing.is_up()?),
            None => self.ask_foreign(Family::V4, |interface| interface.is_up()),
        }
    }

    pub(crate) fn set_up(&self, up: bool) -> io::Result<()> {
        match &*self.plumbing() {
            Some(plumbing) => Ok(plumbing.set_up(up)?),
            None => self.ask_foreign(Family::V4, |interface| interface.set_up(up)),
        }
    }

    pub(crate) fn hardware_address(&self) -> io::Result<[u8; 6]> {
        Ok(dlpi::address(self.tap_name()?.ppa())?)
    }

    /// Only where nobody has plumbed yet: IP reads the address then, and goes on announcing it after a change.
    pub(crate) fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        let plumbed_by_us = self.plumbing().is_some();
        if plumbed_by_us || self.is_up().is_ok() {
            let why = "IP does not notice that a plumbed TAP's address changes: give it in Config::hardware_address";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        if !options::is_station_address(address) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, options::NO_STATION_ADDRESS));
        }
        Ok(dlpi::set_address(self.tap_name()?.ppa(), address)?)
    }

    /// Gives the interface an address. On one that somebody else plumbed, an IPv6 address needs its IPv6 side.
    pub(crate) fn set_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        if let Some(plumbing) = &*self.plumbing() {
            return Ok(plumbing.set_address(address, prefix)?);
        }
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        self.ask_foreign(family, |interface| {
            if IpInterface::takes(address) {
                interface.set_address(address, prefix)
            } else {
                interface.add_address(address, prefix).map(drop)
            }
        })
    }

    fn tap_name(&self) -> io::Result<TapName> {
        match &*self.plumbing() {
            Some(plumbing) => Ok(plumbing.name()),
            None => Ok(TapName::of(control::ppa_of(self.as_fd())?)?),
        }
    }

    /// Asks about the interface that somebody else plumbed over the device.
    fn ask_foreign<T>(
        &self,
        family: Family,
        ask: impl FnOnce(IpInterface<'_>) -> Result<T, AttachError>,
    ) -> io::Result<T> {
        let name = TapName::of(control::ppa_of(self.as_fd())?)?.text();
        let mux = Mux::open(family)?;
        Ok(ask(IpInterface { through: &mux, name })?)
    }

    /// Only a re-attach changes it; whoever asks about the interface meanwhile waits.
    fn plumbing(&self) -> MutexGuard<'_, Option<Plumbing>> {
        self.plumbing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Interface {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes the device alone. `ifconfig tap3 plumb` then finds it by its number.
fn bare(wanted: Option<TapName>, config: &Config) -> Result<OwnedFd, AttachError> {
    let (control, ppa) = control::open_device(wanted, config.busy_timeout)?;
    if let Some(address) = config.hardware_address {
        dlpi::set_address(ppa, address)?;
    }
    Ok(control)
}

//! A TAP's interface: the control stream, which carries the frames, and the plumbing that this process made over it.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::net::if_::if_nametoindex;

use super::super::tap::{FrameLimits, HostCan, Kind};
use super::held::Held;
use super::ip::IpInterface;
use super::mux_link::{Family, Mux};
use super::name::{Ppa, TapName};
use super::{control, dlpi, options, plumb, refusal, streams};
use crate::attach::{AttachError, Config, DetachError, InterfaceName, Owner, Source};
use crate::wire::Offload;

/// What the driver's queue takes: `tunminfo` of its `tun.c`. The stream head refuses anything else with `ERANGE`.
const LIMITS: FrameLimits = FrameLimits::between(21, 2048);

/// Dropped in this order: the IP side must be undone before the control stream closes, which could hang the kernel.
#[derive(Debug)]
pub(crate) struct Interface {
    held: Mutex<Box<Held>>,
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
            return Ok(vec![bare(wanted, config)?]);
        }
        let (control, held) = plumb::attach(wanted, config)?;
        Ok(vec![Self::of_stream(control, held, true)])
    }

    pub(super) fn of_stream(fd: OwnedFd, held: Held, created: bool) -> Self {
        let (kind, offload) = (Kind::Device, Offload::NONE);
        Self { held: Mutex::new(Box::new(held)), fd, kind, offload, limits: LIMITS, created }
    }

    pub(crate) fn socket(fd: OwnedFd, kind: Kind, offload: Offload) -> Self {
        let limits = FrameLimits::OF_SOCKET;
        Self { held: Mutex::default(), fd, kind, offload, limits, created: false }
    }

    /// Plumbs anew over a new control stream, which takes the number of the old one. That one cannot be used again: a stream
    /// makes one device in its life. The returned `bool` is always true, since to a poller it is another descriptor.
    ///
    /// After a failure the number refers to a stream that carries no frame either way and blocks nobody. The interface [is
    /// lost](Self::is_lost), and the same can be tried again. A request that is refused before the interface is undone leaves
    /// the interface as it was.
    pub(crate) fn reattach(&self, config: &Config) -> Result<(bool, Offload), AttachError> {
        let mut held = self.held();
        let wanted = self.wanted_name(&held, config)?;
        options::check(config, wanted, 1)?;
        // The old interface's IP side goes before its control stream does, and the number of a multiplexor stays below it.
        held.begin_again();
        let muxes = held.renew_muxes(config)?;
        let ppa = self.renew_control(wanted)?;
        let name = wanted.map_or_else(|| TapName::of(ppa), Ok)?;
        let plumbing = match muxes {
            Some(muxes) => Some(plumb::plumb(&muxes, name, config, config.replace_stale)?),
            None => {
                config.hardware_address.map_or(Ok(None), |to| dlpi::set_address(ppa, to).map(|()| None))?
            }
        };
        held.renewed(name, plumbing);
        Ok((true, Offload::NONE))
    }

    /// Has a re-attach failed after the interface was undone?
    pub(crate) fn is_lost(&self) -> bool {
        self.held().is_lost()
    }

    /// Puts a fresh stream under the descriptor's number and makes a device on it.
    fn renew_control(&self, wanted: Option<TapName>) -> Result<Ppa, AttachError> {
        let fresh = control::open()?;
        // Before it takes the number: whoever reads meanwhile must not fall asleep.
        control::prepare(fresh.as_fd())?;
        streams::replace(self.as_fd(), &fresh).map_err(refusal::request("dup3", control::TAP))?;
        drop(fresh);
        control::make_device(self.as_fd(), wanted)
    }

    /// The name that the interface had, or has to have. `None` lets the driver choose.
    fn wanted_name(&self, held: &Held, config: &Config) -> Result<Option<TapName>, AttachError> {
        match (&config.source, held.name()) {
            (Source::Name(name), _) => TapName::parse(name).map(Some),
            (Source::Any, Some(name)) => Ok(Some(name)),
            (Source::Any, None) => control::ppa_of(self.as_fd()).ok().map(TapName::of).transpose(),
            (Source::Inherited(_) | Source::Datalink(_), _) => {
                Err(AttachError::Unsupported { what: "re-attaching an inherited descriptor" })
            }
        }
    }

    pub(crate) fn detach(self) -> Result<(), DetachError> {
        let held = self.held.into_inner().unwrap_or_else(PoisonError::into_inner);
        let undone = held.undo();
        drop(self.fd);
        undone
    }

    pub(crate) fn into_fd(self) -> Result<OwnedFd, Self> {
        if self.held().is_needed() { Err(self) } else { Ok(self.fd) }
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

    /// A descriptor with a header is a socket, and only its peer decides what it cuts.
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
        Ok(self.tap_name(&self.held())?.text())
    }

    pub(crate) fn name_of(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
        errno_alone(control::ppa_of(fd).and_then(TapName::of)).map(|name| name.text())
    }

    pub(crate) fn mtu(&self) -> io::Result<u32> {
        let held = self.held();
        match held.plumbing() {
            Some(plumbing) => errno_alone(plumbing.mtu()),
            None => self.ask_either(&held, |interface| interface.mtu()),
        }
    }

    pub(crate) fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        let held = self.held();
        match held.plumbing() {
            Some(plumbing) => errno_alone(plumbing.set_mtu(mtu)),
            None => self.ask_each(&held, |interface| interface.set_mtu(mtu)),
        }
    }

    pub(crate) fn is_up(&self) -> io::Result<bool> {
        let held = self.held();
        match held.plumbing() {
            Some(plumbing) => errno_alone(plumbing.is_up()),
            None => self.ask_either(&held, |interface| interface.is_up()),
        }
    }

    pub(crate) fn set_up(&self, up: bool) -> io::Result<()> {
        let held = self.held();
        match held.plumbing() {
            Some(plumbing) => errno_alone(plumbing.set_up(up)),
            None => self.ask_each(&held, |interface| interface.set_up(up)),
        }
    }

    pub(crate) fn hardware_address(&self) -> io::Result<[u8; 6]> {
        errno_alone(dlpi::address(self.tap_name(&self.held())?.ppa()))
    }

    /// Only where nobody has plumbed yet: IP reads the address then, and goes on announcing it after a change.
    pub(crate) fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        if self.is_plumbed(&self.held())? {
            let why = "IP does not notice when a plumbed TAP's MAC address changes: give that address in Config::hardware_address";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        if !options::is_station_address(address) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, options::NO_STATION_ADDRESS));
        }
        errno_alone(dlpi::set_address(self.tap_name(&self.held())?.ppa(), address))
    }

    /// Whether IP of either version is plumbed over the device, whoever did it.
    fn is_plumbed(&self, held: &Held) -> io::Result<bool> {
        if held.plumbing().is_some() {
            return Ok(true);
        }
        match self.ask_either(held, |interface| interface.is_up()) {
            Err(error) if refusal::is(&error, libc::ENXIO) => Ok(false),
            known => known.map(|_| true),
        }
    }

    /// Gives the interface an address. On one that somebody else plumbed, an IPv6 address needs its IPv6 side.
    pub(crate) fn set_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        let held = self.held();
        if let Some(plumbing) = held.plumbing() {
            return errno_alone(plumbing.set_address(address, prefix));
        }
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        self.ask_foreign(&held, family, |interface| interface.give_address(address, prefix).map(drop))
    }

    fn tap_name(&self, held: &Held) -> io::Result<TapName> {
        match held.name() {
            Some(name) => Ok(name),
            None => errno_alone(control::ppa_of(self.as_fd()).and_then(TapName::of)),
        }
    }

    /// Asks about the interface that somebody else plumbed over the device.
    fn ask_foreign<T>(
        &self,
        held: &Held,
        family: Family,
        ask: impl FnOnce(IpInterface<'_>) -> Result<T, AttachError>,
    ) -> io::Result<T> {
        let name = self.tap_name(held)?.text();
        let asked = || ask(IpInterface { through: &Mux::open(family)?, name });
        errno_alone(asked())
    }

    /// The same about its IPv4 side, or its IPv6 side where it has that alone.
    fn ask_either<T>(
        &self,
        held: &Held,
        ask: impl Fn(IpInterface<'_>) -> Result<T, AttachError>,
    ) -> io::Result<T> {
        match self.ask_foreign(held, Family::V4, &ask) {
            Err(error) if refusal::is(&error, libc::ENXIO) => self.ask_foreign(held, Family::V6, ask),
            answer => answer,
        }
    }

    /// The same about each of its sides. IPv6 first, which takes the fewer values: a refusal then leaves both as they were.
    fn ask_each(
        &self,
        held: &Held,
        ask: impl Fn(IpInterface<'_>) -> Result<(), AttachError>,
    ) -> io::Result<()> {
        let is_there = |family| match self.ask_foreign(held, family, |interface| interface.is_up()) {
            Err(error) if refusal::is(&error, libc::ENXIO) => Ok(false),
            known => known.map(|_| true),
        };
        let (v6, v4) = (is_there(Family::V6)?, is_there(Family::V4)?);
        if v6 {
            self.ask_foreign(held, Family::V6, &ask)?;
        }
        // Where there is neither, the refusal says so.
        if v4 || !v6 { self.ask_foreign(held, Family::V4, ask) } else { Ok(()) }
    }

    /// Only a re-attach changes it; whoever asks about the interface meanwhile waits.
    fn held(&self) -> MutexGuard<'_, Box<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Interface {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes the device alone. `ifconfig tap3 plumb` then finds it by its number.
fn bare(wanted: Option<TapName>, config: &Config) -> Result<Interface, AttachError> {
    let (control, ppa) = control::open_device(wanted, config.busy_timeout)?;
    if let Some(address) = config.hardware_address {
        dlpi::set_address(ppa, address)?;
    }
    Ok(Interface::of_stream(control, Held::of_device(ppa)?, true))
}

/// The bare errno, which a caller of `Tap` gets on every system.
fn errno_alone<T>(result: Result<T, AttachError>) -> io::Result<T> {
    result.map_err(|error| error.raw_os_error().map_or_else(|| error.into(), io::Error::from_raw_os_error))
}

//! Plumbing: an IP interface over a TAP device.
//!
//! ```text
//!  multiplexor /dev/udp          control stream /dev/tap (TUNNEWPPA): the frames' descriptor
//!    |              |                   |
//!    | I_LINK       | I_LINK            |
//!  [ip]           [arp]                 |
//!    \______________|___ tap driver ____/
//! ```
//!
//! The order is that of `i_ipadm_plumb_if` in illumos' libipadm. Each thing is owned from the moment it exists. A return at
//! any line undoes what was done before it, in reverse, so there is no clean-up code.

use std::io;
use std::os::fd::OwnedFd;

use super::abi::{I_PUSH, IFF_IPV4, IFF_IPV6, LifReq, Request, SIOCSLIFMUXID, SIOCSLIFNAME};
use super::held::Held;
use super::mux_link::{Family, Mux};
use super::name::{Ppa, TapName};
use super::plumbing::{Plumbing, Side};
use super::{control, dlpi, refusal, stale, streams};
use crate::attach::{AttachError, Config};

/// Makes a device and plumbs IP over it.
pub(super) fn attach(wanted: Option<TapName>, config: &Config) -> Result<(OwnedFd, Held), AttachError> {
    let muxes = Muxes::open(config)?;
    let (control, ppa) = control::open_device(wanted, config.busy_timeout)?;
    let attempt = Attempt { muxes, control, rejected: Vec::new() };
    match wanted {
        Some(name) => attempt.plumb(name, config),
        None => attempt.plumb_any(ppa, config),
    }
}

/// The multiplexors an interface needs. Opened before the control stream. A process that dies closes its descriptors in
/// ascending order, and this way the kernel, too, unplumbs before the control stream closes.
#[derive(Clone, Debug)]
pub(super) struct Muxes {
    v6: Option<Mux>,
    v4: Mux,
}

impl Muxes {
    pub(super) fn open(config: &Config) -> Result<Self, AttachError> {
        let v4 = Mux::open(Family::V4)?;
        v4.prepare()?;
        let v6 = if wants_v6(config) { Some(Mux::open(Family::V6)?) } else { None };
        v6.as_ref().map_or(Ok(()), Mux::prepare)?;
        Ok(Self { v6, v4 })
    }

    /// Opens them anew under the numbers they have, below that of the control stream. What fails leaves all that is open.
    pub(super) fn renew(&mut self, config: &Config) -> Result<(), AttachError> {
        self.v4.renew()?;
        match &self.v6 {
            _ if !wants_v6(config) => self.v6 = None,
            Some(v6) => v6.renew()?,
            None => self.v6 = Some(Mux::open(Family::V6)?),
        }
        [Some(&self.v4), self.v6.as_ref()].into_iter().flatten().try_for_each(Mux::prepare)
    }
}

fn wants_v6(config: &Config) -> bool {
    config.addresses.iter().any(|(address, _)| address.is_ipv6())
}

/// An attach under way. Dropped in this order: no multiplexor outlives the control stream.
struct Attempt {
    muxes: Muxes,
    control: OwnedFd,
    /// Devices whose interface name was taken, kept so that the driver chooses other ones.
    rejected: Vec<OwnedFd>,
}

impl Attempt {
    /// Plumbs the interface `name` over the device of the control stream.
    fn plumb(self, name: TapName, config: &Config) -> Result<(OwnedFd, Held), AttachError> {
        let plumbing = plumb(&self.muxes, name, config, config.replace_stale)?;
        Ok((self.control, Held::of_interface(plumbing, self.muxes)))
    }

    /// Plumbs the device that the driver chose, or another one where somebody has an interface of that name. Where any name
    /// will do, no interface of somebody else has to be replaced.
    fn plumb_any(mut self, mut ppa: Ppa, config: &Config) -> Result<(OwnedFd, Held), AttachError> {
        loop {
            let error = match plumb(&self.muxes, TapName::of(ppa)?, config, false) {
                Ok(plumbing) => return Ok((self.control, Held::of_interface(plumbing, self.muxes))),
                Err(error) => error,
            };
            if !matches!(error, AttachError::WrongKind { .. }) || self.rejected.len() >= Ppa::COUNT.into() {
                return Err(error);
            }
            let (control, other) = control::open_device(None, config.busy_timeout)?;
            self.rejected.push(std::mem::replace(&mut self.control, control));
            ppa = other;
        }
    }
}

/// Plumbs `name` over its device and gives it what `config` says of it.
pub(super) fn plumb(
    muxes: &Muxes,
    name: TapName,
    config: &Config,
    replace_stale: bool,
) -> Result<Plumbing, AttachError> {
    if let Some(address) = config.hardware_address {
        dlpi::set_address(name.ppa(), address)?;
    }
    let v4 = plumb_v4(&muxes.v4, name, replace_stale)?;
    let v6 = muxes.v6.as_ref().map(|mux| plumb_v6(mux, name, replace_stale)).transpose()?;
    let plumbing = Plumbing::new(v4, v6);
    plumbing.configure(config)?;
    Ok(plumbing)
}

fn plumb_v4(mux: &Mux, name: TapName, replace_stale: bool) -> Result<Side, AttachError> {
    let ip_stream = ip_stream(mux, name, IFF_IPV4, replace_stale)?;
    let arp_stream = arp_stream(name)?;
    let ip = mux.link(&ip_stream, "ip", name)?;
    let arp = mux.link(&arp_stream, "arp", name)?;
    // The links hold the streams now. An own descriptor left open would hold the interface after unlinking.
    drop(ip_stream);
    drop(arp_stream);
    let side = Side::new(ip, Some(arp), mux.clone(), name);
    record_mux_ids(&side)?;
    Ok(side)
}

/// IPv6 resolves addresses by itself and has no ARP stream.
fn plumb_v6(mux: &Mux, name: TapName, replace_stale: bool) -> Result<Side, AttachError> {
    let ip_stream = ip_stream(mux, name, IFF_IPV6, replace_stale)?;
    let ip = mux.link(&ip_stream, "ip", name)?;
    drop(ip_stream);
    let side = Side::new(ip, None, mux.clone(), name);
    record_mux_ids(&side)?;
    Ok(side)
}

/// A stream with IP above the driver. Naming it makes the interface and attaches the stream to the device.
fn ip_stream(mux: &Mux, name: TapName, family: u64, replace_stale: bool) -> Result<OwnedFd, AttachError> {
    let stream = control::open()?;
    streams::push(&stream, c"ip").map_err(refusal::of(I_PUSH, format!("ip above {}", control::TAP)))?;
    let mut named = set_name(&stream, name, family, streams::ask_ip);
    if replace_stale && named.as_ref().is_err_and(is_taken) {
        stale::unplumb(mux, name)?;
        named = set_name(&stream, name, family, streams::ask_ip);
    }
    named.map_err(|error| name_error(error, name))?;
    Ok(stream)
}

/// A stream with ARP directly above the driver; pushed above IP it would do nothing, and without it the interface cannot
/// come up. ARP takes the name by `I_STR` only.
fn arp_stream(name: TapName) -> Result<OwnedFd, AttachError> {
    let stream = control::open()?;
    streams::push(&stream, c"arp").map_err(refusal::of(I_PUSH, format!("arp above {}", control::TAP)))?;
    set_name(&stream, name, IFF_IPV4, streams::ask_module)
        .map_err(refusal::of(SIOCSLIFNAME, format!("the arp stream of {name}")))?;
    Ok(stream)
}

type Ask = fn(&OwnedFd, Request, &mut LifReq) -> io::Result<()>;

fn set_name(stream: &OwnedFd, name: TapName, family: u64, ask: Ask) -> io::Result<()> {
    let mut request = LifReq::about(name.text());
    request.lifr_ppa = name.ppa().number().into();
    request.set_flags(family);
    ask(stream, SIOCSLIFNAME, &mut request)
}

fn is_taken(error: &io::Error) -> bool {
    refusal::is(error, libc::EEXIST)
}

fn name_error(error: io::Error, name: TapName) -> AttachError {
    if !is_taken(&error) {
        return refusal::of(SIOCSLIFNAME, format!("the ip stream of {name}"))(error);
    }
    AttachError::WrongKind {
        name: name.to_string(),
        found: "SIOCSLIFNAME on the ip stream found an IP interface of that name",
        remedy: "unplumb it, or let replace_stale() do so when it is a left-over",
        source: Some(error),
    }
}

/// Tools find the links by these ids. illumos recorded them when it linked; kernels before that did not.
fn record_mux_ids(side: &Side) -> Result<(), AttachError> {
    let interface = side.interface();
    let (ip, arp) = side.mux_ids();
    interface.set_mux_ids(ip, arp)?;
    let recorded = interface.mux_ids()?;
    if recorded != (ip, arp) {
        return Err(refusal::mismatch(
            "SIOCGLIFMUXID: the muxids of ip and arp",
            format!("{ip} and {arp} for {}, as {} did", interface.name, SIOCSLIFMUXID.name),
            format!("{} and {}", recorded.0, recorded.1),
        ));
    }
    Ok(())
}

//! One queue of an attached TAP. The descriptor is all there is: the kernel keeps the rest.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::SndBuf;

use super::super::tap::{FrameLimits, HostCan, Kind, settings};
use super::netdev::NetDevice;
use super::state::{Cause, Failure, State};
use super::{adopt, bound, datalink, netdev, state, tun};
use crate::attach::{AdoptError, AttachError, Config, DetachError, InterfaceName, Owner};
use crate::wire::Offload;

/// A frame needs its Ethernet header; the kernel knows no longest one. So the limit is the largest IP packet with an
/// Ethernet header and two VLAN tags. The length in an IPv6 header does not include that header.
const LIMITS: FrameLimits = FrameLimits::between(14, 40 + 65535 + 14 + 8);

#[derive(Debug)]
pub(crate) struct Interface {
    fd: OwnedFd,
    kind: Kind,
    /// As granted at the attach.
    offload: Offload,
    host_can: HostCan,
    limits: FrameLimits,
    /// The interface is in multi-queue mode, which a removed one must be given again.
    multi_queue: bool,
    /// The attach made it.
    created: bool,
    /// The attach has bound the queue by the interface's name a moment ago, and now applies the settings.
    just_bound: AtomicBool,
}

impl Interface {
    pub(super) fn new(fd: OwnedFd, state: State, multi_queue: bool, created: bool) -> Self {
        let State { granted: offload, host_can } = state;
        Self {
            fd,
            kind: Kind::Device,
            offload,
            host_can,
            limits: LIMITS,
            multi_queue,
            created,
            just_bound: AtomicBool::new(false),
        }
    }

    /// Makes a queue of an interface whose removal neither read, write nor poll reports.
    pub(super) fn ending_silently(self) -> Self {
        Self { limits: FrameLimits { ends_silently: true, ..self.limits }, ..self }
    }

    pub(crate) fn attach(name: Option<&str>, config: &Config, queues: u16) -> Result<Vec<Self>, AttachError> {
        let queues = tun::attach(name, config, queues)?;
        if let Some(first) = queues.first() {
            first.just_bound.store(true, Ordering::Relaxed);
            settings::apply(first, config)?;
            first.just_bound.store(false, Ordering::Relaxed);
        }
        Ok(queues)
    }

    pub(crate) fn attach_datalink(name: &str, config: &Config) -> Result<Self, AttachError> {
        datalink::attach(name, config)
    }

    pub(crate) fn adopt(fd: OwnedFd, config: &Config) -> Result<Self, AdoptError> {
        adopt::adopt(fd, config)
    }

    pub(crate) fn socket(fd: OwnedFd, kind: Kind, offload: Offload) -> Self {
        // What its peer makes of a header is between the peer and the caller.
        let host_can = if offload.header_len > 0 { HostCan::EVERYTHING } else { HostCan::NOTHING };
        let mut limits = FrameLimits::OF_SOCKET;
        let longest = longest_datagram(fd.as_fd(), kind).saturating_sub(offload.header_len);
        limits.longest = limits.longest.min(longest);
        Self {
            fd,
            kind,
            offload,
            host_can,
            limits,
            multi_queue: false,
            created: false,
            just_bound: AtomicBool::new(false),
        }
    }

    pub(crate) fn reattach(&self, config: &Config) -> Result<(bool, Offload), AttachError> {
        let granted = tun::bind_again(self.as_fd(), config, self.multi_queue)?;
        settings::apply(self, config)?;
        config.persistent.map_or(Ok(()), |owner| self.persist(owner))?;
        Ok((false, granted))
    }

    /// A re-attach that fails leaves what there was.
    pub(crate) fn is_lost(&self) -> bool {
        false
    }

    pub(crate) fn detach(self) -> Result<(), DetachError> {
        drop(self);
        Ok(())
    }

    pub(crate) fn into_fd(self) -> Result<OwnedFd, Self> {
        Ok(self.fd)
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

    /// Whatever comes is the guest's.
    pub(crate) fn station(&self) -> Option<[u8; 6]> {
        None
    }

    /// Nothing but frames ever comes.
    pub(crate) fn clear_way(&self, _: i32) -> bool {
        false
    }

    /// Nobody tells what happens to the interface.
    pub(crate) fn news_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    pub(crate) fn take_news(&self) -> io::Result<Option<bool>> {
        Ok(None)
    }

    pub(crate) fn host_can(&self) -> HostCan {
        self.host_can
    }

    /// Refuses to ask a socket what only a device knows: it would take the request for one about an interface of no name.
    fn check_device(&self) -> io::Result<()> {
        if self.kind == Kind::Device { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    pub(crate) fn created(&self) -> bool {
        self.created
    }

    pub(crate) fn add_queues(&self, count: u16) -> Result<Vec<Self>, AttachError> {
        if !self.multi_queue {
            return Err(AttachError::Unsupported {
                what: "a further queue of an interface in the mode of a single queue",
            });
        }
        let state = State { granted: self.offload, host_can: self.host_can };
        (0..count).map(|_| tun::add_queue(self.as_fd(), state)).collect()
    }

    pub(crate) fn persist(&self, owner: Owner) -> Result<(), AttachError> {
        tun::persist(self.as_fd(), owner)
    }

    /// A socket has no such request, and needs none: what its peer sends is between the peer and the caller.
    pub(crate) fn set_header_len(&self, len: usize) -> io::Result<()> {
        match state::set_header_len(self.as_fd(), len) {
            Err(Failure { cause: Cause::Refused(error), .. }) => match error.raw_os_error() {
                Some(libc::ENOTTY | libc::EOPNOTSUPP) => Ok(()),
                _ => Err(error),
            },
            Err(Failure { cause: Cause::ReadBack { .. }, .. }) => Err(io::ErrorKind::Unsupported.into()),
            Ok(()) => Ok(()),
        }
    }

    pub(crate) fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        state::set_offload(self.as_fd(), wanted, self.host_can)
    }

    pub(crate) fn set_queue_enabled(&self, enabled: bool) -> io::Result<()> {
        self.check_device()?;
        bound::set_queue_enabled(self.as_fd(), enabled, !self.limits.ends_silently)
    }

    pub(crate) fn set_carrier(&self, carrier: bool) -> io::Result<()> {
        state::set_carrier(self.as_fd(), carrier)
    }

    /// The interface by its name, to be asked.
    fn asked(&self) -> io::Result<NetDevice> {
        self.found(NetDevice::of)
    }

    /// The interface by its name, to be changed.
    fn changed(&self) -> io::Result<NetDevice> {
        self.found(NetDevice::surely_of)
    }

    fn found(&self, find: impl FnOnce(BorrowedFd<'_>) -> io::Result<NetDevice>) -> io::Result<NetDevice> {
        let just_bound = self.just_bound.load(Ordering::Relaxed);
        if just_bound { NetDevice::just_bound(self.as_fd()) } else { find(self.as_fd()) }
    }

    pub(crate) fn name(&self) -> io::Result<InterfaceName> {
        netdev::name(self.as_fd())
    }

    pub(crate) fn name_of(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
        netdev::name(fd)
    }

    pub(crate) fn index(&self) -> io::Result<u32> {
        self.asked()?.index()
    }

    pub(crate) fn addresses(&self) -> io::Result<Vec<(IpAddr, u8)>> {
        netdev::addresses(&self.asked()?)
    }

    pub(crate) fn queue_length(&self) -> io::Result<u32> {
        netdev::queue_length(&self.asked()?)
    }

    pub(crate) fn set_queue_length(&self, frames: u32) -> io::Result<()> {
        netdev::set_queue_length(&self.changed()?, frames)
    }

    pub(crate) fn mtu(&self) -> io::Result<u32> {
        netdev::mtu(&self.asked()?)
    }

    pub(crate) fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        netdev::set_mtu(&self.changed()?, mtu)
    }

    pub(crate) fn hardware_address(&self) -> io::Result<[u8; 6]> {
        self.check_device()?;
        netdev::hardware_address(self.as_fd())
    }

    pub(crate) fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        self.check_device()?;
        netdev::set_hardware_address(self.as_fd(), address)
    }

    pub(crate) fn is_up(&self) -> io::Result<bool> {
        netdev::is_up(&self.asked()?)
    }

    pub(crate) fn set_up(&self, up: bool) -> io::Result<()> {
        netdev::set_up(&self.changed()?, up)
    }

    pub(crate) fn set_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        netdev::set_address(&self.changed()?, address, prefix)
    }

    pub(crate) fn is_removed(&self) -> bool {
        bound::is_removed(self.as_fd())
    }

    pub(crate) fn dropped_by_host(&self) -> Option<u64> {
        netdev::dropped_by_host(&self.asked().ok()?)
    }
}

impl AsFd for Interface {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The longest datagram that a socket takes, in bytes. For a socket of the Internet it is the longest UDP datagram, that of
/// IPv6; the kernel refuses one of IPv4 that is too long. For others it is the send buffer without the kernel's own 32 bytes
/// (unix(7)).
fn longest_datagram(fd: BorrowedFd<'_>, kind: Kind) -> usize {
    match kind {
        Kind::Internet => 65535 - 8,
        _ => getsockopt(&fd, SndBuf).map_or(usize::MAX, |buffer| buffer.saturating_sub(32)),
    }
}

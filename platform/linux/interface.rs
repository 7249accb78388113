//! One queue of an attached TAP. The descriptor is all there is: the kernel keeps the rest.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::tap::{FrameLimits, settings};
use super::{adopt, bound, netdev, state, tun};
use crate::attach::{AdoptError, AttachError, Config, DetachError, InterfaceName};
use crate::wire::Offload;

/// A frame needs its Ethernet header; the kernel knows no longest one, so the limit is the largest IP packet (of IPv6, which
/// does not count its header) with an Ethernet header and two VLAN tags.
const LIMITS: FrameLimits = FrameLimits {
    shortest: 14,
    longest: 40 + 65535 + 14 + 8,
    zero_is_end: false,
    refusal_passes: false,
    ends_silently: false,
};

#[derive(Debug)]
pub(crate) struct Interface {
    fd: OwnedFd,
    /// As granted at the attach.
    offload: Offload,
    limits: FrameLimits,
    /// The interface is in multi-queue mode, which a removed one must be given again.
    multi_queue: bool,
}

impl Interface {
    pub(super) fn new(fd: OwnedFd, offload: Offload, multi_queue: bool) -> Self {
        Self { fd, offload, limits: LIMITS, multi_queue }
    }

    /// Makes a queue of an interface whose end neither read, write nor poll tells.
    pub(super) fn ending_silently(self) -> Self {
        Self { limits: FrameLimits { ends_silently: true, ..self.limits }, ..self }
    }

    pub(crate) fn attach(name: Option<&str>, config: &Config, queues: u16) -> Result<Vec<Self>, AttachError> {
        let queues = tun::attach(name, config, queues)?;
        queues.first().map_or(Ok(()), |first| settings::apply(first, config))?;
        Ok(queues)
    }

    pub(crate) fn adopt(fd: OwnedFd, offload: &Offload) -> Result<Self, AdoptError> {
        adopt::adopt(fd, offload)
    }

    pub(crate) fn socket(fd: OwnedFd, offload: Offload, limits: FrameLimits) -> Self {
        Self { fd, offload, limits, multi_queue: false }
    }

    pub(crate) fn reattach(&self, config: &Config) -> Result<(bool, Offload), AttachError> {
        let granted = tun::bind_again(self.as_fd(), config, self.multi_queue)?;
        settings::apply(self, config)?;
        Ok((false, granted))
    }

    pub(crate) fn detach(self) -> Result<(), DetachError> {
        drop(self);
        Ok(())
    }

    pub(crate) fn into_fd(self) -> Result<OwnedFd, Self> {
        Ok(self.fd)
    }

    pub(crate) fn offload(&self) -> Offload {
        self.offload
    }

    pub(crate) fn limits(&self) -> FrameLimits {
        self.limits
    }

    pub(crate) fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        state::set_offload(self.as_fd(), wanted)
    }

    pub(crate) fn set_queue_enabled(&self, enabled: bool) -> io::Result<()> {
        bound::set_queue_enabled(self.as_fd(), enabled)
    }

    pub(crate) fn set_carrier(&self, carrier: bool) -> io::Result<()> {
        state::set_carrier(self.as_fd(), carrier)
    }

    pub(crate) fn name(&self) -> io::Result<InterfaceName> {
        netdev::name(self.as_fd())
    }

    pub(crate) fn name_of(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
        netdev::name(fd)
    }

    pub(crate) fn mtu(&self) -> io::Result<u32> {
        netdev::mtu(self.as_fd())
    }

    pub(crate) fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        netdev::set_mtu(self.as_fd(), mtu)
    }

    pub(crate) fn hardware_address(&self) -> io::Result<[u8; 6]> {
        netdev::hardware_address(self.as_fd())
    }

    pub(crate) fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        netdev::set_hardware_address(self.as_fd(), address)
    }

    pub(crate) fn is_up(&self) -> io::Result<bool> {
        netdev::is_up(self.as_fd())
    }

    pub(crate) fn set_up(&self, up: bool) -> io::Result<()> {
        netdev::set_up(self.as_fd(), up)
    }

    pub(crate) fn set_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        netdev::set_address(self.as_fd(), address, prefix)
    }

    pub(crate) fn is_removed(&self) -> bool {
        bound::is_removed(self.as_fd())
    }

    pub(crate) fn dropped_by_host(&self) -> Option<u64> {
        netdev::dropped_by_host(self.as_fd())
    }
}

impl AsFd for Interface {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

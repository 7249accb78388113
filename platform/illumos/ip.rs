//! Questions and settings of an IP interface in one address family. if_tcp(4P)

use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::abi::{
    AF_INET, AF_INET6, IFF_UP, LIFR_ADDR, LIFR_ARP_MUXID, LIFR_FLAGS, LIFR_IP_MUXID, LIFR_MTU, LifReq,
    Request, SIN_ADDR, SIN6_ADDR, SIOCGLIFFLAGS, SIOCGLIFMTU, SIOCGLIFMUXID, SIOCLIFADDIF, SIOCSLIFADDR,
    SIOCSLIFFLAGS, SIOCSLIFMTU, SIOCSLIFMUXID, SIOCSLIFNETMASK,
};
use super::mux_link::Mux;
use super::{refusal, streams};
use crate::attach::{AttachError, InterfaceName};

/// An interface as it is asked for: by its name, through a stream of `/dev/udp` or `/dev/udp6`, which decides the family.
pub(super) struct IpInterface<'a> {
    pub(super) through: &'a Mux,
    pub(super) name: InterfaceName,
}

impl IpInterface<'_> {
    /// `SIOCGLIFMUXID`: the muxids of the IP and the ARP stream; 0 for a stream that is not linked.
    pub(super) fn mux_ids(&self) -> Result<(c_int, c_int), AttachError> {
        Ok(self.ask(SIOCGLIFMUXID, |_| {})?.mux_ids())
    }

    /// `SIOCSLIFMUXID`.
    pub(super) fn set_mux_ids(&self, ip: c_int, arp: c_int) -> Result<(), AttachError> {
        self.ask(SIOCSLIFMUXID, |request| request.set_mux_ids(ip, arp)).map(drop)
    }

    /// `SIOCGLIFMTU`, in bytes without the Ethernet header.
    pub(super) fn mtu(&self) -> Result<u32, AttachError> {
        Ok(self.ask(SIOCGLIFMTU, |_| {})?.mtu())
    }

    /// `SIOCSLIFMTU`, in bytes without the Ethernet header.
    pub(super) fn set_mtu(&self, mtu: u32) -> Result<(), AttachError> {
        self.ask(SIOCSLIFMTU, |request| request.set_mtu(mtu)).map(drop)
    }

    /// `SIOCGLIFFLAGS`.
    pub(super) fn is_up(&self) -> Result<bool, AttachError> {
        Ok(self.flags()? & IFF_UP != 0)
    }

    /// `SIOCGLIFFLAGS`, then `SIOCSLIFFLAGS`, which replaces all of them.
    pub(super) fn set_up(&self, up: bool) -> Result<(), AttachError> {
        let flags = self.flags()?;
        let wanted = if up { flags | IFF_UP } else { flags & !IFF_UP };
        self.ask(SIOCSLIFFLAGS, |request| request.set_flags(wanted)).map(drop)
    }

    /// Whether the first unit can bear the address: of IPv6 it takes link-local ones only.
    pub(super) fn takes(address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(_)) || matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
    }

    /// Gives the first unit its address.
    pub(super) fn set_address(&self, address: IpAddr, prefix: u8) -> Result<(), AttachError> {
        self.ask(SIOCSLIFADDR, |request| request.set_address(address))?;
        self.set_netmask(address, prefix)
    }

    /// Makes a logical interface with an address, which is down, and returns its name, such as `tap3:1`. `SIOCLIFADDIF`
    pub(super) fn add_address(&self, address: IpAddr, prefix: u8) -> Result<InterfaceName, AttachError> {
        let answer = self.ask(SIOCLIFADDIF, |request| request.set_address(address))?;
        let added = answer.name().filter(|name| *name != self.name);
        let name = added.ok_or_else(|| {
            refusal::mismatch(
                "SIOCLIFADDIF: the new interface",
                format!("one above {}", self.name),
                self.name,
            )
        })?;
        IpInterface { through: self.through, name }.set_netmask(address, prefix)?;
        Ok(name)
    }

    pub(super) fn set_netmask(&self, address: IpAddr, prefix: u8) -> Result<(), AttachError> {
        self.ask(SIOCSLIFNETMASK, |request| request.set_address(netmask(address, prefix))).map(drop)
    }

    fn flags(&self) -> Result<u64, AttachError> {
        Ok(self.ask(SIOCGLIFFLAGS, |_| {})?.flags())
    }

    fn ask(&self, request: Request, fill: impl FnOnce(&mut LifReq)) -> Result<LifReq, AttachError> {
        let mut argument = LifReq::about(self.name);
        fill(&mut argument);
        let object = || format!("{} through {}", self.name, self.through.family.node());
        streams::ask_ip(&self.through.fd, request, &mut argument).map_err(refusal::of(request, object()))?;
        Ok(argument)
    }
}

/// The mask of `prefix` leading ones, in the family of `address`. A prefix beyond the address' width is all ones.
fn netmask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(!u32::MAX.checked_shr(prefix.into()).unwrap_or(0))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(!u128::MAX.checked_shr(prefix.into()).unwrap_or(0))),
    }
}

/// What is written into a `lifreq` and read from it. Every request starts from one that is all zero, since the fields of
/// its union share their bytes.
impl LifReq {
    /// An otherwise empty request about the interface `name`.
    pub(super) fn about(name: InterfaceName) -> Self {
        let mut request = Self { lifr_name: [0; 32], lifr_ppa: 0, lifr_type: 0, lifr_lifru: [0; 336] };
        let text = name.as_bytes();
        request.lifr_name[..text.len()].copy_from_slice(text);
        request
    }

    pub(super) fn name(&self) -> Option<InterfaceName> {
        InterfaceName::from_c_bytes(&self.lifr_name)
    }

    /// `lifr_flags`: 64 bits.
    pub(super) fn flags(&self) -> u64 {
        u64::from_ne_bytes(self.at(LIFR_FLAGS))
    }

    pub(super) fn set_flags(&mut self, flags: u64) {
        self.put(LIFR_FLAGS, &flags.to_ne_bytes());
    }

    /// `lifr_mtu`: bytes, without the Ethernet header.
    pub(super) fn mtu(&self) -> u32 {
        u32::from_ne_bytes(self.at(LIFR_MTU))
    }

    pub(super) fn set_mtu(&mut self, mtu: u32) {
        self.put(LIFR_MTU, &mtu.to_ne_bytes());
    }

    /// `lifr_ip_muxid` and `lifr_arp_muxid`.
    pub(super) fn mux_ids(&self) -> (c_int, c_int) {
        (c_int::from_ne_bytes(self.at(LIFR_IP_MUXID)), c_int::from_ne_bytes(self.at(LIFR_ARP_MUXID)))
    }

    pub(super) fn set_mux_ids(&mut self, ip: c_int, arp: c_int) {
        self.put(LIFR_IP_MUXID, &ip.to_ne_bytes());
        self.put(LIFR_ARP_MUXID, &arp.to_ne_bytes());
    }

    /// `lifr_addr`: a `sockaddr_in` or a `sockaddr_in6` in a `sockaddr_storage`.
    pub(super) fn set_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                self.put(LIFR_ADDR, &AF_INET.to_ne_bytes());
                self.put(LIFR_ADDR + SIN_ADDR, &address.octets());
            }
            IpAddr::V6(address) => {
                self.put(LIFR_ADDR, &AF_INET6.to_ne_bytes());
                self.put(LIFR_ADDR + SIN6_ADDR, &address.octets());
            }
        }
    }

    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        std::array::from_fn(|index| self.lifr_lifru[offset + index])
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.lifr_lifru[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

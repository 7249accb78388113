//! Questions and settings of an IP interface in one address family. if_tcp(4P)

use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use log::warn;

use super::abi::{
    AF_INET, AF_INET6, IFF_DHCPRUNNING, IFF_UP, LIFR_ADDR, LIFR_ARP_MUXID, LIFR_FLAGS, LIFR_IP_MUXID,
    LIFR_MTU, LifReq, Request, SIN_ADDR, SIN6_ADDR, SIOCGLIFCONF, SIOCGLIFFLAGS, SIOCGLIFMTU, SIOCGLIFMUXID,
    SIOCGLIFNETMASK, SIOCLIFADDIF, SIOCLIFREMOVEIF, SIOCSLIFADDR, SIOCSLIFFLAGS, SIOCSLIFMTU, SIOCSLIFMUXID,
    SIOCSLIFNETMASK,
};
use super::mux_link::{Family, Mux};
use super::{refusal, streams};
use crate::attach::{AttachError, InterfaceName};

/// How many addresses of the whole host are made room for at first, and at the most.
const USUAL_ADDRESSES: usize = 32;
const MOST_ADDRESSES: usize = 65536;

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
        let unit = self.unit(name);
        unit.set_netmask(address, prefix).inspect_err(|_| {
            // What is half made must not stay; the error that is told is the first.
            if let Err(error) = unit.ask(SIOCLIFREMOVEIF, |_| {}) {
                warn!("{error}");
            }
        })?;
        Ok(name)
    }

    /// Gives the interface one more address, unless it has it already. Those that are there stay, whoever gave them. On an
    /// interface that is up it is up at once. Returns the unit that bears it.
    pub(super) fn give_address(&self, address: IpAddr, prefix: u8) -> Result<InterfaceName, AttachError> {
        let name = self.place(address, prefix)?;
        let unit = self.unit(name);
        if name != self.name && self.is_up()? && !unit.is_up()? {
            unit.set_up(true)?;
        }
        Ok(name)
    }

    fn place(&self, address: IpAddr, prefix: u8) -> Result<InterfaceName, AttachError> {
        let units = self.units()?;
        if let Some((name, _)) = units.iter().find(|(_, held)| *held == address) {
            let unit = self.unit(*name);
            if unit.netmask()? != Some(netmask(address, prefix)) {
                unit.set_netmask(address, prefix)?;
            }
            return Ok(*name);
        }
        let first = units.iter().find(|(name, _)| *name == self.name);
        let is_bare = first.is_some_and(|(_, held)| held.is_unspecified());
        // One that DHCP is to give an address has none so far.
        if is_bare && Self::takes(address) && self.flags()? & IFF_DHCPRUNNING == 0 {
            self.set_address(address, prefix)?;
            return Ok(self.name);
        }
        self.add_address(address, prefix)
    }

    /// `SIOCGLIFCONF`: the units of this interface, with the address of each.
    pub(super) fn units(&self) -> Result<Vec<(InterfaceName, IpAddr)>, AttachError> {
        let family = match self.through.family {
            Family::V4 => AF_INET,
            Family::V6 => AF_INET6,
        };
        let mut room = Vec::new();
        let filled = loop {
            room.resize_with(room.len() * 2 + USUAL_ADDRESSES, LifReq::empty);
            match streams::list_addresses(&self.through.fd, family, &mut room) {
                // A list that fills the room may not be all; illumos answers EINVAL then.
                Ok(filled) if filled < room.len() => break filled,
                Err(error) if !refusal::is(&error, libc::EINVAL) => {
                    return Err(refusal::of(SIOCGLIFCONF, self.through.family.node())(error));
                }
                _ if room.len() > MOST_ADDRESSES => {
                    return Err(refusal::mismatch(
                        "SIOCGLIFCONF: the addresses of the host",
                        "65536 at most",
                        "more than 65536",
                    ));
                }
                _ => {}
            }
        };
        let is_ours = |name: &InterfaceName| {
            let rest = name.as_bytes().strip_prefix(self.name.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
        };
        let found = room[..filled].iter().filter_map(|unit| Some((unit.name()?, unit.address()?)));
        Ok(found.filter(|(name, _)| is_ours(name)).collect())
    }

    fn unit(&self, name: InterfaceName) -> IpInterface<'_> {
        IpInterface { through: self.through, name }
    }

    fn netmask(&self) -> Result<Option<IpAddr>, AttachError> {
        Ok(self.ask(SIOCGLIFNETMASK, |_| {})?.address())
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
    fn empty() -> Self {
        Self { lifr_name: [0; 32], lifr_ppa: 0, lifr_type: 0, lifr_lifru: [0; 336] }
    }

    /// An otherwise empty request about the interface `name`.
    pub(super) fn about(name: InterfaceName) -> Self {
        let mut request = Self::empty();
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

    /// `lifr_addr`, where it is of a family that is known here.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match u16::from_ne_bytes(self.at(LIFR_ADDR)) {
            AF_INET => Some(Ipv4Addr::from(self.at::<4>(LIFR_ADDR + SIN_ADDR)).into()),
            AF_INET6 => Some(Ipv6Addr::from(self.at::<16>(LIFR_ADDR + SIN6_ADDR)).into()),
            _ => None,
        }
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

//! The interfaces IP knows.

use std::collections::BTreeMap;

use crate::abi::{
    AF_INET, AF_INET6, ETHERMTU, IFF_BROADCAST, IFF_CANTCHANGE, IFF_IPV4, IFF_IPV6, IFF_MULTICAST,
    IFF_NOLINKLOCAL, IFF_RUNNING, IFF_UP,
};
use crate::kernel::stream::StreamId;

/// Address family of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The illumos `AF_` number.
    pub fn number(self) -> i32 {
        match self {
            Self::V4 => AF_INET,
            Self::V6 => AF_INET6,
        }
    }

    /// The family of an illumos `AF_` number.
    pub fn of_number(number: i32) -> Option<Self> {
        [Self::V4, Self::V6].into_iter().find(|family| family.number() == number)
    }
}

/// An interface's number inside the model; unlike its name never used again.
pub(crate) type InterfaceId = u32;

/// An IPv4 or IPv6 address as its bytes.
pub(crate) type Address = Vec<u8>;

/// What closing the control stream under an unserved request has done to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wedge {
    /// The answer to an unbind of a going down is lost: whatever takes the interface away waits for ever.
    Down,
    /// ARP's close waits for ever: flag changes wait behind it.
    ArpClose,
    /// IP's close waits for ever: the interface is listed and not found.
    IpClose,
    /// A bring-up waits for ever: even reading the flags waits behind it.
    Up,
}

/// One address of an interface: unit 0 is the interface itself, unit n is "name:n".
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) address: Address,
    pub(crate) mask: Address,
    /// The flags that are the unit's own: UP, DUPLICATE and what SIOCSLIFFLAGS may set.
    pub(crate) flags: u64,
    /// Virtual time from which address resolution answers for it, once it is up.
    pub(crate) usable_from: Option<u64>,
    /// Somebody else had the address, and it is tried again by itself (`ipif_was_dup`).
    pub(crate) was_duplicate: bool,
}

impl Unit {
    fn new(family: Family) -> Self {
        let length = if family == Family::V4 { 4 } else { 16 };
        Self {
            address: vec![0; length],
            mask: vec![0; length],
            flags: 0,
            usable_from: None,
            was_duplicate: false,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    pub(crate) fn is_unspecified(&self) -> bool {
        self.address.iter().all(|&byte| byte == 0)
    }
}

/// What is known of a neighbour's hardware address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbour {
    pub(crate) mac: Option<[u8; 6]>,
    /// Network-layer packets that wait for the address.
    pub(crate) waiting: Vec<Vec<u8>>,
}

/// One interface of one family.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) family: Family,
    pub(crate) name: String,
    pub(crate) ppa: u32,
    pub(crate) ip_stream: StreamId,
    pub(crate) arp_stream: Option<StreamId>,
    pub(crate) ip_muxid: i32,
    pub(crate) arp_muxid: i32,
    /// Flags all units share.
    pub(crate) flags: u64,
    pub(crate) mtu: u32,
    pub(crate) mac: [u8; 6],
    pub(crate) units: BTreeMap<u32, Unit>,
    pub(crate) neighbours: BTreeMap<Address, Neighbour>,
    pub(crate) wedge: Option<Wedge>,
    /// Multicast reports still to be sent, so that a joining unit knows whether it comes in between.
    pub(crate) reports_pending: u32,
}

impl Interface {
    pub(crate) fn new(family: Family, name: &str, ppa: u32, ip_stream: StreamId, asked: u64) -> Self {
        let own = match family {
            Family::V4 => IFF_IPV4 | IFF_BROADCAST,
            Family::V6 => IFF_IPV6 | (asked & IFF_NOLINKLOCAL),
        };
        Self {
            family,
            name: name.to_owned(),
            ppa,
            ip_stream,
            arp_stream: None,
            ip_muxid: 0,
            arp_muxid: 0,
            flags: own | IFF_RUNNING | IFF_MULTICAST,
            mtu: ETHERMTU as u32,
            mac: [0; 6],
            units: BTreeMap::from([(0, Unit::new(family))]),
            neighbours: BTreeMap::new(),
            wedge: None,
            reports_pending: 0,
        }
    }

    pub(crate) fn flags_of(&self, unit: u32) -> u64 {
        self.flags | self.units.get(&unit).map_or(0, |unit| unit.flags)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.units.values().any(Unit::is_up)
    }

    pub(crate) fn add_unit(&mut self) -> u32 {
        let number = (1..).find(|number| !self.units.contains_key(number)).unwrap_or(1);
        self.units.insert(number, Unit::new(self.family));
        number
    }

    /// Replaces the whole set of a unit's flags but those the caller cannot change.
    pub(crate) fn set_flags(&mut self, unit: u32, flags: u64) {
        if let Some(unit) = self.units.get_mut(&unit) {
            unit.flags = (unit.flags & IFF_CANTCHANGE) | (flags & !IFF_CANTCHANGE & !self.flags);
        }
    }

    /// The name of a unit as the requests spell it.
    pub(crate) fn unit_name(&self, unit: u32) -> String {
        if unit == 0 { self.name.clone() } else { format!("{}:{unit}", self.name) }
    }
}

/// Splits "name:unit"; a name without a colon means unit 0.
pub(crate) fn split_unit(name: &str) -> Option<(&str, u32)> {
    match name.split_once(':') {
        None => Some((name, 0)),
        Some((name, unit)) => unit.parse().ok().map(|unit| (name, unit)),
    }
}

/// The number a name ends in, modulo 2^32 as the kernel computes it, when the name is a legal one (`ill_get_ppa_ptr`):
/// a letter first, then letters, digits, dots and underscores, a decimal number without leading zero at the end.
pub(crate) fn ppa_of_name(name: &str) -> Option<u32> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[stem.len()..];
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    let well_formed = stem.starts_with(|c: char| c.is_ascii_alphabetic()) && stem.chars().all(legal);
    if !well_formed || digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let value = digits
        .bytes()
        .fold(0_u32, |value, digit| value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
    Some(value)
}

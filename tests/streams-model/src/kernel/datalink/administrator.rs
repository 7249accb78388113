//! What the administrator does with dladm.
//!
//! Links are also made from a text: for a program that is started with the machine it runs on, and cannot make them itself.

use std::net::Ipv4Addr;

use crate::abi::Errno;
use crate::kernel::Kernel;
use crate::kernel::datalink::bandwidth::Bandwidth;
use crate::kernel::datalink::{DEFAULT_MTU, Link, LinkClass, LinkId, Mac, Offloads};

/// MTUs of an etherstub and of what lies over one.
const STUB_MTUS: std::ops::RangeInclusive<u32> = 576..=DEFAULT_MTU;
/// MTUs a NIC can be set to.
const NIC_MTUS: std::ops::Range<u32> = 61..DEFAULT_MTU;

impl Kernel {
    /// Makes a NIC.
    ///
    /// # Errors
    /// `EEXIST`
    pub fn create_nic(&mut self, name: &str, address: Mac) -> Result<(), Errno> {
        self.add_link(Link::new(name, LinkClass::Nic, address))
    }

    /// Makes an etherstub.
    ///
    /// # Errors
    /// `EEXIST`
    pub fn create_etherstub(&mut self, name: &str, address: Mac) -> Result<(), Errno> {
        self.add_link(Link::new(name, LinkClass::Etherstub, address))
    }

    /// Makes a vnic over a NIC or an etherstub, in a VLAN or, with 0, in none.
    ///
    /// # Errors
    /// `EEXIST`; `ENOENT` when there is nothing to lie over; `EINVAL` over a vnic; `EBUSY` when the address is taken.
    pub fn create_vnic(&mut self, name: &str, over: &str, address: Mac, vid: u16) -> Result<(), Errno> {
        let below = self.link_named(over)?;
        let lower = self.link_of(below).ok_or(Errno::ENOENT)?;
        if lower.class == LinkClass::Vnic {
            return Err(Errno::EINVAL);
        }
        let taken = |client: &LinkId| {
            self.link_of(*client).is_some_and(|link| link.address == address && link.vid == vid)
        };
        if self.clients_of(below).iter().any(taken) {
            return Err(Errno::EBUSY);
        }
        let mut link = Link::new(name, LinkClass::Vnic, address);
        (link.over, link.vid, link.mtu) = (Some(below), vid, lower.mtu);
        let id = self.datalinks.next;
        let opens = self.clients_of(below).len() == 1 && self.promiscuity_of(below) == 0;
        self.add_link(link)?;
        if opens {
            self.tell_promiscuity(below);
        }
        let up = self.is_up(id);
        self.named_link_mut(name)?.told_up = up;
        Ok(())
    }

    fn add_link(&mut self, link: Link) -> Result<(), Errno> {
        if self.link_named(&link.name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.datalinks.links.insert(self.datalinks.next, link);
        self.datalinks.next += 1;
        Ok(())
    }

    /// Plugs a wire in between two NICs.
    ///
    /// # Errors
    /// `ENOENT`; `EINVAL` when one is no NIC.
    pub fn connect_nics(&mut self, one: &str, other: &str) -> Result<(), Errno> {
        let ends = [self.link_named(one)?, self.link_named(other)?];
        if ends.iter().any(|end| self.link_of(*end).is_none_or(|link| link.class != LinkClass::Nic)) {
            return Err(Errno::EINVAL);
        }
        for (end, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            if let Some(link) = self.link_of_mut(end) {
                link.peer = Some(peer);
            }
        }
        Ok(())
    }

    /// Deletes a link.
    ///
    /// # Errors
    /// `ENOENT`; `EBUSY` while a stream is open on it, a client in the kernel has it or a vnic lies over it.
    pub fn delete_link(&mut self, name: &str) -> Result<(), Errno> {
        let id = self.free_link(name)?;
        let over = self.link_of(id).and_then(|link| link.over);
        self.datalinks.links.remove(&id);
        for link in self.datalinks.links.values_mut() {
            link.peer = link.peer.filter(|peer| *peer != id);
        }
        if let Some(over) = over.filter(|over| !self.lets_everything_in(*over)) {
            self.tell_promiscuity(over);
        }
        Ok(())
    }

    /// A link that nobody uses.
    fn free_link(&self, name: &str) -> Result<LinkId, Errno> {
        let id = self.link_named(name)?;
        let used = !self.streams_of(id).is_empty()
            || self.clients_of(id).len() > 1
            || self.link_of(id).is_some_and(|link| link.kernel_client);
        if used { Err(Errno::EBUSY) } else { Ok(id) }
    }

    /// Gives a link another name.
    ///
    /// # Errors
    /// `ENOENT`; `EBUSY` as for a deletion; `EEXIST`
    pub fn rename_link(&mut self, name: &str, to: &str) -> Result<(), Errno> {
        let id = self.free_link(name)?;
        if self.link_named(to).is_ok() {
            return Err(Errno::EEXIST);
        }
        if let Some(link) = self.link_of_mut(id) {
            link.name = to.to_owned();
        }
        Ok(())
    }

    /// Gives a link to a zone, or with 0 back to the global one.
    ///
    /// # Errors
    /// `ENOENT`; `EBUSY` while a stream is open on it.
    pub fn set_link_zone(&mut self, name: &str, zone: u32) -> Result<(), Errno> {
        let id = self.free_link(name)?;
        if let Some(link) = self.link_of_mut(id) {
            link.zone = zone;
        }
        Ok(())
    }

    /// Sets a link's MTU. Over a NIC a vnic has the NIC's; over an etherstub it can be less.
    ///
    /// # Errors
    /// `ENOENT`; `EINVAL` out of range; `EBUSY` when what lies over it needs more.
    pub fn set_link_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Errno> {
        let id = self.link_named(name)?;
        let link = self.link_of(id).ok_or(Errno::ENOENT)?;
        let (before, class) = (link.mtu, link.class);
        let lower = link.over.and_then(|over| self.link_of(over)).map(|lower| (lower.class, lower.mtu));
        let needed = self.clients_of(id).into_iter().filter(|client| *client != id);
        let needed = needed.filter_map(|client| self.link_of(client)).map(|link| link.mtu).max();
        if needed.is_some_and(|needed| mtu < needed) {
            return Err(Errno::EBUSY);
        }
        let valid = match (class, lower) {
            _ if mtu == before => true,
            (LinkClass::Nic, _) => NIC_MTUS.contains(&mtu),
            (_, Some((LinkClass::Nic, nic))) => mtu == nic,
            (_, Some((_, stub))) => STUB_MTUS.contains(&mtu) && mtu <= stub,
            (_, None) => STUB_MTUS.contains(&mtu),
        };
        if !valid {
            return Err(Errno::EINVAL);
        }
        if let Some(link) = self.link_of_mut(id) {
            link.mtu = mtu;
        }
        if mtu != before {
            self.tell_new_size(id);
        }
        Ok(())
    }

    /// Pulls a NIC's cable out, or plugs it in.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn set_carrier(&mut self, name: &str, up: bool) -> Result<(), Errno> {
        let id = self.link_named(name)?;
        let link = self.named_link_mut(name)?;
        if std::mem::replace(&mut link.carrier, up) != up {
            self.tell_carrier(id);
        }
        Ok(())
    }

    /// Sets an address, as `DL_SET_PHYS_ADDR_REQ` of anybody does.
    ///
    /// # Errors
    /// `ENOENT`; `EBUSY` when the switch knows the address already.
    pub fn set_link_address(&mut self, name: &str, address: Mac) -> Result<(), Errno> {
        let id = self.link_named(name)?;
        let taken = |client: &LinkId| self.link_of(*client).is_some_and(|link| link.address == address);
        if self.clients_of(self.switch_of(id)).iter().any(taken) {
            return Err(Errno::EBUSY);
        }
        self.named_link_mut(name)?.address = address;
        self.tell_new_address(id);
        Ok(())
    }

    /// Limits what a link sends, in bits a second.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn set_maxbw(&mut self, name: &str, bits_per_second: Option<u64>) -> Result<(), Errno> {
        self.named_link_mut(name)?.bandwidth = bits_per_second.map(Bandwidth::new);
        Ok(())
    }

    /// Sets a link's protection: the kinds, and the addresses that `MPT_IPNOSPOOF` allows.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn set_protection(&mut self, name: &str, kinds: u32, allowed: &[Ipv4Addr]) -> Result<(), Errno> {
        let id = self.link_named(name)?;
        let link = self.named_link_mut(name)?;
        link.protection.kinds = kinds;
        link.protection.allowed = allowed.to_vec();
        self.tell_new_protection(id);
        Ok(())
    }

    /// Sets what a NIC offers to do for its senders.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn set_offloads(&mut self, name: &str, offloads: Offloads) -> Result<(), Errno> {
        let id = self.link_named(name)?;
        self.named_link_mut(name)?.offloads = offloads;
        self.tell_new_capabilities(id);
        Ok(())
    }

    /// What a NIC offers.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn offloads(&self, name: &str) -> Result<Offloads, Errno> {
        let id = self.link_named(name)?;
        self.link_of(id).map(|link| link.offloads).ok_or(Errno::ENOENT)
    }
}

impl Kernel {
    /// Makes links as a text describes them, in its order: `nic NAME ADDRESS [MTU]`, `etherstub NAME ADDRESS` and
    /// `vnic NAME OVER ADDRESS [VID]`, with semicolons between them.
    ///
    /// # Errors
    /// In words, at the first part that describes no link or whose link cannot be made.
    pub fn make_links(&mut self, text: &str) -> Result<(), String> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.into_iter().try_for_each(|part| self.make_link(part))
    }

    fn make_link(&mut self, part: &str) -> Result<(), String> {
        let no_link = || format!("\"{part}\" describes no link");
        let mac = |text: &str| mac_of(text).ok_or_else(no_link);
        let made = match part.split_whitespace().collect::<Vec<_>>()[..] {
            ["nic", name, address] => self.create_nic(name, mac(address)?),
            ["nic", name, address, mtu] => {
                let mtu = mtu.parse().map_err(|_| no_link())?;
                self.create_nic(name, mac(address)?).and_then(|()| self.set_link_mtu(name, mtu))
            }
            ["etherstub", name, address] => self.create_etherstub(name, mac(address)?),
            ["vnic", name, over, address] => self.create_vnic(name, over, mac(address)?, 0),
            ["vnic", name, over, address, vid] => {
                let vid = vid.parse().map_err(|_| no_link())?;
                self.create_vnic(name, over, mac(address)?, vid)
            }
            _ => return Err(no_link()),
        };
        made.map_err(|errno| format!("\"{part}\": {errno}"))
    }
}

/// Six hexadecimal bytes with colons between them.
fn mac_of(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

//! Interface requests that change something, and what bringing an interface up and down does.

use crate::abi::{self, ETHERMTU, ETHERTYPE_ARP, ETHERTYPE_IP, ETHERTYPE_IPV6, Errno, IFF_FIXEDMTU, IFF_UP};
use crate::call::{Stop, Sys};
use crate::image::Lifreq;
use crate::kernel::interface::{Family, Interface, InterfaceId, Wedge};
use crate::kernel::sleep::{Step, lost_answer};
use crate::kernel::stream::{DlState, StreamId};
use crate::kernel::{Kernel, ndp};

/// Smallest MTU of IPv4 and of IPv6.
const MIN_MTU: [u32; 2] = [68, 1280];

impl Kernel {
    /// Carries out a changing request; true when the caller gets the `lifreq` back.
    pub(super) fn change(
        &mut self,
        request: u32,
        id: InterfaceId,
        unit: u32,
        lifreq: &mut Lifreq,
    ) -> Sys<bool> {
        match request {
            abi::SIOCSLIFMUXID => self.set_muxids(id, lifreq),
            abi::SIOCSLIFADDR => self.set_address(id, unit, lifreq),
            abi::SIOCSLIFNETMASK => self.set_netmask(id, unit, lifreq),
            abi::SIOCSLIFMTU => self.set_mtu(id, unit, lifreq.number()),
            abi::SIOCSLIFFLAGS => self.set_flags(id, unit, lifreq.flags()),
            abi::SIOCLIFADDIF => {
                self.add_unit(id, lifreq)?;
                return Ok(true);
            }
            abi::SIOCLIFREMOVEIF => self.remove_unit(id, unit),
            _ => Err(Errno::EINVAL.into()),
        }?;
        Ok(false)
    }

    fn interface_mut(&mut self, id: InterfaceId) -> Result<&mut Interface, Errno> {
        self.interfaces.get_mut(&id).ok_or(Errno::ENXIO)
    }

    /// Stored as given; without an ARP stream there is nowhere to store the second.
    fn set_muxids(&mut self, id: InterfaceId, lifreq: &Lifreq) -> Sys<()> {
        let interface = self.interface_mut(id)?;
        let (ip, arp) = lifreq.muxids();
        interface.ip_muxid = ip;
        if interface.arp_stream.is_some() {
            interface.arp_muxid = arp;
        }
        Ok(())
    }

    fn set_address(&mut self, id: InterfaceId, unit: u32, lifreq: &Lifreq) -> Sys<()> {
        let interface = self.interface_mut(id)?;
        let address = address_in(lifreq, interface.family)?;
        check_address(interface.family, unit, &address)?;
        let own = interface.units.get_mut(&unit).ok_or(Errno::ENXIO)?;
        own.address = address;
        if own.mask.iter().all(|&byte| byte == 0) {
            own.mask = default_mask(&own.address);
        }
        if own.is_up() {
            self.start_detection(id, unit);
        }
        Ok(())
    }

    fn set_netmask(&mut self, id: InterfaceId, unit: u32, lifreq: &Lifreq) -> Sys<()> {
        let interface = self.interface_mut(id)?;
        let mask = address_in(lifreq, interface.family)?;
        let bits: String = mask.iter().map(|byte| format!("{byte:08b}")).collect();
        if bits.contains("01") {
            return Err(Errno::ENOTSUP.into());
        }
        interface.units.get_mut(&unit).ok_or(Errno::ENXIO)?.mask = mask;
        Ok(())
    }

    fn set_mtu(&mut self, id: InterfaceId, unit: u32, mtu: u32) -> Sys<()> {
        let interface = self.interface_mut(id)?;
        let least = if interface.family == Family::V4 { MIN_MTU[0] } else { MIN_MTU[1] };
        if unit != 0 || !(least..=ETHERMTU as u32).contains(&mtu) {
            return Err(Errno::EINVAL.into());
        }
        interface.mtu = mtu;
        interface.flags |= IFF_FIXEDMTU;
        Ok(())
    }

    fn set_flags(&mut self, id: InterfaceId, unit: u32, flags: u64) -> Sys<()> {
        let interface = self.interface(id)?;
        if let Some(Wedge::ArpClose) = interface.wedge {
            return Err(lost_answer(true, None));
        }
        let was_up = interface.units.get(&unit).is_some_and(|unit| unit.is_up());
        match (was_up, flags & IFF_UP != 0) {
            (false, true) => self.bring_up(id, unit, flags),
            (true, false) => {
                self.bring_down(id, unit);
                self.interface_mut(id)?.set_flags(unit, flags);
                Ok(())
            }
            _ => {
                self.interface_mut(id)?.set_flags(unit, flags);
                Ok(())
            }
        }
    }

    /// `SIOCLIFADDIF`: a further unit, with an address when one is given; its name comes back.
    fn add_unit(&mut self, id: InterfaceId, lifreq: &mut Lifreq) -> Sys<()> {
        let interface = self.interface_mut(id)?;
        let address = match lifreq.family() {
            0 => None,
            _ => Some(address_in(lifreq, interface.family)?),
        };
        if let Some(address) = &address {
            check_address(interface.family, u32::MAX, address)?;
        }
        let number = interface.add_unit();
        let name = interface.unit_name(number);
        if let (Some(unit), Some(address)) = (interface.units.get_mut(&number), address) {
            unit.mask = default_mask(&address);
            unit.address = address;
        }
        lifreq.set_name(&name);
        Ok(())
    }

    fn remove_unit(&mut self, id: InterfaceId, unit: u32) -> Sys<()> {
        if unit == 0 {
            return Err(Errno::EINVAL.into());
        }
        if self.interface(id)?.units.get(&unit).is_some_and(|unit| unit.is_up()) {
            self.bring_down(id, unit);
        }
        self.interface_mut(id)?.units.remove(&unit);
        Ok(())
    }
}

fn address_in(lifreq: &Lifreq, family: Family) -> Result<Vec<u8>, Errno> {
    if i32::from(lifreq.family()) != family.number() {
        return Err(Errno::EAFNOSUPPORT);
    }
    Ok(match family {
        Family::V4 => lifreq.ipv4().to_vec(),
        Family::V6 => lifreq.ipv6().to_vec(),
    })
}

/// What an interface can be given: no multicast or broadcast address, and unit 0 of an IPv6 interface only a
/// link-local one.
fn check_address(family: Family, unit: u32, address: &[u8]) -> Result<(), Errno> {
    let good = match family {
        Family::V4 => address[0] & 0xf0 != 0xe0 && address != [0xff; 4],
        Family::V6 => address[0] != 0xff && (unit != 0 || ndp::is_link_local(address)),
    };
    if good { Ok(()) } else { Err(Errno::EADDRNOTAVAIL) }
}

/// The mask of an address nobody gave one for: its class, or all of an IPv6 address.
fn default_mask(address: &[u8]) -> Vec<u8> {
    let ones = match (address.len(), address[0]) {
        (16, _) => 16,
        (_, 0..128) => 1,
        (_, 128..192) => 2,
        _ => 3,
    };
    let mask = |at| if at < ones { 0xff } else { 0 };
    (0..address.len()).map(mask).collect()
}

impl Kernel {
    fn bring_up(&mut self, id: InterfaceId, unit: u32, flags: u64) -> Sys<()> {
        let interface = self.interface(id)?;
        if interface.wedge.is_some() {
            return Err(lost_answer(true, None));
        }
        if interface.family == Family::V4 && interface.arp_stream.is_none() {
            return Err(Errno::ENXIO.into());
        }
        if interface.family == Family::V6
            && interface.units.get(&unit).is_none_or(|unit| unit.is_unspecified())
        {
            return Err(Errno::EINVAL.into());
        }
        let ip_stream = interface.ip_stream;
        if let Some(own) = self.unit_mut(id, unit) {
            own.was_duplicate = false;
        }
        self.wait_for_driver();
        self.sleep_if_held(ip_stream, Step::Up { interface: id, unit, flags })?;
        self.complete_up(id, unit, flags).map(|_| ())
    }

    /// What is left of a bring-up once the driver serves: binding both streams, then detecting duplicates.
    pub(super) fn complete_up(&mut self, id: InterfaceId, unit: u32, flags: u64) -> Sys {
        let already_up = self.interface(id)?.is_up();
        if !already_up {
            self.bind_streams(id)?;
        }
        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.set_flags(unit, flags);
        }
        self.start_detection(id, unit);
        Ok(0)
    }

    fn bind_streams(&mut self, id: InterfaceId) -> Result<(), Stop> {
        let interface = self.interface(id)?;
        let (family, ip_stream, name) = (interface.family, interface.ip_stream, interface.name.clone());
        let arp = interface.arp_stream.filter(|_| family == Family::V4);
        let sap = if family == Family::V4 { ETHERTYPE_IP } else { ETHERTYPE_IPV6 };
        if !self.bind(ip_stream, sap) {
            self.log(format!("{name}: DL_BIND_REQ failed: DL_OUTSTATE"));
            return Err(Errno::ENXIO.into());
        }
        self.downward.push("DL_BIND_REQ");
        match arp {
            None => self.downward.push("DL_CAPABILITY_REQ"),
            Some(arp) => {
                self.downward.extend(["DL_ATTACH_REQ", "DL_CAPABILITY_REQ", "DL_BIND_REQ"]);
                // A second bring-up finds the stream attached; the refusal is ignored.
                let ppa = self.stream(arp)?.arp_ppa;
                let _already_attached = self.attach_ppa(arp, ppa);
                if !self.bind(arp, ETHERTYPE_ARP) {
                    self.unbind_now(ip_stream);
                    return Err(Errno::ENETDOWN.into());
                }
                self.downward.push("DL_ENABMULTI_REQ");
            }
        }
        Ok(())
    }

    /// `DL_BIND_REQ`
    pub(super) fn bind(&mut self, stream: StreamId, sap: u16) -> bool {
        let Ok(stream) = self.stream_mut(stream) else { return false };
        if stream.dl.state != DlState::Unbound || stream.dl.ppa.is_none() {
            return false;
        }
        stream.dl.state = DlState::Idle;
        stream.dl.sap = sap;
        true
    }

    /// Takes a unit down. With the last one go the bindings, but nobody waits until the driver has undone them.
    pub(super) fn bring_down(&mut self, id: InterfaceId, unit: u32) {
        self.timers.forget_unit(id, unit);
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        interface.set_flags(unit, 0);
        if let Some(unit) = interface.units.get_mut(&unit) {
            unit.usable_from = None;
        }
        if interface.is_up() {
            return;
        }
        interface.neighbours.clear();
        interface.reports_pending = 0;
        let (name, ip, arp) = (interface.name.clone(), interface.ip_stream, interface.arp_stream);
        self.note_leaving(id);
        for (stream, is_ip) in [(Some(ip), true), (arp, false)] {
            let Some(stream) = stream else { continue };
            if self.stream(stream).is_ok_and(|stream| stream.dl.state == DlState::Idle) {
                self.downward.push("DL_UNBIND_REQ");
                self.queue_unbind(stream);
            } else if is_ip {
                self.log(format!("{name}: DL_UNBIND_REQ failed: DL_OUTSTATE"));
            }
        }
    }

    /// The multicast groups an interface leaves: one on IPv4, two on IPv6.
    fn note_leaving(&mut self, id: InterfaceId) {
        let groups = match self.interfaces.get(&id).map(|interface| interface.family) {
            Some(Family::V4) => 1,
            Some(Family::V6) => 2,
            None => 0,
        };
        self.downward.extend(std::iter::repeat_n("DL_DISABMULTI_REQ", groups));
    }

    /// What closing the ip or arp module of an interface that is up sends down.
    pub(super) fn note_closing(&mut self, stream: StreamId, is_ip: bool) {
        let Ok(state) = self.stream(stream).map(|stream| (stream.dl.state, stream.interface)) else { return };
        let (DlState::Idle, Some(interface)) = state else { return };
        if is_ip {
            self.note_leaving(interface);
        }
        self.downward.push("DL_UNBIND_REQ");
    }
}

//! Interface requests on ip streams, multiplexors and sockets: who may ask what, and the questions.

use crate::abi::{self, Errno, IFF_BROADCAST};
use crate::call::{Stop, Sys};
use crate::image::{Bytes, LIFCONF_BUF, LIFCONF_LEN, LIFCONF_LENGTH, LIFNUM_LEN, Lifreq};
use crate::kernel::Kernel;
use crate::kernel::interface::{Family, Interface, InterfaceId, Unit, Wedge, split_unit};
use crate::kernel::ioctl::{Carrier, Reply};
use crate::kernel::sleep::lost_answer;
use crate::kernel::stream::StreamId;
use crate::memory::{Memory, copy_in_vec};

/// `AF_UNSPEC`
const AF_UNSPEC: u16 = 0;
/// Flags of an ip stream that has no name yet.
const UNNAMED_FLAGS: u64 = abi::IFF_IPV4 | abi::IFF_RUNNING;

impl Kernel {
    /// On a stream with the ip module only naming it and its flags are allowed.
    pub(super) fn ip_module_ioctl(
        &mut self,
        memory: &mut dyn Memory,
        id: StreamId,
        request: u32,
        carrier: &Carrier,
    ) -> Sys<Reply> {
        match request {
            abi::SIOCSLIFNAME => self.name_ip(memory, id, carrier),
            abi::SIOCGLIFFLAGS => {
                let mut lifreq = Self::take_lifreq(memory, carrier)?;
                let flags = self.flags_on_ip_stream(id, &lifreq.name())?;
                lifreq.set_flags(flags);
                Ok(Self::give_lifreq(memory, carrier, &lifreq)?)
            }
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn flags_on_ip_stream(&self, id: StreamId, name: &str) -> Sys<u64> {
        let own = self.stream(id)?.interface;
        if name.is_empty() {
            let interface = own.and_then(|own| self.interfaces.get(&own));
            return Ok(interface.map_or(UNNAMED_FLAGS, |interface| interface.flags_of(0)));
        }
        let family = own.and_then(|own| self.interfaces.get(&own)).map_or(Family::V4, |own| own.family);
        let (interface, unit) = self.look_up(family, name)?;
        Ok(self.interface(interface)?.flags_of(unit))
    }

    /// A request on a multiplexor's stream or on a socket, about any interface of its family.
    pub(super) fn interface_ioctl(
        &mut self,
        memory: &mut dyn Memory,
        id: StreamId,
        request: u32,
        carrier: &Carrier,
    ) -> Sys<Reply> {
        let family = self.stream(id)?.driver.family().ok_or(Errno::EINVAL)?;
        match request {
            abi::SIOCGLIFCONF => return self.list_interfaces(memory, family, carrier),
            abi::SIOCGLIFNUM => return self.count_interfaces(memory, carrier),
            _ => {}
        }
        let known = abi::INTERFACE_REQUESTS.iter().any(|(_, value)| *value == i64::from(request));
        if !known {
            return Err(Errno::EINVAL.into());
        }
        // Looked at before the request itself: who may change nothing is not told which names there are.
        if !is_question(request) {
            self.require_ip_config()?;
        }
        let mut lifreq = Self::take_lifreq(memory, carrier)?;
        if request == abi::SIOCSLIFNAME {
            return Err(Errno::ENXIO.into());
        }
        if request == abi::SIOCSLIFMUXID {
            self.require_ip_config()?;
        }
        let (interface, unit) = self.look_up(family, &lifreq.name())?;
        if self.answer(request, interface, unit, &mut lifreq)? {
            return Ok(Self::give_lifreq(memory, carrier, &lifreq)?);
        }
        match self.change(request, interface, unit, &mut lifreq)? {
            true => Ok(Self::give_lifreq(memory, carrier, &lifreq)?),
            false => Ok(Reply::value(0)),
        }
    }

    /// Finds the interface and unit of a name.
    fn look_up(&self, family: Family, name: &str) -> Sys<(InterfaceId, u32)> {
        let (base, unit) = split_unit(name).ok_or(Errno::ENXIO)?;
        let id = self.interface_named(family, base).ok_or(Errno::ENXIO)?;
        let interface = self.interface(id)?;
        if !interface.units.contains_key(&unit) {
            return Err(Errno::ENXIO.into());
        }
        match interface.wedge {
            Some(Wedge::IpClose) => Err(Errno::ENXIO.into()),
            Some(Wedge::Up) => Err(lost_answer(true, None)),
            _ => Ok((id, unit)),
        }
    }

    pub(super) fn interface(&self, id: InterfaceId) -> Result<&Interface, Stop> {
        self.interfaces.get(&id).ok_or(Errno::ENXIO.into())
    }

    /// Answers a question; false when the request is none.
    fn answer(&self, request: u32, id: InterfaceId, unit: u32, lifreq: &mut Lifreq) -> Sys<bool> {
        let interface = self.interface(id)?;
        let address = interface.units.get(&unit).ok_or(Errno::ENXIO)?;
        let family = interface.family.number() as u16;
        match request {
            abi::SIOCGLIFFLAGS => lifreq.set_flags(interface.flags_of(unit)),
            abi::SIOCGLIFMUXID => lifreq.set_muxids(interface.ip_muxid, interface.arp_muxid),
            abi::SIOCGLIFMTU => lifreq.set_number(interface.mtu),
            abi::SIOCGLIFINDEX => lifreq.set_number(id),
            abi::SIOCGLIFADDR => lifreq.set_address(family, &address.address),
            abi::SIOCGLIFNETMASK => lifreq.set_address(family, &address.mask),
            abi::SIOCGLIFBRDADDR if interface.flags & IFF_BROADCAST != 0 => {
                lifreq.set_address(family, &broadcast_of(address))
            }
            abi::SIOCGLIFBRDADDR => return Err(Errno::EADDRNOTAVAIL.into()),
            _ => return Ok(false),
        };
        Ok(true)
    }

    /// `SIOCGLIFCONF`: a lifreq with name and address for each unit, as many as fit.
    fn list_interfaces(&self, memory: &mut dyn Memory, family: Family, carrier: &Carrier) -> Sys<Reply> {
        let Carrier::Transparent(at) = *carrier else { return Err(Errno::EINVAL.into()) };
        let lifconf = copy_in_vec(memory, at, LIFCONF_LEN)?;
        let wanted = match lifconf.u16_at(0) {
            AF_UNSPEC => None,
            number => Some(Family::of_number(i32::from(number)).ok_or(Errno::EAFNOSUPPORT)?),
        };
        let room = usize::try_from(lifconf.i32_at(LIFCONF_LENGTH)).map_err(|_| Errno::EINVAL)? / Lifreq::LEN;
        let units = self.sorted_units().into_iter().filter(|(found, ..)| wanted.unwrap_or(family) == *found);
        let mut bytes = Vec::new();
        for (family, interface, unit, name) in units.take(room) {
            let address = interface.units.get(&unit).map(|unit| unit.address.clone()).unwrap_or_default();
            let mut lifreq = Lifreq::default();
            lifreq.set_name(&name).set_address(family.number() as u16, &address);
            bytes.extend_from_slice(&lifreq.0);
        }
        memory.copy_out(lifconf.u64_at(LIFCONF_BUF), &bytes)?;
        memory.copy_out(at.wrapping_add(LIFCONF_LENGTH as u64), &(bytes.len() as i32).to_le_bytes())?;
        Ok(Reply::value(0))
    }

    fn count_interfaces(&self, memory: &mut dyn Memory, carrier: &Carrier) -> Sys<Reply> {
        let Carrier::Transparent(at) = *carrier else { return Err(Errno::EINVAL.into()) };
        let lifnum = copy_in_vec(memory, at, LIFNUM_LEN)?;
        let wanted = Family::of_number(i32::from(lifnum.u16_at(0)));
        let units = self.sorted_units();
        let count = units.iter().filter(|(family, ..)| wanted.is_none_or(|wanted| wanted == *family)).count();
        memory.copy_out(at.wrapping_add(8), &(count as i32).to_le_bytes())?;
        Ok(Reply::value(0))
    }

    /// Every unit in the order IP lists them: by family, then stem, then number.
    pub(super) fn sorted_units(&self) -> Vec<(Family, &Interface, u32, String)> {
        let mut interfaces: Vec<_> = self.interfaces.values().collect();
        interfaces.sort_by_key(|interface| {
            let stem = interface.name.trim_end_matches(|c: char| c.is_ascii_digit());
            (interface.family, stem.to_owned(), interface.ppa)
        });
        let units = interfaces.into_iter().flat_map(|interface| {
            interface
                .units
                .keys()
                .map(move |&unit| (interface.family, interface, unit, interface.unit_name(unit)))
        });
        units.collect()
    }
}

/// The broadcast address of a unit's subnet.
pub(super) fn broadcast_of(unit: &Unit) -> Vec<u8> {
    unit.address.iter().zip(&unit.mask).map(|(address, mask)| address | !mask).collect()
}

/// Whether a request only asks: it needs no privilege.
fn is_question(request: u32) -> bool {
    matches!(
        request,
        abi::SIOCGLIFFLAGS
            | abi::SIOCGLIFMUXID
            | abi::SIOCGLIFADDR
            | abi::SIOCGLIFBRDADDR
            | abi::SIOCGLIFNETMASK
            | abi::SIOCGLIFMTU
            | abi::SIOCGLIFINDEX
    )
}

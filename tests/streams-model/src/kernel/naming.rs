//! Giving a stream with ip or arp its interface: `SIOCSLIFNAME` and `IF_UNITSEL`, `if(4P)`.

use crate::abi::{self, Errno, IFF_BROADCAST, IFF_IPV4, IFF_IPV6, IFF_NOLINKLOCAL};
use crate::call::{Stop, Sys};
use crate::image::{Bytes, Lifreq};
use crate::kernel::Kernel;
use crate::kernel::interface::{Family, Interface, InterfaceId, ppa_of_name};
use crate::kernel::ioctl::{Carrier, Reply};
use crate::kernel::ndp;
use crate::kernel::stream::{DlState, Module, StreamId};
use crate::kernel::tap::PPA_COUNT;
use crate::memory::{Memory, copy_in_vec};

/// A PPA of this value asks IP to choose one.
const CHOOSE_PPA: u32 = u32::MAX;

impl Kernel {
    /// `SIOCSLIFNAME` on a stream with ip.
    pub(super) fn name_ip(&mut self, memory: &mut dyn Memory, id: StreamId, carrier: &Carrier) -> Sys<Reply> {
        let mut lifreq = Self::take_lifreq(memory, carrier)?;
        self.require_ip_config()?;
        let number = ppa_of_name(&lifreq.name()).ok_or(Errno::EINVAL)?;
        let family = family_of(lifreq.flags())?;
        let (name, ppa) = match lifreq.ppa() {
            CHOOSE_PPA => self.choose_name(family, &lifreq.name()),
            0 => (lifreq.name(), number),
            ppa if ppa == number => (lifreq.name(), ppa),
            _ => return Err(Errno::EINVAL.into()),
        };
        self.name_stream(id, family, &name, ppa, lifreq.flags())?;
        lifreq.set_name(&name).set_ppa(ppa);
        Ok(Self::give_lifreq(memory, carrier, &lifreq)?)
    }

    /// `IF_UNITSEL`: the older form, always IPv4, named after the driver.
    pub(super) fn select_unit(&mut self, memory: &dyn Memory, id: StreamId, carrier: &Carrier) -> Sys<Reply> {
        let ppa = match carrier {
            Carrier::Transparent(address) => copy_in_vec(memory, *address, 4)?.u32_at(0),
            Carrier::Block(block) if block.len() >= 4 => block.u32_at(0),
            Carrier::Block(_) => return Err(Errno::EINVAL.into()),
        };
        self.require_ip_config()?;
        let name = format!("{}{ppa}", self.stream(id)?.driver.name());
        self.name_stream(id, Family::V4, &name, ppa, IFF_IPV4)?;
        Ok(Reply::value(0))
    }

    fn choose_name(&self, family: Family, name: &str) -> (String, u32) {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let free = |ppa: &u32| self.interface_named(family, &format!("{stem}{ppa}")).is_none();
        let ppa = (0..CHOOSE_PPA).find(free).unwrap_or(0);
        (format!("{stem}{ppa}"), ppa)
    }

    fn name_stream(
        &mut self,
        id: StreamId,
        family: Family,
        name: &str,
        ppa: u32,
        asked: u64,
    ) -> Result<(), Stop> {
        if self.stream(id)?.interface.is_some() {
            return Err(Errno::EALREADY.into());
        }
        if self.interface_named(family, name).is_some() {
            return Err(Errno::EEXIST.into());
        }
        self.check_same_medium(id, family, name)?;
        let interface = self.add_interface(Interface::new(family, name, ppa, id, asked));
        self.stream_mut(id)?.interface = Some(interface);
        self.note_naming_messages(family);
        // From here the name is taken, also when the driver refuses: until the stream is closed.
        self.attach_named(id, interface, ppa)
    }

    /// The same name in the other family must lie on the same kind of driver.
    fn check_same_medium(&self, id: StreamId, family: Family, name: &str) -> Result<(), Errno> {
        let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
        let Some(other) = self.interface_named(other, name).and_then(|id| self.interfaces.get(&id)) else {
            return Ok(());
        };
        let same = self.stream(other.ip_stream)?.driver == self.stream(id)?.driver;
        if same { Ok(()) } else { Err(Errno::EINVAL) }
    }

    pub(super) fn add_interface(&mut self, interface: Interface) -> InterfaceId {
        self.last_interface += 1;
        self.interfaces.insert(self.last_interface, interface);
        self.last_interface
    }

    fn attach_named(&mut self, id: StreamId, interface: InterfaceId, ppa: u32) -> Result<(), Stop> {
        let name =
            self.interfaces.get(&interface).map_or_else(String::new, |interface| interface.name.clone());
        if let Err(refusal) = self.attach_ppa(id, ppa) {
            // IP sends the rest of its requests all the same; on a stream that stays unattached they fail in turn.
            let bad_ppa = refusal == abi::DL_BADPPA;
            let reason = if bad_ppa { "DL_BADPPA" } else { "DL_OUTSTATE" };
            self.log(format!("{name}: DL_ATTACH_REQ failed: {reason}"));
            if bad_ppa {
                self.log(format!("{name}: DL_BIND_REQ failed: DL_OUTSTATE"));
                self.log(format!("{name}: DL_PHYS_ADDR_REQ failed: DL_SYSERR (errno 0)"));
                self.log(format!("{name}: DL_UNBIND_REQ failed: DL_OUTSTATE"));
            }
            return Err(Errno::ENXIO.into());
        }
        let mac = self.ppas.get(ppa as usize).map_or([0; 6], |ppa| ppa.mac);
        if let Some(interface) = self.interfaces.get_mut(&interface) {
            interface.mac = mac;
            let link_local = interface.family == Family::V6 && interface.flags & IFF_NOLINKLOCAL == 0;
            if let (Some(unit), true) = (interface.units.get_mut(&0), link_local) {
                unit.address = ndp::link_local_address(mac);
                unit.mask = [[0xff; 8], [0; 8]].concat();
            }
        }
        Ok(())
    }

    /// `DL_ATTACH_REQ`, with the DLPI error of a refusal.
    pub(super) fn attach_ppa(&mut self, id: StreamId, ppa: u32) -> Result<(), u32> {
        if ppa as usize == PPA_COUNT {
            self.crash(
                "attaching to PPA 20 passes the driver's range check and reads beyond its table of 20",
            );
        }
        let known = self.ppas.get(ppa as usize).is_some();
        let stream = self.stream_mut(id).map_err(|_| abi::DL_SYSERR)?;
        if stream.dl.state != DlState::Unattached {
            return Err(abi::DL_OUTSTATE);
        }
        if !known {
            return Err(abi::DL_BADPPA);
        }
        stream.dl.ppa = Some(ppa as usize);
        stream.dl.state = DlState::Unbound;
        Ok(())
    }

    /// `SIOCSLIFNAME` on a stream with the real arp module. Only the name is looked up, among the IPv4 interfaces; the
    /// block's length is not looked at.
    pub(super) fn name_arp(&mut self, id: StreamId, carrier: &Carrier) -> Sys<Reply> {
        let Carrier::Block(block) = carrier else {
            if self.settings.transparent_arp_allowed {
                return Err(Errno::ENXIO.into());
            }
            self.crash("a transparent SIOCSLIFNAME on an ARP stream is parsed from a block of 8 bytes");
        };
        let lifreq = Lifreq::from_bytes(block);
        let name = lifreq.name();
        let interface = self.interface_named(Family::V4, &name).ok_or(Errno::ENXIO)?;
        self.require_ip_config()?;
        let has_arp = self.interfaces.get(&interface).is_some_and(|interface| interface.arp_stream.is_some());
        let stream = self.stream_mut(id)?;
        let was_named = std::mem::replace(&mut stream.arp_named, true);
        if has_arp || was_named {
            self.log(format!("{name}: PPA already exists"));
            return Err(Errno::EEXIST.into());
        }
        stream.interface = Some(interface);
        stream.arp_ppa = lifreq.ppa();
        self.downward.push("M_CTL");
        if let Some(interface) = self.interfaces.get_mut(&interface) {
            interface.arp_stream = Some(id);
        }
        Ok(Reply::value(0))
    }

    pub(super) fn interface_named(&self, family: Family, name: &str) -> Option<InterfaceId> {
        let found = self
            .interfaces
            .iter()
            .find(|(_, interface)| interface.family == family && interface.name == name);
        found.map(|(id, _)| *id)
    }

    fn note_naming_messages(&mut self, family: Family) {
        self.downward.extend([
            "M_IOCTL(SIOCSLIFNAME)",
            "DL_ATTACH_REQ",
            "DL_BIND_REQ",
            "DL_INFO_REQ",
            "DL_CAPABILITY_REQ",
            "DL_PHYS_ADDR_REQ",
        ]);
        if family == Family::V6 {
            self.downward.extend(["DL_PHYS_ADDR_REQ", "DL_PHYS_ADDR_REQ"]);
        }
        self.downward.extend(["DL_NOTIFY_REQ", "DL_UNBIND_REQ"]);
    }

    /// Takes an interface away together with its ip module.
    pub(super) fn remove_interface_of(&mut self, ip_stream: StreamId) {
        let Some(id) = self.stream(ip_stream).ok().and_then(|stream| stream.interface) else { return };
        if !self.stream(ip_stream).is_ok_and(|stream| stream.has(Module::Ip)) {
            return;
        }
        self.timers.forget(id);
        if let Some(arp) = self.interfaces.remove(&id).and_then(|interface| interface.arp_stream)
            && let Ok(arp) = self.stream_mut(arp)
        {
            arp.interface = None;
        }
        if let Ok(stream) = self.stream_mut(ip_stream) {
            stream.interface = None;
        }
    }
}

fn family_of(flags: u64) -> Result<Family, Errno> {
    let (v4, v6) = (flags & IFF_IPV4 != 0, flags & IFF_IPV6 != 0);
    match (v4, v6) {
        (true, true) => Err(Errno::EINVAL),
        (_, true) if flags & IFF_BROADCAST != 0 => Err(Errno::EINVAL),
        (_, true) => Ok(Family::V6),
        _ => Ok(Family::V4),
    }
}

//! Bringing an interface up and down.

use crate::abi::{ETHERTYPE_ARP, ETHERTYPE_IP, ETHERTYPE_IPV6, Errno};
use crate::call::{Stop, Sys};
use crate::kernel::Kernel;
use crate::kernel::interface::{Family, InterfaceId};
use crate::kernel::sleep::{Step, lost_answer};
use crate::kernel::stream::{DlState, StreamId};

impl Kernel {
    pub(super) fn bring_up(&mut self, id: InterfaceId, unit: u32, flags: u64) -> Sys<()> {
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

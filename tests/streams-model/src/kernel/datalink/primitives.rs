//! The primitives of dlpi(4P) on a link.

use crate::abi;
use crate::image::Bytes;
use crate::kernel::Kernel;
use crate::kernel::datalink::acks::{self, Refusal, part};
use crate::kernel::datalink::frame::{is_bindable, is_group, sap_of};
use crate::kernel::datalink::stream::{Claim, Entry, PROMISC_SAP, level_bit};
use crate::kernel::datalink::{DatalinkStream, LinkClass, LinkId, Mac};
use crate::kernel::packet::BROADCAST;
use crate::kernel::stream::{DlState, Message, MessageKind, StreamId};

/// PPAs above this name no device.
const HIGHEST_PPA: u32 = 999;
/// Error numbers in `DL_SYSERR`.
const EACCES: u32 = 13;
const EBUSY: u32 = 16;
const ENOTSUP: u32 = 48;
/// What every link can tell.
const NOTES: u32 = abi::DL_NOTE_PHYS_ADDR
    | abi::DL_NOTE_PROMISC_ON_PHYS
    | abi::DL_NOTE_PROMISC_OFF_PHYS
    | abi::DL_NOTE_LINK_DOWN
    | abi::DL_NOTE_LINK_UP
    | abi::DL_NOTE_SDU_SIZE
    | abi::DL_NOTE_SPEED
    | abi::DL_NOTE_FASTPATH_FLUSH
    | abi::DL_NOTE_CAPAB_RENEG
    | abi::DL_NOTE_ALLOWED_IPS
    | abi::DL_NOTE_SDU_SIZE2;

/// The smallest length of each primitive.
fn shortest(primitive: u32) -> usize {
    match primitive {
        abi::DL_ATTACH_REQ | abi::DL_PROMISCON_REQ | abi::DL_PROMISCOFF_REQ | abi::DL_PHYS_ADDR_REQ => 8,
        abi::DL_ENABMULTI_REQ
        | abi::DL_DISABMULTI_REQ
        | abi::DL_SET_PHYS_ADDR_REQ
        | abi::DL_NOTIFY_REQ
        | abi::DL_UDQOS_REQ
        | abi::DL_CAPABILITY_REQ => 12,
        abi::DL_BIND_REQ => 20,
        _ => 4,
    }
}

/// Whether the state is looked at before the length.
fn state_first(primitive: u32) -> bool {
    matches!(primitive, abi::DL_ENABMULTI_REQ | abi::DL_DISABMULTI_REQ | abi::DL_SET_PHYS_ADDR_REQ)
}

/// Whether a primitive needs an attached stream.
fn needs_link(primitive: u32) -> bool {
    state_first(primitive)
        || matches!(
            primitive,
            abi::DL_PROMISCON_REQ
                | abi::DL_PROMISCOFF_REQ
                | abi::DL_PHYS_ADDR_REQ
                | abi::DL_NOTIFY_REQ
                | abi::DL_CAPABILITY_REQ
        )
}

type Answer = Result<Message, Refusal>;

impl Kernel {
    /// Carries a primitive out and sends its answer up.
    pub(super) fn carry_out(&mut self, id: StreamId, control: &[u8], data: Option<Vec<u8>>) {
        let primitive = control.u32_at(0);
        let before = self.datalink(id).map(|stream| stream.promisc);
        let answer = self.answer_to(id, primitive, control);
        let asked = primitive == abi::DL_NOTIFY_REQ && answer.is_ok();
        self.put_up(id, answer.unwrap_or_else(|why| acks::error(primitive, why, data)));
        if asked {
            self.tell_all(id);
        }
        if self.datalink(id).map(|stream| stream.promisc) != before || primitive == abi::DL_BIND_REQ {
            self.watch_promiscuity(id);
        }
    }

    fn answer_to(&mut self, id: StreamId, primitive: u32, control: &[u8]) -> Answer {
        let stream = self.datalink(id).ok_or(abi::DL_SYSERR)?;
        let attached = stream.state != DlState::Unattached;
        let short = control.len() < shortest(primitive);
        let unattached = !attached && needs_link(primitive);
        if short && !(unattached && state_first(primitive)) {
            return Err(abi::DL_BADPRIM.into());
        }
        if unattached {
            return Err(abi::DL_OUTSTATE.into());
        }
        match primitive {
            abi::DL_INFO_REQ => Ok(self.datalink_info(stream)),
            abi::DL_ATTACH_REQ => attach(stream, control.u32_at(4)),
            abi::DL_DETACH_REQ => detach(stream),
            abi::DL_BIND_REQ => self.bind_datalink(id, control),
            abi::DL_UNBIND_REQ => self.unbind_datalink(id),
            abi::DL_PROMISCON_REQ | abi::DL_PROMISCOFF_REQ => {
                self.promiscuity(id, primitive, control.u32_at(4))
            }
            abi::DL_ENABMULTI_REQ => self.enable_group(id, address_in(control)?),
            abi::DL_DISABMULTI_REQ => self.disable_group(id, address_in(control)?),
            abi::DL_PHYS_ADDR_REQ => self.tell_address(id, control.u32_at(4)),
            abi::DL_SET_PHYS_ADDR_REQ => self.set_own_address(id, address_in(control)?),
            abi::DL_UDQOS_REQ => self.set_priority(id, control),
            abi::DL_NOTIFY_REQ => {
                self.update(id, |stream| stream.notes = control.u32_at(4) & NOTES);
                Ok(acks::notify_ack(NOTES))
            }
            abi::DL_CAPABILITY_REQ => self.capabilities(id, control),
            abi::DL_PASSIVE_REQ => self.become_passive(id),
            _ => Err(abi::DL_UNSUPPORTED.into()),
        }
    }

    fn update(&mut self, id: StreamId, work: impl FnOnce(&mut DatalinkStream)) {
        if let Some(stream) = self.datalink_mut(id) {
            work(stream);
        }
    }

    fn attached_link(&self, id: StreamId) -> Result<LinkId, Refusal> {
        Ok(self.datalink(id).and_then(|stream| stream.link).ok_or(abi::DL_OUTSTATE)?)
    }

    /// The stream claims its link's address, once more.
    fn claim(&mut self, id: StreamId) -> Result<(), Refusal> {
        let link = self.attached_link(id)?;
        let stream = self.datalink(id).ok_or(abi::DL_OUTSTATE)?;
        if stream.claim == Claim::Passive {
            return Ok(());
        }
        if stream.claims == 0 && self.link_of(link).is_some_and(|link| link.kernel_client) {
            return Err(Refusal(abi::DL_SYSERR, EBUSY));
        }
        self.update(id, |stream| {
            stream.claim = Claim::Active;
            stream.claims += 1;
        });
        Ok(())
    }

    fn give_up_claim(&mut self, id: StreamId) {
        self.update(id, |stream| {
            if stream.claim != Claim::Passive && stream.claims > 0 {
                stream.claims -= 1;
                if stream.claims == 0 {
                    stream.claim = Claim::Undecided;
                }
            }
        });
    }

    fn bind_datalink(&mut self, id: StreamId, control: &[u8]) -> Answer {
        let (sap, mode, xidtest) = (control.u32_at(4), control.u16_at(12), control.u32_at(16));
        let state = self.datalink(id).map(|stream| stream.state);
        require(xidtest == 0, abi::DL_NOAUTO)?;
        require(u32::from(mode) == abi::DL_CLDLS, abi::DL_UNSUPPORTED)?;
        require(state == Some(DlState::Unbound), abi::DL_OUTSTATE)?;
        self.claim(id)?;
        let Some(sap) = u16::try_from(sap).ok().filter(|sap| is_bindable(*sap)) else {
            self.give_up_claim(id);
            return Err(abi::DL_BADADDR.into());
        };
        self.watch_bind(id);
        self.update(id, |stream| {
            stream.entry = Some(if stream.promisc & PROMISC_SAP != 0 {
                Entry::EveryType
            } else if sap == abi::ETHERTYPE_VLAN && stream.promisc == 0 {
                Entry::Tags
            } else {
                Entry::Type(sap_of(sap))
            });
            stream.sap = sap;
            stream.state = DlState::Idle;
        });
        let link = self.attached_link(id)?;
        let address = self.link_of(link).map(|link| link.address).ok_or(abi::DL_SYSERR)?;
        Ok(acks::bind_ack(sap, address))
    }

    /// Raw mode ends with the binding.
    fn unbind_datalink(&mut self, id: StreamId) -> Answer {
        require(self.datalink(id).is_some_and(DatalinkStream::is_bound), abi::DL_OUTSTATE)?;
        self.suspect(8, "DL_UNBIND_REQ ends raw mode: what is written after the next bind vanishes");
        self.update(id, |stream| {
            stream.entry = None;
            stream.raw = false;
            stream.state = DlState::Unbound;
            if stream.sap != abi::ETHERTYPE_VLAN {
                stream.sap = 0;
            }
        });
        self.give_up_claim(id);
        Ok(acks::ok(abi::DL_UNBIND_REQ))
    }

    fn promiscuity(&mut self, id: StreamId, primitive: u32, level: u32) -> Answer {
        let bit = level_bit(level).ok_or(abi::DL_NOTSUPPORTED)?;
        let before = self.datalink(id).map_or(0, |stream| stream.promisc);
        if primitive == abi::DL_PROMISCON_REQ {
            if before == 0 {
                self.claim(id)?;
            }
            self.change_promiscuity(id, before | bit);
        } else {
            require(before & bit != 0, abi::DL_NOTENAB)?;
            self.change_promiscuity(id, before & !bit);
            if before == bit {
                self.give_up_claim(id);
            }
        }
        Ok(acks::ok(primitive))
    }

    /// Sets a stream's levels, and tells those who watch the NIC when it begins or ends to let everything in.
    pub(super) fn change_promiscuity(&mut self, id: StreamId, levels: u8) {
        let switch = self.datalink(id).and_then(|stream| stream.link).map(|link| self.switch_of(link));
        let before = switch.map(|switch| self.lets_everything_in(switch));
        self.update(id, |stream| stream.promisc = levels);
        if let Some(switch) = switch
            && before != Some(self.lets_everything_in(switch))
        {
            self.tell_promiscuity(switch);
        }
    }

    fn enable_group(&mut self, id: StreamId, group: Mac) -> Answer {
        let first = self.datalink(id).is_some_and(|stream| stream.groups.is_empty());
        if first {
            self.claim(id)?;
        }
        if !is_group(group) || group == BROADCAST {
            if first {
                self.give_up_claim(id);
            }
            return Err(abi::DL_BADADDR.into());
        }
        self.update(id, |stream| {
            stream.groups.insert(group);
        });
        Ok(acks::ok(abi::DL_ENABMULTI_REQ))
    }

    fn disable_group(&mut self, id: StreamId, group: Mac) -> Answer {
        let known = self.datalink_mut(id).is_some_and(|stream| stream.groups.remove(&group));
        require(known, abi::DL_NOTENAB)?;
        if self.datalink(id).is_some_and(|stream| stream.groups.is_empty()) {
            self.give_up_claim(id);
        }
        Ok(acks::ok(abi::DL_DISABMULTI_REQ))
    }

    fn tell_address(&self, id: StreamId, which: u32) -> Answer {
        let link = self.link_of(self.attached_link(id)?).ok_or(abi::DL_SYSERR)?;
        match which {
            abi::DL_CURR_PHYS_ADDR => Ok(acks::phys_addr_ack(link.address)),
            abi::DL_FACT_PHYS_ADDR => Ok(acks::phys_addr_ack(link.factory)),
            abi::DL_CURR_DEST_ADDR => Err(abi::DL_NOTSUPPORTED.into()),
            _ => Err(abi::DL_UNSUPPORTED.into()),
        }
    }

    /// The link's address for everybody on it, from now on.
    fn set_own_address(&mut self, id: StreamId, address: Mac) -> Answer {
        self.claim(id)?;
        let link = self.attached_link(id)?;
        if let Err(why) = self.change_address(link, address) {
            self.give_up_claim(id);
            return Err(why);
        }
        Ok(acks::ok(abi::DL_SET_PHYS_ADDR_REQ))
    }

    fn change_address(&mut self, id: LinkId, address: Mac) -> Result<(), Refusal> {
        let link = self.link_of(id).ok_or(abi::DL_SYSERR)?;
        if link.zone != 0 && link.protection.kinds & abi::MPT_MACNOSPOOF != 0 {
            // The driver forgets to set the DLPI error here: it is whatever lay on the stack.
            return Err(Refusal(0, EACCES));
        }
        require(!is_group(address), abi::DL_BADADDR)?;
        let (class, before, over) = (link.class, link.address, link.over);
        if address == before {
            return Ok(());
        }
        self.watch_address(address);
        let taken = |other: &LinkId| self.link_of(*other).is_some_and(|link| link.address == address);
        if over.is_some_and(|over| self.link_of(over).is_some_and(|over| over.address == address)) {
            return Err(Refusal(abi::DL_SYSERR, EACCES));
        }
        if self.clients_of(self.switch_of(id)).iter().any(taken) {
            return Err(Refusal(abi::DL_SYSERR, if class == LinkClass::Vnic { ENOTSUP } else { EBUSY }));
        }
        if let Some(link) = self.link_of_mut(id) {
            link.address = address;
        }
        self.tell_new_address(id);
        Ok(())
    }

    fn set_priority(&mut self, id: StreamId, control: &[u8]) -> Answer {
        const PRIORITY_AT: usize = 8;
        part(control, 8, 4).ok_or(abi::DL_BADPRIM)?;
        let at = control.u32_at(8) as usize;
        require(control.u32_at(at) == abi::DL_QOS_CL_SEL1, abi::DL_BADQOSTYPE)?;
        let priority = control.u32_at(at + PRIORITY_AT);
        require(priority <= 7, abi::DL_BADQOSPARAM)?;
        self.update(id, |stream| stream.priority = priority as u8);
        Ok(acks::ok(abi::DL_UDQOS_REQ))
    }

    fn capabilities(&self, id: StreamId, control: &[u8]) -> Answer {
        if control.u32_at(8) != 0 {
            let asked = part(control, 4, 8).ok_or(abi::DL_BADPRIM)?;
            require(are_whole(asked), abi::DL_BADPRIM)?;
            let answer = [&abi::DL_CAPABILITY_ACK.to_le_bytes()[..], &control[4..]].concat();
            return Ok(Message::proto(MessageKind::Proto, answer));
        }
        let link = self.attached_link(id)?;
        let switch = self.link_of(self.switch_of(link)).ok_or(abi::DL_SYSERR)?;
        Ok(acks::capability_ack(switch))
    }

    fn become_passive(&mut self, id: StreamId) -> Answer {
        require(self.datalink(id).is_some_and(|stream| stream.claim != Claim::Active), abi::DL_OUTSTATE)?;
        self.hazard("a passive stream sends and receives beside the client that owns the link");
        self.update(id, |stream| stream.claim = Claim::Passive);
        Ok(acks::ok(abi::DL_PASSIVE_REQ))
    }
}

/// Links are numbered higher than any PPA can be, so none is ever found.
fn attach(stream: &DatalinkStream, ppa: u32) -> Answer {
    require(stream.style_2, abi::DL_BADPRIM)?;
    require(stream.state == DlState::Unattached, abi::DL_OUTSTATE)?;
    if ppa > HIGHEST_PPA { Err(Refusal(abi::DL_SYSERR, ENOTSUP)) } else { Err(abi::DL_BADPPA.into()) }
}

fn detach(stream: &DatalinkStream) -> Answer {
    require(stream.state == DlState::Unbound, abi::DL_OUTSTATE)?;
    Err(abi::DL_BADPRIM.into())
}

/// Whether each sub-capability lies within what is asked.
fn are_whole(mut asked: &[u8]) -> bool {
    const HEAD: usize = 8;
    while !asked.is_empty() {
        match asked.get(HEAD.saturating_add(asked.u32_at(4) as usize)..) {
            Some(rest) if asked.len() >= HEAD => asked = rest,
            _ => return false,
        }
    }
    true
}

/// The address a primitive carries: offset behind the length, six bytes.
fn address_in(control: &[u8]) -> Result<Mac, Refusal> {
    let address = part(control, 8, 4).ok_or(abi::DL_BADPRIM)?;
    Ok(address.try_into().map_err(|_| abi::DL_BADPRIM)?)
}

fn require(holds: bool, error: u32) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(error.into()) }
}

//! DLPI primitives a user sends down a stream without modules, `dlpi(4P)` as the tuntap driver answers it.

use crate::abi;
use crate::image::Bytes;
use crate::kernel::Kernel;
use crate::kernel::deliver::dlsap;
use crate::kernel::packet::BROADCAST;
use crate::kernel::stream::{DlState, Driver, Message, MessageKind, StreamId};

/// Bytes of `dl_info_ack_t` and of `dl_bind_ack_t`, `dl_phys_addr_ack_t`.
const INFO_ACK_LEN: u32 = 76;
const BIND_ACK_LEN: u32 = 24;
const PHYS_ADDR_ACK_LEN: u32 = 12;
const MAX_SAP: u32 = 0xffff;

/// The smallest length of each primitive the driver knows.
fn request_len(primitive: u32) -> Option<usize> {
    Some(match primitive {
        abi::DL_INFO_REQ | abi::DL_UNBIND_REQ | abi::DL_DETACH_REQ => 4,
        abi::DL_ATTACH_REQ | abi::DL_PROMISCON_REQ | abi::DL_PROMISCOFF_REQ | abi::DL_PHYS_ADDR_REQ => 8,
        abi::DL_ENABMULTI_REQ | abi::DL_DISABMULTI_REQ | abi::DL_SET_PHYS_ADDR_REQ => 12,
        abi::DL_BIND_REQ | abi::DL_UNITDATA_REQ => 20,
        _ => return None,
    })
}

impl Kernel {
    /// Carries out a primitive and queues its answer.
    pub(super) fn dlpi(&mut self, id: StreamId, control: &[u8], data: Option<Vec<u8>>) {
        let primitive = control.u32_at(0);
        let answer = match request_len(primitive) {
            None => Err(abi::DL_UNSUPPORTED),
            Some(length) if control.len() < length => Err(abi::DL_BADPRIM),
            Some(_) => self.primitive(id, primitive, control, data),
        };
        let answer = match answer {
            Ok(None) => return,
            Ok(Some(answer)) => answer,
            Err(error) => words(&[abi::DL_ERROR_ACK, primitive, error, 0]),
        };
        if let Ok(stream) = self.stream_mut(id) {
            stream.put(Message::proto(MessageKind::PcProto, answer));
        }
    }

    fn primitive(
        &mut self,
        id: StreamId,
        primitive: u32,
        control: &[u8],
        data: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, u32> {
        let ok = Ok(Some(words(&[abi::DL_OK_ACK, primitive])));
        let stream = self.streams.get(&id).ok_or(abi::DL_SYSERR)?;
        let (driver, state, ppa) = (stream.driver, stream.dl.state, stream.dl.ppa);
        match primitive {
            abi::DL_INFO_REQ => Ok(Some(self.info_ack(id))),
            abi::DL_ATTACH_REQ => self.attach_ppa(id, control.u32_at(4)).and(ok),
            abi::DL_DETACH_REQ => {
                require(state == DlState::Unbound, abi::DL_OUTSTATE)?;
                self.set_dl(id, DlState::Unattached, 0, None);
                ok
            }
            abi::DL_BIND_REQ => self.bind_request(id, control).map(Some),
            abi::DL_UNBIND_REQ => {
                require(state == DlState::Idle, abi::DL_OUTSTATE)?;
                self.set_dl(id, DlState::Unbound, 0, ppa);
                ok
            }
            abi::DL_PROMISCON_REQ | abi::DL_PROMISCOFF_REQ => {
                let levels = abi::DL_PROMISC_PHYS..=abi::DL_PROMISC_MULTI;
                require(levels.contains(&control.u32_at(4)), abi::DL_NOTSUPPORTED)?;
                let on = primitive == abi::DL_PROMISCON_REQ && control.u32_at(4) != abi::DL_PROMISC_MULTI;
                self.streams.entry(id).and_modify(|stream| stream.dl.promiscuous = on);
                ok
            }
            abi::DL_PHYS_ADDR_REQ => {
                let mac = ppa.and_then(|ppa| self.ppas.get(ppa)).map(|ppa| ppa.mac).ok_or(abi::DL_SYSERR)?;
                let mac = if driver == Driver::Tun { [0; 6] } else { mac };
                Ok(Some([words(&[abi::DL_PHYS_ADDR_ACK, 6, PHYS_ADDR_ACK_LEN]), mac.to_vec()].concat()))
            }
            abi::DL_SET_PHYS_ADDR_REQ if driver == Driver::Tap => {
                self.set_phys_addr(ppa, control);
                ok
            }
            abi::DL_ENABMULTI_REQ | abi::DL_DISABMULTI_REQ if driver == Driver::Tap => ok,
            abi::DL_UNITDATA_REQ => self.unitdata(id, control, data).map(|()| None),
            _ => Err(abi::DL_UNSUPPORTED),
        }
    }

    fn set_dl(&mut self, id: StreamId, state: DlState, sap: u16, ppa: Option<usize>) {
        if let Ok(stream) = self.stream_mut(id) {
            stream.dl.state = state;
            stream.dl.sap = sap;
            stream.dl.ppa = ppa;
        }
    }

    fn bind_request(&mut self, id: StreamId, control: &[u8]) -> Result<Vec<u8>, u32> {
        let (sap, xidtest) = (control.u32_at(4), control.u32_at(16));
        let stream = self.streams.get(&id).ok_or(abi::DL_SYSERR)?;
        require(stream.dl.state == DlState::Unbound, abi::DL_OUTSTATE)?;
        let mac =
            stream.dl.ppa.and_then(|ppa| self.ppas.get(ppa)).map(|ppa| ppa.mac).ok_or(abi::DL_SYSERR)?;
        require(xidtest == 0, abi::DL_NOAUTO)?;
        require(sap <= MAX_SAP, abi::DL_BADSAP)?;
        let address =
            if stream.driver == Driver::Tun { dlsap(&[], sap as u16) } else { dlsap(&mac, sap as u16) };
        self.bind(id, sap as u16);
        let head = [abi::DL_BIND_ACK, sap, address.len() as u32, BIND_ACK_LEN, 0, 0];
        Ok([words(&head), address].concat())
    }

    /// The driver looks for neither a PPA nor the length it was given.
    fn set_phys_addr(&mut self, ppa: Option<usize>, control: &[u8]) {
        let Some(ppa) = ppa.and_then(|ppa| self.ppas.get_mut(ppa)) else {
            self.crash("DL_SET_PHYS_ADDR_REQ on a stream without a PPA: the driver follows a NULL pointer");
        };
        ppa.mac = control.array(PHYS_ADDR_ACK_LEN as usize);
    }

    fn unitdata(&mut self, id: StreamId, control: &[u8], data: Option<Vec<u8>>) -> Result<(), u32> {
        let idle = self.streams.get(&id).is_some_and(|stream| stream.dl.state == DlState::Idle);
        require(idle, abi::DL_OUTSTATE)?;
        let data = data.ok_or(abi::DL_BADDATA)?;
        let at = control.u32_at(8) as usize;
        self.frame_to_user(id, control.array(at), &data);
        Ok(())
    }

    fn info_ack(&self, id: StreamId) -> Vec<u8> {
        let Some(stream) = self.streams.get(&id) else { return Vec::new() };
        let mac = stream.dl.ppa.and_then(|ppa| self.ppas.get(ppa)).map_or([0; 6], |ppa| ppa.mac);
        let is_tap = stream.driver == Driver::Tap;
        let address = if is_tap { dlsap(&mac, stream.dl.sap) } else { dlsap(&[], stream.dl.sap) };
        let broadcast = if is_tap { BROADCAST.to_vec() } else { Vec::new() };
        let state = match stream.dl.state {
            DlState::Unattached => abi::DL_UNATTACHED,
            DlState::Unbound => abi::DL_UNBOUND,
            DlState::Idle => abi::DL_IDLE,
        };
        let address_end = INFO_ACK_LEN + address.len() as u32;
        let broadcast_at = if is_tap { address_end } else { 0 };
        let sap_length = (-2_i32).cast_unsigned();
        let head = [
            [
                abi::DL_INFO_ACK,
                abi::ETHERMTU as u32,
                0,
                address.len() as u32,
                abi::DL_ETHER,
                0,
                state,
                sap_length,
            ],
            [abi::DL_CLDLS, 0, 0, 0, 0, abi::DL_STYLE2, INFO_ACK_LEN, abi::DL_VERSION_2],
        ];
        let tail = [broadcast.len() as u32, broadcast_at, 0];
        [words(&head.concat()), words(&tail), address, broadcast].concat()
    }
}

fn require(holds: bool, error: u32) -> Result<(), u32> {
    if holds { Ok(()) } else { Err(error) }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

//! What the data link driver answers, byte for byte. Then planned faults of primitives: how they are told in the trace, and
//! answers that are not the driver's.

use crate::abi;
use crate::call::{Call, Sys};
use crate::fault::Trouble;
use crate::image::{Bytes, Strbuf, put};
use crate::kernel::Kernel;
use crate::kernel::datalink::stream::Request;
use crate::kernel::datalink::{DatalinkStream, Link, LinkClass, LinkId, Mac};
use crate::kernel::packet::BROADCAST;
use crate::kernel::stream::{DlState, Message, MessageKind};
use crate::memory::{Memory, copy_in_vec};

/// Where the parts of the answer to `DL_INFO_REQ` lie behind the structure itself.
const INFO_ADDRESS: usize = 76;
const INFO_BROADCAST: usize = 98;
const INFO_RANGE: usize = 120;
const INFO_SELECTED: usize = 152;
const INFO_LEN: usize = 172;
/// Bytes of `dl_qos_cl_range1_t` and `dl_qos_cl_sel1_t`.
const RANGE_LEN: u32 = 32;
const SELECTED_LEN: u32 = 20;
/// Bytes of `dl_bind_ack_t`, `dl_phys_addr_ack_t` and `dl_uderror_ind_t`.
const BIND_ACK: u32 = 24;
const PHYS_ADDR_ACK: u32 = 12;
const UDERROR_IND: u32 = 20;
/// Bytes of an address with its type.
const ADDRESS: u32 = 8;
const MAC: u32 = 6;
/// Bytes of `dl_capability_ack_t`, of a sub-capability's head and of `dl_capab_hcksum_t`.
const CAPABILITY_ACK: u32 = 12;
const CAPABILITY_HEAD: u32 = 8;
const CHECKSUM_CAPABILITY: u32 = 24;
/// Bits of a checksum capability.
const PARTIAL: u32 = 0x2;
const FULL_IPV4: u32 = 0x4;
const IP_HEADER: u32 = 0x10;
const UNKNOWN: u32 = u32::MAX;
const HIGHEST_PRIORITY: u32 = 7;

pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// An answer that goes ahead of everything queued.
pub(super) fn urgent(control: Vec<u8>) -> Message {
    Message::proto(MessageKind::PcProto, control)
}

pub(super) fn ok(primitive: u32) -> Message {
    urgent(words(&[abi::DL_OK_ACK, primitive]))
}

/// Why a primitive is refused: a DLPI error and, with `DL_SYSERR`, an error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u32, pub(super) u32);

impl From<u32> for Refusal {
    fn from(error: u32) -> Self {
        Self(error, 0)
    }
}

/// A refusal keeps the data part of what it refuses.
pub(super) fn error(primitive: u32, why: Refusal, data: Option<Vec<u8>>) -> Message {
    let control = words(&[abi::DL_ERROR_ACK, primitive, why.0, why.1]);
    Message { kind: MessageKind::PcProto, control: Some(control), data }
}

pub(super) fn bind_ack(sap: u16, address: Mac) -> Message {
    let head = words(&[abi::DL_BIND_ACK, u32::from(sap), ADDRESS, BIND_ACK, 0, 0]);
    urgent([&head[..], &address, &sap.to_le_bytes()].concat())
}

pub(super) fn phys_addr_ack(address: Mac) -> Message {
    urgent([&words(&[abi::DL_PHYS_ADDR_ACK, MAC, PHYS_ADDR_ACK])[..], &address].concat())
}

/// A unit of data that cannot be sent comes back.
pub(super) fn bad_data(address: &[u8], data: Option<Vec<u8>>) -> Message {
    let head = words(&[abi::DL_UDERROR_IND, address.len() as u32, UDERROR_IND, 0, abi::DL_BADDATA]);
    Message { kind: MessageKind::Proto, control: Some([&head[..], address].concat()), data }
}

/// Not ahead of the frames, unlike the others.
pub(super) fn notify_ack(supported: u32) -> Message {
    Message::proto(MessageKind::Proto, words(&[abi::DL_NOTIFY_ACK, supported]))
}

/// What the link's hardware offers; nothing of it can be used by a stream.
pub(super) fn capability_ack(link: &Link) -> Message {
    let offers = link.offloads;
    let bits = [
        (offers.partial_checksum, PARTIAL),
        (offers.full_checksum, FULL_IPV4),
        (offers.ip_checksum, IP_HEADER),
    ];
    let bits = bits.iter().filter(|(offered, _)| *offered).fold(0, |all, (_, bit)| all | bit);
    let length = if bits == 0 { 0 } else { CAPABILITY_HEAD + CHECKSUM_CAPABILITY };
    let mut control = words(&[abi::DL_CAPABILITY_ACK, CAPABILITY_ACK, length]);
    if bits != 0 {
        // The last four words are the address of a queue of the kernel's, which no process should see.
        control.extend(words(&[
            abi::DL_CAPAB_HCKSUM,
            CHECKSUM_CAPABILITY,
            1,
            bits,
            0x8000_1000,
            0xffff_ff02,
            0,
            0,
        ]));
    }
    Message::proto(MessageKind::Proto, control)
}

impl Kernel {
    pub(super) fn datalink_info(&self, stream: &DatalinkStream) -> Message {
        let link = stream.link.and_then(|link| self.link_of(link));
        let bound = stream.state == DlState::Idle;
        let state = match stream.state {
            DlState::Unattached => abi::DL_UNATTACHED,
            DlState::Unbound => abi::DL_UNBOUND,
            DlState::Idle => abi::DL_IDLE,
        };
        let tagged = link.is_some_and(|link| link.vid != 0);
        let quality =
            if tagged { [SELECTED_LEN, INFO_SELECTED as u32, RANGE_LEN, INFO_RANGE as u32] } else { [0; 4] };
        let style = if stream.style_2 { abi::DL_STYLE2 } else { abi::DL_STYLE1 };
        let address_at = if bound { INFO_ADDRESS as u32 } else { 0 };
        let sap_length = (-2_i32).cast_unsigned();
        let mtu = link.map_or(0, |link| link.mtu);
        let least = stream.link.map_or(0, |link| self.least_payload(link));
        let head = [
            &[abi::DL_INFO_ACK, mtu, least, ADDRESS, abi::DL_ETHER, 0, state, sap_length, abi::DL_CLDLS][..],
            &quality,
            &[style, address_at, abi::DL_VERSION_2, MAC, INFO_BROADCAST as u32, 0],
        ];
        let mut control = vec![0; INFO_LEN];
        put(&mut control, 0, &words(&head.concat()));
        put(&mut control, INFO_BROADCAST, &BROADCAST);
        if let (Some(link), true) = (link, bound) {
            put(&mut control, INFO_ADDRESS, &[&link.address[..], &stream.sap.to_le_bytes()].concat());
        }
        if tagged {
            let range =
                [abi::DL_QOS_CL_RANGE1, UNKNOWN, UNKNOWN, 0, HIGHEST_PRIORITY, UNKNOWN, UNKNOWN, UNKNOWN];
            put(&mut control, INFO_RANGE, &words(&range));
            let priority = u32::from(stream.priority);
            put(
                &mut control,
                INFO_SELECTED,
                &words(&[abi::DL_QOS_CL_SEL1, UNKNOWN, priority, UNKNOWN, UNKNOWN]),
            );
        }
        urgent(control)
    }

    /// What is told as `dl_min_sdu`: 1 of an etherstub, which a vnic takes over from what it lies over.
    fn least_payload(&self, link: LinkId) -> u32 {
        let switch = self.link_of(self.switch_of(link));
        u32::from(switch.is_some_and(|switch| switch.class == LinkClass::Etherstub))
    }
}

/// The bytes a primitive's offset and length point at; nothing when they lie outside it.
pub(super) fn part(control: &[u8], offset_at: usize, length_at: usize) -> Option<&[u8]> {
    let (offset, length) = (control.u32_at(offset_at) as usize, control.u32_at(length_at) as usize);
    control.get(offset..offset.checked_add(length)?)
}

impl Kernel {
    /// The primitive a putmsg on a data link carries, by its number.
    pub(in crate::kernel) fn primitive_in(&self, memory: &dyn Memory, call: &Call) -> Option<u32> {
        let Call::Putmsg { fd, control, .. } = *call else { return None };
        self.datalink(self.stream_of(fd).ok()?)?;
        let strbuf =
            Strbuf::copy_in(memory, control).ok().filter(|strbuf| control != 0 && strbuf.len >= 4)?;
        Some(copy_in_vec(memory, strbuf.buf, 4).ok()?.u32_at(0))
    }

    /// Lets a primitive be answered as the fault says; every other call is carried out.
    pub(in crate::kernel) fn answer_wrongly(
        &mut self,
        memory: &mut dyn Memory,
        call: Call,
        trouble: Trouble,
    ) -> Sys {
        let (Some(primitive), Call::Putmsg { fd, .. }) = (self.primitive_in(memory, &call), call) else {
            return self.execute(memory, call);
        };
        let id = self.stream_of(fd)?;
        let Some(stream) = self.datalink_mut(id) else { return Ok(0) };
        let answer = match trouble {
            Trouble::Refuse { error: why, unix } => error(primitive, Refusal(why, unix), None),
            Trouble::Reply(bytes) => urgent(bytes.to_vec()),
            _ => {
                stream.answer_is_lost = true;
                return Ok(0);
            }
        };
        stream.pending.push_back(Request { control: Vec::new(), data: None, answer: Some(answer) });
        Ok(0)
    }

    /// Whether somebody waits for an answer that was lost; tells it once.
    pub(crate) fn take_lost_answer(&mut self, fd: i32) -> bool {
        let Ok(id) = self.stream_of(fd) else { return false };
        self.datalink_mut(id).is_some_and(|stream| std::mem::take(&mut stream.answer_is_lost))
    }

    /// The name of a primitive with its flags, as the trace shows them.
    pub(in crate::kernel) fn primitive_words(primitive: u32, flags: i32) -> (String, &'static str) {
        (abi::primitive_name(primitive), if flags == abi::RS_HIPRI { "RS_HIPRI" } else { "0" })
    }
}

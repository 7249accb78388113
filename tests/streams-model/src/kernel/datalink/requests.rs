//! The ioctls of a stream on a link: bufmod's parameters, then the driver's.

use crate::abi::{self, Errno, RS_HIPRI};
use crate::call::Sys;
use crate::image::{Bytes, STRPEEK_CONTROL, STRPEEK_DATA, STRPEEK_FLAGS, STRPEEK_LEN, Strbuf};
use crate::kernel::Kernel;
use crate::kernel::datalink::bufmod::parameter_len;
use crate::kernel::ioctl::{Carrier, Reply};
use crate::kernel::stream::{DlState, Message, MessageKind, StreamId};
use crate::memory::{Memory, copy_in_vec};

/// Room a driver leaves for a VLAN tag behind the MTU.
const MARGIN: u32 = 4;

impl Kernel {
    /// Offers a request to the bufmods from the top, then to the driver, behind what waits there.
    pub(in crate::kernel) fn datalink_ioctl(
        &mut self,
        memory: &mut dyn Memory,
        id: StreamId,
        request: u32,
        carrier: &Carrier,
    ) -> Sys<Reply> {
        let has_bufmod = !self.stream(id)?.bufmods.is_empty();
        match parameter_len(request).filter(|_| has_bufmod) {
            Some(length) => self.bufmod_ioctl(memory, id, request, carrier, length),
            None => {
                self.serve_stream(id);
                self.driver_ioctl(id, request, carrier)
            }
        }
    }

    fn bufmod_ioctl(
        &mut self,
        memory: &mut dyn Memory,
        id: StreamId,
        request: u32,
        carrier: &Carrier,
        length: usize,
    ) -> Sys<Reply> {
        let now = self.timers.now();
        let bytes = match carrier {
            Carrier::Block(block) if block.len() < length => return Err(Errno::EINVAL.into()),
            Carrier::Block(block) => block.clone(),
            Carrier::Transparent(address) => copy_in_vec(memory, *address, length)?,
        };
        let data = self.stream_mut(id)?.bufmod_request(0, request, &bytes, now)?;
        if let Carrier::Transparent(address) = carrier {
            memory.copy_out(*address, &data)?;
        }
        Ok(Reply { value: 0, data })
    }

    fn driver_ioctl(&mut self, id: StreamId, request: u32, carrier: &Carrier) -> Sys<Reply> {
        let block = match carrier {
            Carrier::Block(block) => block.as_slice(),
            Carrier::Transparent(_) => &[],
        };
        let stream = self.datalink_mut(id).ok_or(Errno::EBADF)?;
        match request {
            abi::DLIOCRAW => {
                stream.raw = true;
                Ok(Reply::value(0))
            }
            abi::DLIOCMARGININFO if stream.state != DlState::Unattached && block.len() >= 4 => {
                Ok(Reply { value: 0, data: MARGIN.to_le_bytes().to_vec() })
            }
            abi::DLIOCLOWLINK if block.len() >= 4 => {
                stream.low_link = block.u32_at(0) != 0;
                Ok(Reply::value(0))
            }
            // The last is for IP alone.
            abi::DLIOCMARGININFO | abi::DLIOCLOWLINK | abi::DLIOCHDRINFO => Err(Errno::EINVAL.into()),
            _ => Err(Errno::ENOTSUP.into()),
        }
    }

    /// `I_PEEK`: copies the first message out and leaves it where it is.
    pub(in crate::kernel) fn peek(&mut self, memory: &mut dyn Memory, id: StreamId, argument: u64) -> Sys {
        let wanted = copy_in_vec(memory, argument, STRPEEK_LEN)?.i32_at(STRPEEK_FLAGS);
        if wanted != 0 && wanted != RS_HIPRI {
            return Err(Errno::EINVAL.into());
        }
        let urgent = |message: &&Message| message.kind == MessageKind::PcProto;
        let first = self.stream(id)?.queue.front().filter(|first| wanted == 0 || urgent(first)).cloned();
        let Some(first) = first else { return Ok(0) };
        let flags = if urgent(&&first) { RS_HIPRI } else { 0 };
        for (at, part) in [(STRPEEK_CONTROL, first.control), (STRPEEK_DATA, first.data)] {
            peek_part(memory, argument.wrapping_add(at as u64), part.as_deref())?;
        }
        memory.copy_out(argument.wrapping_add(STRPEEK_FLAGS as u64), &flags.to_le_bytes())?;
        Ok(1)
    }
}

fn peek_part(memory: &mut dyn Memory, at: u64, part: Option<&[u8]>) -> Result<(), Errno> {
    let strbuf = Strbuf::copy_in(memory, at)?;
    let room = usize::try_from(strbuf.maxlen).ok();
    let copied = part.zip(room).map(|(part, room)| &part[..room.min(part.len())]);
    if let Some(bytes) = copied {
        memory.copy_out(strbuf.buf, bytes)?;
    }
    let length = copied.map_or(-1, |bytes| bytes.len() as i32);
    memory.copy_out(at.wrapping_add(Strbuf::LENGTH as u64), &length.to_le_bytes())
}

//! Planned faults of primitives: how they are told in the trace, and answers that are not the driver's.

use crate::abi;
use crate::call::{Call, Sys};
use crate::fault::Trouble;
use crate::image::{Bytes, Strbuf};
use crate::kernel::Kernel;
use crate::kernel::datalink::acks::{self, Refusal};
use crate::kernel::datalink::stream::Request;
use crate::memory::{Memory, copy_in_vec};

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
        let answer = match trouble {
            Trouble::Refuse { error, unix } => acks::error(primitive, Refusal(error, unix), None),
            Trouble::Reply(bytes) => acks::urgent(bytes.to_vec()),
            _ => return Ok(0),
        };
        let id = self.stream_of(fd)?;
        if let Some(stream) = self.datalink_mut(id) {
            stream.pending.push_back(Request { control: Vec::new(), data: None, answer: Some(answer) });
        }
        Ok(0)
    }

    /// The name of a primitive with its flags, as the trace shows them.
    pub(in crate::kernel) fn primitive_words(primitive: u32, flags: i32) -> (String, &'static str) {
        (abi::primitive_name(primitive), if flags == abi::RS_HIPRI { "RS_HIPRI" } else { "0" })
    }
}

//! getmsg(2) and putmsg(2).

use crate::abi::{Errno, MORECTL, MOREDATA, RS_HIPRI};
use crate::call::{Stop, Sys};
use crate::image::{Bytes, Strbuf};
use crate::kernel::Kernel;
use crate::kernel::stream::{Driver, Message, MessageKind, Stream, StreamId};
use crate::memory::{Memory, copy_in_vec};

/// Largest control part (`strctlsz`).
const MAX_CONTROL: usize = 1024;
/// Largest data part (`strmsgsz`).
const MAX_DATA: usize = 65536;

impl Kernel {
    pub(super) fn getmsg(
        &mut self,
        memory: &mut dyn Memory,
        fd: i32,
        control: u64,
        data: u64,
        flags: u64,
    ) -> Sys {
        let id = self.message_stream(fd)?;
        let nonblocking = self.is_nonblocking(fd)?;
        let wanted = copy_in_vec(memory, flags, 4)?.i32_at(0);
        if wanted != 0 && wanted != RS_HIPRI {
            return Err(Errno::EINVAL.into());
        }
        self.watch_reading(id);
        let now = self.timers.now();
        let stream = self.stream_mut(id)?;
        if let Some(errno) = stream.error {
            return Err(errno.into());
        }
        let matches =
            stream.queue.front().is_some_and(|front| wanted == 0 || front.kind == MessageKind::PcProto);
        let Some(message) = matches.then(|| stream.take()).flatten() else {
            return no_message(memory, stream, nonblocking, control, data);
        };
        let priority = if message.kind == MessageKind::PcProto { RS_HIPRI } else { 0 };
        let kind = message.kind;
        let rest_control = copy_part(memory, control, message.control)?;
        let rest_data = copy_part(memory, data, message.data)?;
        memory.copy_out(flags, &priority.to_le_bytes())?;
        let mut more = 0;
        more |= if rest_control.is_some() { MORECTL } else { 0 };
        more |= if rest_data.is_some() { MOREDATA } else { 0 };
        stream.pass_waiting(now);
        if more != 0 {
            let kind = if rest_control.is_some() { kind } else { MessageKind::Data };
            stream.put_back(Message { kind, control: rest_control, data: rest_data });
        }
        Ok(i64::from(more))
    }

    pub(super) fn putmsg(
        &mut self,
        memory: &dyn Memory,
        fd: i32,
        control: u64,
        data: u64,
        flags: i32,
    ) -> Sys {
        let id = self.message_stream(fd)?;
        let control = Part::copy_in(memory, control)?;
        let data = Part::copy_in(memory, data)?;
        if (flags != 0 && flags != RS_HIPRI) || (flags == RS_HIPRI && control.is_none()) {
            return Err(Errno::EINVAL.into());
        }
        let stream = self.stream(id)?;
        if stream.hung_up {
            return Err(Errno::ENXIO.into());
        }
        if control.as_ref().is_some_and(|control| control.length > MAX_CONTROL) {
            return Err(Errno::ERANGE.into());
        }
        if let Some(data) = &data {
            stream.check_write(data.length)?;
            if data.length > MAX_DATA {
                return Err(Errno::ERANGE.into());
            }
        } else if let Some(errno) = stream.error {
            return Err(errno.into());
        }
        if flags != RS_HIPRI && (control.is_some() || data.is_some()) && self.is_stopped(id) {
            return Err(if self.is_nonblocking(fd)? { Errno::EAGAIN.into() } else { Stop::Block });
        }
        let control = control.map(|part| part.bytes(memory)).transpose()?;
        let data = data.map(|part| part.bytes(memory)).transpose()?;
        match (control, data) {
            (None, None) => {}
            (None, Some(data)) => self.send_data(id, &data),
            (Some(control), data) => self.send_protocol(id, &control, data),
        }
        Ok(0)
    }

    fn message_stream(&self, fd: i32) -> Result<StreamId, Errno> {
        let id = self.free_stream_of(fd)?;
        if matches!(self.stream(id)?.driver, Driver::Socket(_)) { Err(Errno::ENOSTR) } else { Ok(id) }
    }

    fn send_protocol(&mut self, id: StreamId, control: &[u8], data: Option<Vec<u8>>) {
        let Ok(stream) = self.stream(id) else { return };
        if stream.driver.is_datalink() {
            self.request_down(id, control, data);
        } else if stream.writes_to_tuntap() {
            self.dlpi(id, control, data);
        } else if matches!(stream.driver, Driver::Udp | Driver::Udp6) {
            self.transport(id, control, data);
        }
    }
}

fn no_message(memory: &mut dyn Memory, stream: &Stream, nonblocking: bool, control: u64, data: u64) -> Sys {
    if stream.hung_up {
        for part in [control, data].into_iter().filter(|&part| part != 0) {
            memory.copy_out(part.wrapping_add(Strbuf::LENGTH as u64), &0_i32.to_le_bytes())?;
        }
        return Ok(0);
    }
    Err(if nonblocking { Errno::EAGAIN.into() } else { Stop::Block })
}

/// Copies one part of a message out, and returns what of it stays on the queue.
fn copy_part(memory: &mut dyn Memory, address: u64, part: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Errno> {
    if address == 0 {
        return Ok(part);
    }
    let strbuf = Strbuf::copy_in(memory, address)?;
    let length_at = address.wrapping_add(Strbuf::LENGTH as u64);
    let Some(part) = part else {
        memory.copy_out(length_at, &(-1_i32).to_le_bytes())?;
        return Ok(None);
    };
    if strbuf.maxlen < 0 {
        memory.copy_out(length_at, &(-1_i32).to_le_bytes())?;
        return Ok(Some(part));
    }
    let length = part.len().min(strbuf.maxlen as usize);
    memory.copy_out(strbuf.buf, &part[..length])?;
    memory.copy_out(length_at, &(length as i32).to_le_bytes())?;
    Ok((length < part.len()).then(|| part[length..].to_vec()))
}

/// A part of a message the caller sends, not yet copied in.
struct Part {
    length: usize,
    buffer: u64,
}

impl Part {
    fn copy_in(memory: &dyn Memory, address: u64) -> Result<Option<Self>, Errno> {
        if address == 0 {
            return Ok(None);
        }
        let strbuf = Strbuf::copy_in(memory, address)?;
        Ok(usize::try_from(strbuf.len).ok().map(|length| Self { length, buffer: strbuf.buf }))
    }

    fn bytes(&self, memory: &dyn Memory) -> Result<Vec<u8>, Errno> {
        copy_in_vec(memory, self.buffer, self.length)
    }
}

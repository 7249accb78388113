//! Modules, read options and queue lengths, `streamio(4I)`.

use crate::abi::{self, Errno, FMNAMESZ};
use crate::call::{Hang, Stop, Sys};
use crate::image::{Bytes, STR_LIST_LEN, STR_MLIST_LEN, put};
use crate::kernel::Kernel;
use crate::kernel::datalink::Bufmod;
use crate::kernel::sleep::Sleeper;
use crate::kernel::stream::{MessageKind, Module, ProtoMode, ReadMode, StreamId};
use crate::memory::{Memory, copy_in_string, copy_in_vec};

/// Modules a stream can bear (`nstrpush`).
const MAX_MODULES: usize = 9;

impl Kernel {
    pub(super) fn push(&mut self, memory: &dyn Memory, id: StreamId, argument: u64) -> Sys {
        let name = Self::module_name(memory, argument)?;
        let stream = self.stream(id)?;
        if stream.modules.len() >= MAX_MODULES {
            return Err(Errno::EINVAL.into());
        }
        let above_ip = match stream.modules.first() {
            None => stream.driver.is_multiplexor(),
            Some(top) => top.name() == "ip",
        };
        let module = match name.as_slice() {
            b"bufmod" if stream.driver.is_datalink() => Module::Bufmod,
            // IP on a link is not modelled.
            _ if stream.driver.is_datalink() => return Err(Errno::EINVAL.into()),
            b"ip" => Module::Ip,
            b"arp" if above_ip => Module::Dummy,
            b"arp" => Module::Arp,
            _ => return Err(Errno::EINVAL.into()),
        };
        if matches!(module, Module::Dummy | Module::Bufmod) {
            let stream = self.stream_mut(id)?;
            stream.modules.insert(0, module);
            if module == Module::Bufmod {
                stream.bufmods.insert(0, Bufmod::new());
            }
            return Ok(0);
        }
        self.require_raw_access()?;
        self.push_and_ask(id, module)
    }

    /// ip and arp ask the driver what it is, and wait for the answer. It reaches them only through nothing but
    /// pass-through modules, and only a data link provider gives one.
    fn push_and_ask(&mut self, id: StreamId, module: Module) -> Sys {
        let stream = self.stream_mut(id)?;
        let eater = stream.modules.iter().copied().find(|below| *below != Module::Dummy);
        let answered = stream.driver.is_tuntap();
        stream.modules.insert(0, module);
        if answered {
            self.downward.push("DL_INFO_REQ");
        }
        if eater.is_none() && answered {
            return Ok(0);
        }
        if eater == Some(Module::Arp) && answered {
            self.log("arl_dlpi_pending unsolicited ack for DL_INFO_REQ on ".to_owned());
        }
        let ticket = self.sleepers.add(Sleeper::Push { stream: id, module });
        let reason = "the pushed module waits for a DL_INFO_ACK that something below it has taken";
        Err(Stop::Hang(Hang { interruptible: true, reason, ticket: Some(ticket) }))
    }

    pub(super) fn pop(&mut self, id: StreamId) -> Sys {
        let module = *self.stream(id)?.modules.first().ok_or(Errno::EINVAL)?;
        self.close_module(id, module)?;
        self.stream_mut(id)?.modules.remove(0);
        Ok(0)
    }

    pub(super) fn look(&mut self, memory: &mut dyn Memory, id: StreamId, argument: u64) -> Sys {
        let module = self.stream(id)?.modules.first().ok_or(Errno::EINVAL)?;
        memory.copy_out(argument, module.name().as_bytes())?;
        memory.copy_out(argument.wrapping_add(module.name().len() as u64), &[0])?;
        Ok(0)
    }

    pub(super) fn find(&mut self, memory: &dyn Memory, id: StreamId, argument: u64) -> Sys {
        let name = Self::module_name(memory, argument)?;
        if !matches!(name.as_slice(), b"ip" | b"arp" | b"dummymod" | b"bufmod") {
            return Err(Errno::EINVAL.into());
        }
        let present = self.stream(id)?.modules.iter().any(|module| module.name().as_bytes() == name);
        Ok(i64::from(present))
    }

    /// Without a list the number of modules and driver; with one, their names from the top.
    pub(super) fn list(&mut self, memory: &mut dyn Memory, id: StreamId, argument: u64) -> Sys {
        let stream = self.stream(id)?;
        let mut names: Vec<_> = stream.modules.iter().map(|module| module.name()).collect();
        names.push(stream.driver.name());
        if argument == 0 {
            return Ok(names.len() as i64);
        }
        let list = copy_in_vec(memory, argument, STR_LIST_LEN)?;
        let room = usize::try_from(list.i32_at(0)).map_err(|_| Errno::EINVAL)?;
        let count = names.len().min(room);
        for (index, name) in names.iter().take(count).enumerate() {
            let mut entry = [0; STR_MLIST_LEN];
            put(&mut entry, 0, name.as_bytes());
            memory.copy_out(list.u64_at(8).wrapping_add((index * STR_MLIST_LEN) as u64), &entry)?;
        }
        memory.copy_out(argument, &(count as i32).to_le_bytes())?;
        Ok(0)
    }

    fn module_name(memory: &dyn Memory, argument: u64) -> Result<Vec<u8>, Errno> {
        match copy_in_string(memory, argument, FMNAMESZ as usize + 1) {
            Err(Errno::ENAMETOOLONG) => Err(Errno::EINVAL),
            name => name,
        }
    }

    pub(super) fn set_read_options(&mut self, id: StreamId, argument: u64) -> Sys {
        let options = argument as i32;
        let stream = self.stream_mut(id)?;
        let read_mode = match options & 0x3 {
            abi::RNORM => ReadMode::Normal,
            abi::RMSGD => ReadMode::MessageDiscard,
            abi::RMSGN => ReadMode::MessageNonDiscard,
            _ => return Err(Errno::EINVAL.into()),
        };
        let proto_mode = match options & !0x3 {
            0 => stream.proto_mode,
            abi::RPROTNORM => ProtoMode::Refuse,
            abi::RPROTDAT => ProtoMode::AsData,
            abi::RPROTDIS => ProtoMode::Discard,
            _ => return Err(Errno::EINVAL.into()),
        };
        stream.read_mode = read_mode;
        stream.proto_mode = proto_mode;
        Ok(0)
    }

    pub(super) fn get_read_options(&mut self, memory: &mut dyn Memory, id: StreamId, argument: u64) -> Sys {
        let stream = self.stream(id)?;
        let read_mode = match stream.read_mode {
            ReadMode::Normal => abi::RNORM,
            ReadMode::MessageDiscard => abi::RMSGD,
            ReadMode::MessageNonDiscard => abi::RMSGN,
        };
        let proto_mode = match stream.proto_mode {
            ProtoMode::Refuse => abi::RPROTNORM,
            ProtoMode::AsData => abi::RPROTDAT,
            ProtoMode::Discard => abi::RPROTDIS,
        };
        memory.copy_out(argument, &(read_mode | proto_mode).to_le_bytes())?;
        Ok(0)
    }

    /// `I_NREAD`: bytes of data in the first message, and how many messages there are.
    pub(super) fn next_length(&mut self, memory: &mut dyn Memory, id: StreamId, argument: u64) -> Sys {
        let queue = &self.stream(id)?.queue;
        let length = queue.front().map_or(0, crate::kernel::stream::Message::data_len);
        memory.copy_out(argument, &(length as i32).to_le_bytes())?;
        Ok(queue.len() as i64)
    }

    /// `FIONREAD`: bytes of data in all messages.
    pub(super) fn queued_length(&mut self, memory: &mut dyn Memory, id: StreamId, argument: u64) -> Sys {
        let queue = &self.stream(id)?.queue;
        let data = queue.iter().filter(|message| message.kind == MessageKind::Data);
        let length: usize = data.map(crate::kernel::stream::Message::data_len).sum();
        memory.copy_out(argument, &(length as i32).to_le_bytes())?;
        Ok(0)
    }

    pub(super) fn flush(&mut self, id: StreamId, argument: u64) -> Sys {
        let what = argument as i32;
        if !(abi::FLUSHR..=abi::FLUSHR | abi::FLUSHW).contains(&what) {
            return Err(Errno::EINVAL.into());
        }
        if what & abi::FLUSHR != 0 {
            self.stream_mut(id)?.flush_read();
        }
        if what & abi::FLUSHW != 0 {
            self.flush_write(id);
        }
        Ok(0)
    }
}

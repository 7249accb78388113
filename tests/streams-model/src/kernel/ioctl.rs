//! ioctl(2): the stream head's own requests, and what goes down to modules and drivers.

use crate::abi::{self, Errno};
use crate::call::Sys;
use crate::image::{Bytes, Lifreq, Strioctl};
use crate::kernel::Kernel;
use crate::kernel::stream::{Driver, Module, StreamId};
use crate::kernel::tap::Argument;
use crate::memory::{Memory, copy_in_vec};

/// Largest data block of an `I_STR` (`strmsgsz`).
const MAX_BLOCK: i32 = 65536;
/// The type byte of the interface requests.
const INTERFACE_TYPE: u32 = b'i' as u32;

/// How the data of an interface request reached the kernel, and so how it is answered.
#[derive(Clone, Debug)]
pub(super) enum Carrier {
    /// A transparent ioctl: the structure lies at this address.
    Transparent(u64),
    /// An `I_STR`: the block was copied in.
    Block(Vec<u8>),
}

/// The answer of a module or driver: the return value, and the data an `I_STR` copies out.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) value: i64,
    pub(super) data: Vec<u8>,
}

impl Reply {
    pub(super) fn value(value: i64) -> Self {
        Self { value, data: Vec::new() }
    }
}

impl Kernel {
    pub(super) fn ioctl(&mut self, memory: &mut dyn Memory, fd: i32, request: u32, argument: u64) -> Sys {
        let id = self.stream_of(fd)?;
        let stream = self.stream(id)?;
        if stream.linked {
            return Err(Errno::EINVAL.into());
        }
        if matches!(stream.driver, Driver::Socket(_)) {
            return self.socket_ioctl(memory, id, request, argument);
        }
        if stream.hung_up {
            return Err(Errno::ENXIO.into());
        }
        if let Some(errno) = stream.error {
            return Err(errno.into());
        }
        match request {
            abi::I_STR => self.str_ioctl(memory, id, argument),
            abi::I_PUSH => self.push(memory, id, argument),
            abi::I_POP => self.pop(id),
            abi::I_LOOK => self.look(memory, id, argument),
            abi::I_FIND => self.find(memory, id, argument),
            abi::I_LIST => self.list(memory, id, argument),
            abi::I_LINK => self.link(id, argument as i32, false),
            abi::I_PLINK => self.link(id, argument as i32, true),
            abi::I_UNLINK => self.unlink(id, argument as i32, false),
            abi::I_PUNLINK => self.unlink(id, argument as i32, true),
            abi::I_SRDOPT => self.set_read_options(id, argument),
            abi::I_GRDOPT => self.get_read_options(memory, id, argument),
            abi::I_PEEK => self.peek(memory, id, argument),
            abi::I_NREAD => self.next_length(memory, id, argument),
            abi::FIONREAD => self.queued_length(memory, id, argument),
            abi::I_FLUSH => self.flush(id, argument),
            abi::I_CANPUT => Ok(i64::from(!self.is_stopped(id))),
            abi::FIONBIO => self.set_nonblocking(memory, fd, argument),
            _ => self.transparent_ioctl(memory, id, request, argument),
        }
    }

    fn socket_ioctl(&mut self, memory: &mut dyn Memory, id: StreamId, request: u32, argument: u64) -> Sys {
        if !is_interface_request(request) {
            return Err(Errno::ENOTTY.into());
        }
        self.transparent_ioctl(memory, id, request, argument)
    }

    fn str_ioctl(&mut self, memory: &mut dyn Memory, id: StreamId, address: u64) -> Sys {
        let strioctl = Strioctl::copy_in(memory, address)?;
        let link = matches!(strioctl.cmd, abi::I_LINK | abi::I_PLINK | abi::I_UNLINK | abi::I_PUNLINK);
        if link || strioctl.timout < abi::INFTIM || !(0..=MAX_BLOCK).contains(&strioctl.len) {
            return Err(Errno::EINVAL.into());
        }
        let block = copy_in_vec(memory, strioctl.dp, strioctl.len as usize)?;
        let reply = self.down(memory, id, strioctl.cmd, Carrier::Block(block))?;
        memory.copy_out(strioctl.dp, &reply.data)?;
        let answered = Strioctl { len: reply.data.len() as i32, ..strioctl };
        memory.copy_out(address, &answered.image())?;
        self.watch.answered(address, strioctl, answered);
        Ok(reply.value)
    }

    fn transparent_ioctl(
        &mut self,
        memory: &mut dyn Memory,
        id: StreamId,
        request: u32,
        argument: u64,
    ) -> Sys {
        self.down(memory, id, request, Carrier::Transparent(argument)).map(|reply| reply.value)
    }

    /// Offers a request to each module from the top, then to the driver.
    fn down(&mut self, memory: &mut dyn Memory, id: StreamId, request: u32, carrier: Carrier) -> Sys<Reply> {
        for module in self.stream(id)?.modules.clone() {
            match module {
                Module::Ip if request == abi::IF_UNITSEL => return self.select_unit(memory, id, &carrier),
                Module::Ip if is_interface_request(request) => {
                    return self.ip_module_ioctl(memory, id, request, &carrier);
                }
                Module::Arp if request == abi::SIOCSLIFNAME => return self.name_arp(id, &carrier),
                _ => {}
            }
        }
        let driver = self.stream(id)?.driver;
        match driver {
            Driver::Vnic | Driver::Nic => self.datalink_ioctl(memory, id, request, &carrier),
            Driver::Tap | Driver::Tun => {
                let argument = match carrier {
                    Carrier::Transparent(value) => Argument::Value(value),
                    Carrier::Block(block) => Argument::Block(block),
                };
                self.tuntap_ioctl(id, request, &argument).map(Reply::value)
            }
            _ if is_interface_request(request) => self.interface_ioctl(memory, id, request, &carrier),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Reads the `lifreq` of a request; an `I_STR` must bring the whole of it.
    pub(super) fn take_lifreq(memory: &dyn Memory, carrier: &Carrier) -> Result<Lifreq, Errno> {
        match carrier {
            Carrier::Block(block) if block.len() < Lifreq::LEN => Err(Errno::EINVAL),
            Carrier::Block(block) => Ok(Lifreq::from_bytes(block)),
            Carrier::Transparent(address) => {
                Ok(Lifreq::from_bytes(&copy_in_vec(memory, *address, Lifreq::LEN)?))
            }
        }
    }

    /// Gives the `lifreq` back, the way the request came.
    pub(super) fn give_lifreq(
        memory: &mut dyn Memory,
        carrier: &Carrier,
        lifreq: &Lifreq,
    ) -> Result<Reply, Errno> {
        match carrier {
            Carrier::Block(_) => Ok(Reply { value: 0, data: lifreq.0.to_vec() }),
            Carrier::Transparent(address) => {
                memory.copy_out(*address, &lifreq.0)?;
                Ok(Reply::value(0))
            }
        }
    }

    /// Where the `lifreq` of a request lies in the caller's memory.
    pub(super) fn lifreq_address(&self, memory: &dyn Memory, request: u32, argument: u64) -> u64 {
        if request != abi::I_STR {
            return argument;
        }
        Strioctl::copy_in(memory, argument).map_or(0, |strioctl| strioctl.dp)
    }

    fn set_nonblocking(&mut self, memory: &dyn Memory, fd: i32, argument: u64) -> Sys {
        let on = copy_in_vec(memory, argument, 4)?.i32_at(0) != 0;
        let file = self.files.file_mut(fd)?;
        file.flags = (file.flags & !abi::O_NONBLOCK) | if on { abi::O_NONBLOCK } else { 0 };
        Ok(0)
    }
}

/// Whether a request is one of IP's.
pub(super) fn is_interface_request(request: u32) -> bool {
    request >> 8 & 0xff == INTERFACE_TYPE
}

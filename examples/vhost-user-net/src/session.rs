//! One hypervisor's connection: its requests, in order, each carried out before the next is read.
//!
//! Every QEMU sends `SET_VRING_ENABLE` when it makes its network device, before the first `SET_FEATURES`, and not again
//! afterwards. From QEMU 10 on it asks for a reply. From QEMU 11 on it also sends `SET_VRING_CALL`, `SET_VRING_ERR` and
//! `SET_VRING_KICK`. So requests are taken in any order here, and a ring keeps what was set.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use log::warn;

use crate::features::{Negotiated, PROTOCOL_FEATURES};
use crate::memory::Memory;
use crate::message::{Message, ProtocolError, request};
use crate::pair::{Pair, RINGS, Work};
use crate::report;
use crate::vring::Vring;

/// What is agreed on with the hypervisor itself.
mod protocol {
    pub(super) const MQ: u64 = 1 << 0;
    pub(super) const REPLY_ACK: u64 = 1 << 3;
    pub(super) const OFFERED: u64 = MQ | REPLY_ACK;
}

/// A connection.
pub struct Session<'s> {
    stream: &'s UnixStream,
    pairs: &'s [Pair],
    offered: u64,
    protocol: u64,
}

/// What a request is answered.
enum Answer {
    /// Nothing, or that all went well if that is asked for.
    Done,
    Number(u64),
    Ring(u32, u32),
}

impl<'s> Session<'s> {
    /// Serves `stream` with `pairs`, of which `offered` are the feature bits.
    #[must_use]
    pub fn new(stream: &'s UnixStream, pairs: &'s [Pair], offered: u64) -> Self {
        Self { stream, pairs, offered, protocol: 0 }
    }

    /// Carries out requests until the hypervisor closes the connection.
    ///
    /// # Errors
    /// [`ProtocolError`], after which the connection is of no use.
    pub fn run(&mut self) -> Result<(), ProtocolError> {
        while let Some(mut message) = Message::read(self.stream)? {
            let acknowledge = message.needs_reply() && self.protocol & protocol::REPLY_ACK != 0;
            match self.carry_out(&mut message) {
                Ok(Answer::Number(number)) => message.answer(self.stream, number)?,
                Ok(Answer::Ring(ring, value)) => message.answer_state(self.stream, ring, value)?,
                Ok(Answer::Done) if acknowledge => message.answer(self.stream, 0)?,
                Ok(Answer::Done) => {}
                Err(error) => {
                    if acknowledge {
                        message.answer(self.stream, 1)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, message: &mut Message) -> Result<Answer, ProtocolError> {
        match message.request {
            request::GET_FEATURES => message.nothing().map(|()| Answer::Number(self.offered)),
            request::SET_FEATURES => self.set_features(message),
            request::SET_OWNER => message.nothing().map(|()| Answer::Done),
            request::RESET_OWNER => self.reset(message),
            request::GET_PROTOCOL_FEATURES => message.nothing().map(|()| Answer::Number(protocol::OFFERED)),
            request::SET_PROTOCOL_FEATURES => self.set_protocol_features(message),
            request::GET_QUEUE_NUM => message.nothing().map(|()| Answer::Number(self.rings() as u64)),
            request::SET_MEM_TABLE => self.set_memory(message),
            request::GET_VRING_BASE => self.stop_ring(message),
            request::SET_VRING_KICK | request::SET_VRING_CALL | request::SET_VRING_ERR => {
                self.set_event(message)
            }
            _ => self.set_ring(message),
        }
    }

    fn set_features(&self, message: &Message) -> Result<Answer, ProtocolError> {
        let features = message.number()?;
        if features & !self.offered != 0 {
            return Err(value(message, "features that were not offered"));
        }
        for pair in self.pairs {
            if let Err(error) = pair.agree(Negotiated::new(features)) {
                // Frames that the guest did not agree to are dropped and counted.
                warn!("the TAP does not change its offloads: {error}");
            }
            // A hypervisor that does not know the request to enable a ring has every ring enabled.
            if features & PROTOCOL_FEATURES == 0 {
                pair.set_up(|work| work.rings.iter_mut().for_each(|ring| ring.set_enabled(true)));
            }
        }
        report::features(features, self.pairs);
        Ok(Answer::Done)
    }

    fn set_protocol_features(&mut self, message: &Message) -> Result<Answer, ProtocolError> {
        let features = message.number()?;
        if features & !protocol::OFFERED != 0 {
            return Err(value(message, "protocol features that were not offered"));
        }
        self.protocol = features;
        Ok(Answer::Done)
    }

    /// The request is obsolete, and says only that nobody owns the device.
    fn reset(&self, message: &Message) -> Result<Answer, ProtocolError> {
        message.nothing()?;
        for pair in self.pairs {
            pair.set_up(|work| work.rings.iter_mut().for_each(|ring| ring.set_enabled(false)));
        }
        Ok(Answer::Done)
    }

    fn set_memory(&self, message: &mut Message) -> Result<Answer, ProtocolError> {
        let memory = Arc::new(Memory::map(message.memory()?)?);
        for pair in self.pairs {
            pair.set_up(|work| work.set_memory(Arc::clone(&memory)));
        }
        Ok(Answer::Done)
    }

    fn stop_ring(&self, message: &Message) -> Result<Answer, ProtocolError> {
        let (number, _) = message.state()?;
        let base = self.ring(message, number, |ring, _| {
            ring.stop();
            ring.base()
        })?;
        Ok(Answer::Ring(number, base.into()))
    }

    fn set_event(&self, message: &mut Message) -> Result<Answer, ProtocolError> {
        let (number, event) = message.event()?;
        let request = message.request;
        self.ring(message, number, |ring, _| match request {
            request::SET_VRING_KICK => ring.start(event),
            request::SET_VRING_CALL => ring.set_call(event),
            // The daemon never writes to this descriptor. It counts what is wrong with a ring, and logs it once.
            _ => drop(event),
        })?;
        Ok(Answer::Done)
    }

    fn set_ring(&self, message: &Message) -> Result<Answer, ProtocolError> {
        let good = match message.request {
            request::SET_VRING_ADDR => {
                let (number, addresses) = message.addresses()?;
                self.ring(message, number, |ring, memory| ring.set_addresses(addresses, memory))?
            }
            request::SET_VRING_NUM => {
                let (number, size) = message.state()?;
                self.ring(message, number, |ring, memory| ring.set_size(size, memory))?
            }
            request::SET_VRING_BASE => {
                let (number, base) = message.state()?;
                // The index has 16 bits.
                self.ring(message, number, |ring, _| {
                    u16::try_from(base).map(|base| ring.set_base(base)).is_ok()
                })?
            }
            request::SET_VRING_ENABLE => {
                let (number, enabled) = message.state()?;
                self.ring(message, number, |ring, _| ring.set_enabled(enabled != 0))?;
                enabled <= 1
            }
            other => return Err(ProtocolError::Unknown(other)),
        };
        if good { Ok(Answer::Done) } else { Err(value(message, "a value that a ring cannot have")) }
    }

    /// Sets a ring up, between two turns of its pair.
    fn ring<R>(
        &self,
        message: &Message,
        number: u32,
        act: impl FnOnce(&mut Vring, &Memory) -> R,
    ) -> Result<R, ProtocolError> {
        let number = number as usize;
        let pair =
            self.pairs.get(number / RINGS).ok_or_else(|| value(message, "a ring that is not there"))?;
        Ok(pair.set_up(|Work { rings, memory, .. }| act(&mut rings[number % RINGS], memory)))
    }

    fn rings(&self) -> usize {
        RINGS * self.pairs.len()
    }
}

fn value(message: &Message, what: &'static str) -> ProtocolError {
    ProtocolError::Value { request: message.request, what }
}

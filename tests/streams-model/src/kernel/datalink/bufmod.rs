//! bufmod(4M): gathers what comes up into chunks, and sets how much the stream head holds.

use std::collections::VecDeque;

use crate::abi::{
    self, Errno, SB_DEFER_CHUNK, SB_DFLT_CHUNK, SB_NO_DROPS, SB_NO_HEADER, SB_NO_PROTO_CVT, SB_SEND_ON_WRITE,
};
use crate::image::Bytes;
use crate::kernel::Kernel;
use crate::kernel::datalink::bandwidth::TICK;
use crate::kernel::stream::{Message, MessageKind, Stream, StreamId};

/// Bytes of `struct sb_hdr`.
const HEADER: usize = 24;
/// What each header is aligned to.
const ALIGNMENT: usize = 8;
/// The clock's reading at boot, seconds.
const BOOTED_AT: u64 = 1;
/// Bytes of `struct timeval`, and of the other parameters.
const TIMEVAL: usize = 16;
const NUMBER: usize = 4;
const MICROSECONDS: i64 = 1_000_000;

/// One bufmod on a stream.
#[derive(Clone, Debug)]
pub(crate) struct Bufmod {
    chunk: usize,
    /// How long a chunk may take; nothing for no limit.
    ticks: Option<u64>,
    snap: usize,
    flags: u32,
    held: Vec<u8>,
    /// Length of the chunk as bufmod counts it: padding that is not written yet included.
    length: usize,
    count: u32,
    drops: u32,
    deferred_one: bool,
    deadline: Option<u64>,
    /// Messages that wait for room above.
    waiting: VecDeque<Message>,
}

impl Bufmod {
    pub(in crate::kernel) fn new() -> Self {
        Self {
            chunk: SB_DFLT_CHUNK as usize,
            ticks: None,
            snap: 0,
            flags: 0,
            held: Vec::new(),
            length: 0,
            count: 0,
            drops: 0,
            deferred_one: false,
            deadline: None,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether it holds frames back for as long as it takes to fill a chunk.
    pub(super) fn holds_for_ever(&self) -> bool {
        self.chunk > 0 && self.ticks.is_none()
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Ends the chunk and gives it away.
    fn close_chunk(&mut self) -> Option<Message> {
        self.deadline = None;
        self.length = 0;
        if self.has(SB_DEFER_CHUNK) {
            self.deferred_one = false;
        }
        let any = std::mem::take(&mut self.count) > 0;
        any.then(|| Message::data(std::mem::take(&mut self.held)))
    }

    /// Adds a message; gives what is to be passed on, in order.
    fn add(&mut self, mut bytes: Vec<u8>, now: u64) -> Vec<Message> {
        let whole = bytes.len();
        if self.snap > 0 {
            bytes.truncate(self.snap);
        }
        if self.has(SB_NO_HEADER) { self.add_bare(bytes) } else { self.add_with_header(bytes, whole, now) }
    }

    fn add_bare(&mut self, bytes: Vec<u8>) -> Vec<Message> {
        let mut out = Vec::new();
        if bytes.len() + self.length > self.chunk {
            out.extend(self.close_chunk());
        }
        if bytes.len() > self.chunk {
            out.push(Message::data(bytes));
            return out;
        }
        self.length += bytes.len();
        self.held.extend(bytes);
        self.count += 1;
        out
    }

    fn add_with_header(&mut self, bytes: Vec<u8>, whole: usize, now: u64) -> Vec<Message> {
        let mut out = Vec::new();
        let pad = bytes.len().next_multiple_of(ALIGNMENT) - bytes.len();
        let mut total = bytes.len() + HEADER;
        if self.length + total > self.chunk {
            out.extend(self.close_chunk());
        }
        let is_last = self.length + total + pad + HEADER + ALIGNMENT > self.chunk;
        self.length += total;
        if !is_last {
            total += pad;
            self.length += pad;
        }
        let seconds = (BOOTED_AT + now / 1000) as u32;
        let words =
            [whole as u32, bytes.len() as u32, total as u32, self.drops, seconds, (now % 1000 * 1000) as u32];
        self.held.extend(words.map(u32::to_le_bytes).concat());
        self.held.extend(bytes);
        self.count += 1;
        if is_last {
            out.extend(self.close_chunk());
        } else {
            self.held.resize(self.held.len() + pad, 0);
        }
        out
    }

    /// What comes of a message from below.
    fn put(&mut self, message: Message, now: u64) -> Vec<Message> {
        if message.kind == MessageKind::Proto && self.has(SB_NO_PROTO_CVT) {
            return self.close_chunk().into_iter().chain([message]).collect();
        }
        let bytes = [message.control.unwrap_or_default(), message.data.unwrap_or_default()].concat();
        let out = if self.has(SB_DEFER_CHUNK) && !self.deferred_one {
            let held = self.close_chunk();
            self.deferred_one = true;
            held.into_iter().chain([Message::data(bytes)]).collect()
        } else {
            self.add(bytes, now)
        };
        if let (Some(ticks @ 1..), None) = (self.ticks, self.deadline) {
            self.deadline = Some((now / TICK + ticks) * TICK);
        }
        out
    }

    /// A parameter's request with its bytes: what is answered, and the mark the stream head is to get.
    fn request(&mut self, request: u32, bytes: &[u8]) -> Result<Asked, Errno> {
        let number = bytes.u32_at(0);
        match request {
            abi::SBIOCSTIME => {
                let (seconds, micros) = (bytes.u64_at(0).cast_signed(), bytes.u64_at(8).cast_signed());
                if seconds < 0 || micros < 0 {
                    return Err(Errno::EINVAL);
                }
                let tick = MICROSECONDS / 1000 * TICK as i64;
                let ticks = seconds.saturating_mul(MICROSECONDS / tick).saturating_add(micros / tick) as u64;
                self.ticks = Some(ticks);
                if ticks == 0 {
                    self.chunk = 0;
                }
                Ok(Asked { closes: true, ..Asked::default() })
            }
            abi::SBIOCCTIME => {
                self.ticks = None;
                Ok(Asked::default())
            }
            abi::SBIOCSCHUNK => {
                self.chunk = number as usize;
                Ok(Asked { closes: true, high_water: Some(high_water(self.chunk, 1)), ..Asked::default() })
            }
            abi::SBIOCSSNAP => {
                self.snap = number as usize;
                let factor = match self.snap {
                    ..=100 => 4,
                    101..=400 => 2,
                    _ => 1,
                };
                let mark = (self.chunk == 0).then(|| high_water(self.snap, factor));
                Ok(Asked { high_water: mark, ..Asked::default() })
            }
            abi::SBIOCSFLAGS => {
                self.flags = number;
                Ok(Asked::default())
            }
            abi::SBIOCGCHUNK => Ok(Asked::number(self.chunk as u32)),
            abi::SBIOCGSNAP => Ok(Asked::number(self.snap as u32)),
            abi::SBIOCGFLAGS => Ok(Asked::number(self.flags)),
            _ => {
                let ticks = self.ticks.ok_or(Errno::ERANGE)?;
                let ms = ticks.saturating_mul(TICK);
                let image = [(ms / 1000).to_le_bytes(), (ms % 1000 * 1000).to_le_bytes()].concat();
                Ok(Asked { answer: image, ..Asked::default() })
            }
        }
    }
}

/// What a parameter's request gives.
#[derive(Default)]
struct Asked {
    answer: Vec<u8>,
    high_water: Option<usize>,
    closes: bool,
}

impl Asked {
    fn number(number: u32) -> Self {
        Self { answer: number.to_le_bytes().to_vec(), ..Self::default() }
    }
}

fn high_water(size: usize, factor: usize) -> usize {
    (4 * size).saturating_mul(factor) + 512
}

/// Whether a request is one of bufmod's, and how many bytes it needs.
pub(in crate::kernel) fn parameter_len(request: u32) -> Option<usize> {
    match request {
        abi::SBIOCSTIME | abi::SBIOCGTIME => Some(TIMEVAL),
        abi::SBIOCCTIME => Some(0),
        abi::SBIOCSCHUNK..=abi::SBIOCGFLAGS => Some(NUMBER),
        _ => None,
    }
}

impl Stream {
    /// Passes a message through the bufmods below `above`, counted from the top, and queues what comes out.
    pub(in crate::kernel) fn pass_up(&mut self, above: usize, message: Message, now: u64) {
        if above == 0 || message.kind == MessageKind::PcProto {
            return self.put(message);
        }
        let Some(bufmod) = self.bufmods.get_mut(above - 1) else { return };
        for message in bufmod.put(message, now) {
            self.send_up(above, message, now);
        }
    }

    /// Passes on what a bufmod sends; without room it is dropped, or waits.
    fn send_up(&mut self, from: usize, message: Message, now: u64) {
        let room = if from == 1 { self.can_put() } else { !self.bufmods[from - 2].is_full() };
        let bufmod = &mut self.bufmods[from - 1];
        let waits = bufmod.is_full();
        if !room && !bufmod.has(SB_NO_DROPS) {
            bufmod.drops += bufmod.count.max(1);
        } else if !room || waits {
            bufmod.waiting.push_back(message);
        } else {
            self.pass_up(from - 1, message, now);
        }
    }

    /// Messages that waited for room above go on.
    pub(in crate::kernel) fn pass_waiting(&mut self, now: u64) {
        for index in (0..self.bufmods.len()).rev() {
            let room = |stream: &Self| {
                if index == 0 { stream.can_put() } else { !stream.bufmods[index - 1].is_full() }
            };
            while room(self) {
                let Some(message) = self.bufmods[index].waiting.pop_front() else { break };
                self.pass_up(index, message, now);
            }
        }
    }

    /// Closes the chunks whose time is over.
    fn close_overdue(&mut self, now: u64) {
        for index in (0..self.bufmods.len()).rev() {
            if self.bufmods[index].deadline.is_some_and(|at| at <= now)
                && let Some(message) = self.bufmods[index].close_chunk()
            {
                self.send_up(index + 1, message, now);
            }
        }
    }

    /// What a flush of the read side takes out of the modules.
    pub(in crate::kernel) fn flush_bufmods(&mut self) {
        for bufmod in &mut self.bufmods {
            drop(bufmod.close_chunk());
            bufmod.waiting.clear();
        }
    }

    /// A message goes down: chunks end where a bufmod was told so.
    pub(in crate::kernel) fn close_chunks_on_write(&mut self, now: u64) {
        for index in 0..self.bufmods.len() {
            if self.bufmods[index].has(SB_SEND_ON_WRITE)
                && let Some(message) = self.bufmods[index].close_chunk()
            {
                self.send_up(index + 1, message, now);
            }
        }
    }

    /// Sets or tells a parameter of a bufmod; an answer is empty for a request that only sets.
    pub(in crate::kernel) fn bufmod_request(
        &mut self,
        index: usize,
        request: u32,
        bytes: &[u8],
        now: u64,
    ) -> Result<Vec<u8>, Errno> {
        let bufmod = self.bufmods.get_mut(index).ok_or(Errno::EINVAL)?;
        let asked = bufmod.request(request, bytes)?;
        let closed = if asked.closes { bufmod.close_chunk() } else { None };
        if let Some(mark) = asked.high_water {
            self.high_water = mark;
        }
        if let Some(message) = closed {
            self.send_up(index + 1, message, now);
        }
        Ok(asked.answer)
    }
}

impl Kernel {
    /// When the next chunk's time is over.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let bufmods = self.streams.values().flat_map(|stream| &stream.bufmods);
        bufmods.filter_map(|bufmod| bufmod.deadline).min()
    }

    pub(super) fn close_overdue_chunks(&mut self, now: u64) {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.close_overdue(now);
            }
        }
    }
}

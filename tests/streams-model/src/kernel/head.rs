//! read(2) and write(2) at the stream head, `streamio(4I)`; then poll(2), and whether a call would sleep.

use crate::abi::{Errno, POLLNVAL};
use crate::call::{Call, Stop, Sys};
use crate::image::{Bytes, IOVEC_LEN, POLLFD_EVENTS, POLLFD_LEN, POLLFD_REVENTS};
use crate::kernel::Kernel;
use crate::kernel::stream::{Driver, Message, MessageKind, ProtoMode, ReadMode, Stream, StreamId};
use crate::memory::{Memory, copy_in_vec};

/// Smallest write the tap driver's queue takes.
const TAP_MIN_WRITE: usize = 21;
/// Largest write the tap driver's queue takes.
const TAP_MAX_WRITE: usize = 2048;
/// `IOV_MAX`
const MAX_SLICES: i32 = 1024;

/// A caller's buffer: address and length.
type Slice = (u64, usize);

impl Kernel {
    /// Copies in an `iovec` array.
    pub(super) fn slices(memory: &dyn Memory, vector: u64, count: i32) -> Result<Vec<Slice>, Stop> {
        if !(1..=MAX_SLICES).contains(&count) {
            return Err(Errno::EINVAL.into());
        }
        let image = copy_in_vec(memory, vector, count as usize * IOVEC_LEN)?;
        Ok(image.chunks_exact(IOVEC_LEN).map(|entry| (entry.u64_at(0), entry.u64_at(8) as usize)).collect())
    }

    /// The model's sockets only take interface requests; whoever backs them with real ones reads those.
    fn data_stream_of(&self, fd: i32) -> Result<StreamId, Errno> {
        let id = self.free_stream_of(fd)?;
        if self.is_stream(fd) { Ok(id) } else { Err(Errno::EOPNOTSUPP) }
    }

    pub(super) fn read(&mut self, memory: &mut dyn Memory, fd: i32, slices: &[Slice]) -> Sys {
        let id = self.data_stream_of(fd)?;
        let nonblocking = self.is_nonblocking(fd)?;
        let room = total(slices)?;
        self.watch_reading(id);
        let now = self.timers.now();
        let stream = self.stream_mut(id)?;
        if let Some(errno) = stream.error {
            return Err(errno.into());
        }
        if room == 0 {
            return Ok(0);
        }
        let got = stream.read(room);
        stream.pass_waiting(now);
        match got? {
            Some(bytes) => {
                scatter(memory, slices, &bytes)?;
                Ok(bytes.len() as i64)
            }
            None if stream.hung_up => Ok(0),
            None if nonblocking => Err(Errno::EAGAIN.into()),
            None => Err(Stop::Block),
        }
    }

    pub(super) fn write(&mut self, memory: &dyn Memory, fd: i32, slices: &[Slice]) -> Sys {
        let id = self.data_stream_of(fd)?;
        let mut bytes = Vec::new();
        let length = total(slices)?;
        let stream = self.stream(id)?;
        if stream.hung_up {
            return Err(Errno::EIO.into());
        }
        stream.check_write(length)?;
        if stream.driver.is_datalink() {
            for &(address, length) in slices {
                bytes.extend(copy_in_vec(memory, address, length)?);
            }
            let nonblocking = self.is_nonblocking(fd)?;
            return self.write_datalink(id, &bytes, nonblocking);
        }
        // Where nothing lies that takes data, none is copied in: only the tap driver limits the length.
        let taken = if stream.writes_to_tuntap() { slices } else { &[] };
        for &(address, length) in taken {
            bytes.extend(copy_in_vec(memory, address, length)?);
        }
        self.send_data(id, &bytes);
        Ok(length as i64)
    }

    /// One data message from the user down the stream. Nothing tells the writer whether anybody takes it.
    pub(super) fn send_data(&mut self, id: StreamId, bytes: &[u8]) {
        let Ok(stream) = self.stream(id) else { return };
        if stream.driver.is_datalink() {
            self.data_down(id, bytes);
        } else if stream.writes_to_tuntap() && stream.dl.control {
            self.frame_from_user(id, bytes);
        } else {
            self.traffic.dropped_writes += 1;
        }
    }
}

impl Stream {
    /// Whether a data message of this length can be sent down.
    pub(super) fn check_write(&self, length: usize) -> Result<(), Errno> {
        if let Some(errno) = self.error {
            return Err(errno);
        }
        if self.writes_to_tuntap() && !(TAP_MIN_WRITE..=TAP_MAX_WRITE).contains(&length) {
            return Err(Errno::ERANGE);
        }
        Ok(())
    }

    /// What a read with this much room gets; nothing when the queue is empty.
    fn read(&mut self, room: usize) -> Result<Option<Vec<u8>>, Errno> {
        let mut bytes = Vec::new();
        let mut any = false;
        while let Some(message) = self.next_readable()? {
            let data = message.data.unwrap_or_default();
            if data.is_empty() && any {
                // A zero-length message ends the read before it.
                self.put_back(Message::data(data));
                break;
            }
            any = true;
            let taken = data.len().min(room - bytes.len());
            bytes.extend_from_slice(&data[..taken]);
            if taken < data.len() && self.read_mode != ReadMode::MessageDiscard {
                self.put_back(Message::data(data[taken..].to_vec()));
            }
            if self.read_mode != ReadMode::Normal || data.is_empty() || bytes.len() == room {
                break;
            }
        }
        Ok(any.then_some(bytes))
    }

    /// Takes the next message as data, as the protocol read mode says.
    fn next_readable(&mut self) -> Result<Option<Message>, Errno> {
        while let Some(front) = self.queue.front() {
            if front.kind == MessageKind::Data {
                return Ok(self.take());
            }
            match self.proto_mode {
                ProtoMode::Refuse => return Err(Errno::EBADMSG),
                ProtoMode::AsData => return Ok(self.take().map(Message::flattened)),
                ProtoMode::Discard => {
                    if let Some(Message { data: Some(data), .. }) = self.take() {
                        return Ok(Some(Message::data(data)));
                    }
                }
            }
        }
        Ok(None)
    }
}

impl Message {
    fn flattened(self) -> Self {
        let mut bytes = self.control.unwrap_or_default();
        bytes.extend(self.data.unwrap_or_default());
        Self::data(bytes)
    }
}

/// Bytes of all slices; more than a `ssize_t` can count is refused.
fn total(slices: &[Slice]) -> Result<usize, Errno> {
    let sum = slices.iter().try_fold(0_usize, |sum, slice| sum.checked_add(slice.1));
    sum.filter(|&sum| isize::try_from(sum).is_ok()).ok_or(Errno::EINVAL)
}

fn scatter(memory: &mut dyn Memory, slices: &[Slice], mut bytes: &[u8]) -> Result<(), Errno> {
    for &(address, length) in slices {
        let (part, rest) = bytes.split_at(length.min(bytes.len()));
        memory.copy_out(address, part)?;
        bytes = rest;
    }
    Ok(())
}

/// `OPEN_MAX`
const MAX_ENTRIES: u64 = 65536;

impl Kernel {
    /// What `poll(2)` says about one descriptor now.
    pub fn poll_events(&self, fd: i32, events: i16) -> i16 {
        match self.stream_of(fd).and_then(|id| self.stream(id)) {
            Ok(stream) => stream.poll(events),
            Err(_) => POLLNVAL,
        }
    }

    /// Whether the fault plan would strike this call now; counts nothing.
    pub(crate) fn fault_is_due(&self, memory: &dyn Memory, call: &Call) -> bool {
        self.plan.would_strike(&self.decode(memory, call))
    }

    /// Each open file of a stream once, with one of its descriptors.
    pub(crate) fn backed_files(&self) -> Vec<(u32, i32)> {
        let files: std::collections::BTreeMap<u32, i32> =
            self.files.descriptors.iter().map(|(fd, descriptor)| (descriptor.file, *fd)).collect();
        files.into_iter().filter(|(_, fd)| self.is_stream(*fd)).collect()
    }

    /// Whether a descriptor is a stream, not a socket.
    pub fn is_stream(&self, fd: i32) -> bool {
        let stream = self.stream_of(fd).and_then(|id| self.stream(id));
        stream.is_ok_and(|stream| !matches!(stream.driver, Driver::Socket(_)))
    }

    /// One look at every descriptor of a `pollfd` array; never sleeps.
    pub(super) fn poll(&mut self, memory: &mut dyn Memory, fds: u64, count: u64) -> Sys {
        self.serve_before_waiting();
        let mut ready = 0;
        for at in entries(fds, count)? {
            let entry = copy_in_vec(memory, at, POLLFD_LEN)?;
            let fd = entry.i32_at(0);
            let revents =
                if fd < 0 { 0 } else { self.poll_events(fd, entry.u16_at(POLLFD_EVENTS).cast_signed()) };
            memory.copy_out(at.wrapping_add(POLLFD_REVENTS as u64), &revents.to_le_bytes())?;
            ready += i64::from(revents != 0);
        }
        Ok(ready)
    }

    /// Answers a poll with these events on its first descriptor that is the model's.
    pub(super) fn answer_poll(&mut self, memory: &mut dyn Memory, call: Call, events: i16) -> Sys {
        let Call::Poll { fds, count } = call else { return self.execute(memory, call) };
        self.poll(memory, fds, count)?;
        for at in entries(fds, count)? {
            let fd = copy_in_vec(memory, at, POLLFD_LEN)?.i32_at(0);
            if self.files.descriptor(fd).is_ok() {
                memory.copy_out(at.wrapping_add(POLLFD_REVENTS as u64), &events.to_le_bytes())?;
                return Ok(1);
            }
        }
        Ok(0)
    }

    /// Whether the call would sleep until something arrives on its stream.
    pub fn would_block(&self, call: &Call) -> bool {
        let fd = match *call {
            Call::Read { length: 0, .. } => return false,
            Call::Read { fd, .. } | Call::Readv { fd, .. } | Call::Getmsg { fd, .. } => fd,
            Call::Write { fd, .. } | Call::Writev { fd, .. } | Call::Putmsg { fd, flags: 0, .. } => {
                return self.waits_to_write(fd).unwrap_or(false);
            }
            _ => return false,
        };
        self.sleeps_on(fd).unwrap_or(false)
    }

    fn waits_to_write(&self, fd: i32) -> Result<bool, Errno> {
        Ok(self.is_stopped(self.stream_of(fd)?) && !self.is_nonblocking(fd)?)
    }

    fn sleeps_on(&self, fd: i32) -> Result<bool, Errno> {
        let stream = self.stream(self.stream_of(fd)?)?;
        let idle = stream.queue.is_empty() && !stream.hung_up && !stream.linked && stream.error.is_none();
        Ok(idle && self.is_stream(fd) && !self.is_nonblocking(fd)?)
    }
}

/// Where the entries of a `pollfd` array lie; more of them than a process can have descriptors is refused.
fn entries(fds: u64, count: u64) -> Result<impl Iterator<Item = u64>, Errno> {
    if count > MAX_ENTRIES {
        return Err(Errno::EINVAL);
    }
    Ok((0..count).map(move |index| fds.wrapping_add(index * POLLFD_LEN as u64)))
}

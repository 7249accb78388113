//! poll(2), and whether a call would sleep.

use crate::abi::{Errno, POLLNVAL};
use crate::call::{Call, Sys};
use crate::image::{Bytes, POLLFD_EVENTS, POLLFD_LEN, POLLFD_REVENTS};
use crate::kernel::Kernel;
use crate::kernel::stream::Driver;
use crate::memory::{Memory, copy_in_vec};

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

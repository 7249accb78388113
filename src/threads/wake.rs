//! Wakes a thread out of poll.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A pipe whose reading end is polled. Any number of wakes before a drain are one.
#[derive(Debug)]
pub(super) struct Wake {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Wake {
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        // In a process without standard streams, this pipe may have one of their numbers. A copy gets a number above them.
        let reader = if reader.as_raw_fd() > 2 { reader } else { reader.try_clone()? };
        let writer = if writer.as_raw_fd() > 2 { writer } else { writer.try_clone()? };
        set_nonblocking(&reader)?;
        set_nonblocking(&writer)?;
        Ok(Self { reader, writer })
    }

    /// Wakes the thread, or its next poll.
    pub fn wake(&self) {
        // A full pipe already wakes; any other failure cannot happen while we own both ends.
        let _ = (&self.writer).write(&[1]);
    }

    /// Takes back every wake so far.
    pub fn drain(&self) {
        let mut bytes = [0; 64];
        while (&self.reader).read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

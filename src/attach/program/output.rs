//! What a program writes: its beginning is kept, all of it is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Bytes kept of each stream.
pub(super) const KEPT: usize = 4096;
/// The most reads in one turn. So a program that never stops writing cannot keep its supervisor from checking the time.
const READS_A_TURN: usize = 64;

/// The reading end of one of a program's streams.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Option<File>,
    kept: Vec<u8>,
    discarded: usize,
}

impl Output {
    /// Takes over a pipe; reading from it never blocks from then on.
    pub fn new(pipe: OwnedFd) -> io::Result<Self> {
        // In a process without standard streams, this pipe may have one of their numbers. A copy gets a number above them.
        let pipe = if pipe.as_raw_fd() > 2 { pipe } else { pipe.try_clone()? };
        let flags = OFlag::from_bits_retain(fcntl(&pipe, FcntlArg::F_GETFL)?);
        fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self { pipe: Some(pipe.into()), kept: Vec::with_capacity(KEPT), discarded: 0 })
    }

    /// The descriptor to wait for, until the stream's end.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(File::as_fd)
    }

    /// Reads what is there. What exceeds the kept beginning is read too, lest the program be stopped by a full pipe
    /// or ended by `SIGPIPE`.
    pub fn take(&mut self) {
        let mut chunk = [0; KEPT];
        for _ in 0..READS_A_TURN {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut chunk) {
                Ok(len @ 1..) => self.keep(&chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A pipe that cannot be read has nothing more to say than one at its end.
                Ok(0) | Err(_) => self.pipe = None,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (KEPT - self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.discarded += bytes.len() - room;
    }

    /// The beginning of the stream.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Bytes read beyond it.
    pub fn discarded(&self) -> usize {
        self.discarded
    }
}

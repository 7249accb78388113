//! vhost-user messages: a header of three words, a payload, and descriptors that come with the first byte.

use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use thiserror::Error;

use crate::memory::{Description, MOST_REGIONS, MemoryError};

/// Request, flags and size, each a little-endian word.
const HEADER: usize = 12;
/// The longest payload: more than a table of memory, which is the longest that is known here.
const LONGEST: usize = 4096;
/// The part of the flags that is the version, and the version.
const VERSION: (u32, u32) = (0b11, 1);
const REPLY: u32 = 1 << 2;
const NEED_REPLY: u32 = 1 << 3;

/// The requests that are known here.
pub mod request {
    #![allow(missing_docs, clippy::allow_attributes, reason = "named as in the standard")]
    pub const GET_FEATURES: u32 = 1;
    pub const SET_FEATURES: u32 = 2;
    pub const SET_OWNER: u32 = 3;
    pub const RESET_OWNER: u32 = 4;
    pub const SET_MEM_TABLE: u32 = 5;
    pub const SET_VRING_NUM: u32 = 8;
    pub const SET_VRING_ADDR: u32 = 9;
    pub const SET_VRING_BASE: u32 = 10;
    pub const GET_VRING_BASE: u32 = 11;
    pub const SET_VRING_KICK: u32 = 12;
    pub const SET_VRING_CALL: u32 = 13;
    pub const SET_VRING_ERR: u32 = 14;
    pub const GET_PROTOCOL_FEATURES: u32 = 15;
    pub const SET_PROTOCOL_FEATURES: u32 = 16;
    pub const GET_QUEUE_NUM: u32 = 17;
    pub const SET_VRING_ENABLE: u32 = 18;
}

/// What ends a connection.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// The socket failed, or was closed in the middle of a message.
    #[error("the connection: {0}")]
    Socket(#[from] io::Error),
    /// Not a message of this protocol.
    #[error("a message with flags {flags:#x} and {size} bytes")]
    Header {
        /// Its flags.
        flags: u32,
        /// Its announced size.
        size: u32,
    },
    /// The payload is not of the size that the request has.
    #[error("request {request} with {size} bytes")]
    Payload {
        /// The request.
        request: u32,
        /// Its size.
        size: usize,
    },
    /// A request that is not known, or was not agreed on.
    #[error("request {0} is not known here")]
    Unknown(u32),
    /// Too few or too many descriptors.
    #[error("request {request} with {count} descriptors")]
    Descriptors {
        /// The request.
        request: u32,
        /// How many came.
        count: usize,
    },
    /// A descriptor that cannot be an event.
    #[error("a descriptor for events is a {0:?}, not an eventfd or a pipe")]
    NoEvent(FileType),
    /// A value that makes no sense.
    #[error("request {request}: {what}")]
    Value {
        /// The request.
        request: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// The guest's memory cannot be used.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// One request.
#[derive(Debug)]
pub struct Message {
    /// Which.
    pub request: u32,
    need_reply: bool,
    payload: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// Where a ring lies, by the hypervisor's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Descriptor table.
    pub table: u64,
    /// What the driver offers.
    pub available: u64,
    /// What the device has used.
    pub used: u64,
}

impl Message {
    /// Reads the next one; `None` when the hypervisor has closed the connection between two.
    ///
    /// Descriptors are closed at once where the request has none. Where it has some they count.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn read(stream: &UnixStream) -> Result<Option<Self>, ProtocolError> {
        let mut header = [0; HEADER];
        let mut descriptors = Vec::new();
        let read = read_start(stream, &mut header, &mut descriptors)?;
        if read == 0 {
            return Ok(None);
        }
        (&*stream).read_exact(&mut header[read..])?;
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (request, flags, size) = (word(0), word(4), word(8));
        if flags & VERSION.0 != VERSION.1 || flags & REPLY != 0 || size as usize > LONGEST {
            return Err(ProtocolError::Header { flags, size });
        }
        if !has_descriptors(request) {
            descriptors.clear();
        }
        let mut payload = vec![0; size as usize];
        (&*stream).read_exact(&mut payload)?;
        Ok(Some(Self { request, need_reply: flags & NEED_REPLY != 0, payload, descriptors }))
    }

    /// Whether the hypervisor waits for a word on how it went.
    #[must_use]
    pub fn needs_reply(&self) -> bool {
        self.need_reply
    }

    /// Answers with one number.
    ///
    /// # Errors
    /// The socket's.
    pub fn answer(&self, stream: &UnixStream, value: u64) -> Result<(), ProtocolError> {
        self.reply(stream, value.to_le_bytes())
    }

    /// Answers with a ring's number and a number.
    ///
    /// # Errors
    /// The socket's.
    pub fn answer_state(&self, stream: &UnixStream, ring: u32, value: u32) -> Result<(), ProtocolError> {
        self.reply(stream, (u64::from(value) << 32 | u64::from(ring)).to_le_bytes())
    }

    fn reply(&self, mut stream: &UnixStream, payload: [u8; 8]) -> Result<(), ProtocolError> {
        let words = [self.request, VERSION.1 | REPLY, payload.len() as u32];
        let mut bytes = words.map(u32::to_le_bytes).concat();
        bytes.extend_from_slice(&payload);
        Ok(stream.write_all(&bytes)?)
    }

    /// The payload, of exactly `N` words of 64 bits.
    fn words<const N: usize>(&self) -> Result<[u64; N], ProtocolError> {
        let wrong = ProtocolError::Payload { request: self.request, size: self.payload.len() };
        let words: Vec<u64> = self.all_words();
        if self.payload.len().is_multiple_of(8) { words.try_into().map_err(|_| wrong) } else { Err(wrong) }
    }

    fn all_words(&self) -> Vec<u64> {
        self.payload
            .chunks_exact(8)
            .map(|word| word.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
            .collect()
    }

    /// No payload.
    ///
    /// # Errors
    /// [`ProtocolError::Payload`]; so for all below.
    pub fn nothing(&self) -> Result<(), ProtocolError> {
        self.words::<0>().map(drop)
    }

    /// One number.
    ///
    /// # Errors
    /// [`ProtocolError::Payload`].
    pub fn number(&self) -> Result<u64, ProtocolError> {
        self.words().map(|[number]| number)
    }

    /// A ring's number and a number.
    ///
    /// # Errors
    /// [`ProtocolError::Payload`].
    pub fn state(&self) -> Result<(u32, u32), ProtocolError> {
        self.number().map(|both| (both as u32, (both >> 32) as u32))
    }

    /// A ring's number and where it lies.
    ///
    /// # Errors
    /// [`ProtocolError::Payload`].
    pub fn addresses(&self) -> Result<(u32, Addresses), ProtocolError> {
        // The upper half of the first word are flags, and the last word is a log, neither of which was agreed on.
        let [ring, table, used, available, _] = self.words()?;
        Ok((ring as u32, Addresses { table, available, used }))
    }

    /// A ring's number and the descriptor for its events, if it has one; made non-blocking.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn event(&mut self) -> Result<(u32, Option<OwnedFd>), ProtocolError> {
        /// The number's bit that says that there is no descriptor.
        const NONE: u64 = 1 << 8;
        let number = self.number()?;
        let expected = usize::from(number & NONE == 0);
        self.check_count(expected)?;
        let event = self.descriptors.pop();
        event.as_ref().map(make_event).transpose()?;
        Ok((number as u32 & 0xff, event))
    }

    /// The table of memory, each region with its file.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn memory(&mut self) -> Result<Vec<(Description, OwnedFd)>, ProtocolError> {
        let words = self.all_words();
        let wrong = ProtocolError::Payload { request: self.request, size: self.payload.len() };
        let Some((count, rest)) = words.split_first() else { return Err(wrong) };
        let count = *count as u32 as usize;
        if count > MOST_REGIONS || self.payload.len() != 8 + 32 * count {
            return Err(wrong);
        }
        self.check_count(count)?;
        let regions = rest.chunks_exact(4).map(|words| Description {
            guest: words[0],
            len: words[1],
            user: words[2],
            offset: words[3],
        });
        Ok(regions.zip(self.descriptors.drain(..)).collect())
    }

    fn check_count(&self, expected: usize) -> Result<(), ProtocolError> {
        let count = self.descriptors.len();
        if count == expected {
            return Ok(());
        }
        Err(ProtocolError::Descriptors { request: self.request, count })
    }
}

/// Whether descriptors come with a request.
fn has_descriptors(request: u32) -> bool {
    use request::{SET_MEM_TABLE, SET_VRING_CALL, SET_VRING_ERR, SET_VRING_KICK};
    matches!(request, SET_MEM_TABLE | SET_VRING_CALL | SET_VRING_ERR | SET_VRING_KICK)
}

/// Reads the first bytes and the descriptors that come with them.
fn read_start(
    stream: &UnixStream,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<usize, ProtocolError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_REGIONS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received.map_err(io::Error::from)?,
        }
    };
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(several) = message {
            descriptors.extend(several);
        }
    }
    // The kernel has closed what there was no room for, here or in this process's table.
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other(
            "more descriptors came than a message has, or than this process may have",
        )
        .into());
    }
    Ok(received.bytes)
}

/// Makes a peer's descriptor fit for events. A socket might be the peer's own end of the connection. The daemon would then
/// hold it open, and never see the connection close.
fn make_event(descriptor: &OwnedFd) -> Result<(), ProtocolError> {
    let mode = fstat(descriptor).map_err(io::Error::from)?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::Fifo | FileType::Unknown => {}
        other => return Err(ProtocolError::NoEvent(other)),
    }
    let flags = fcntl_getfl(descriptor.as_fd()).map_err(io::Error::from)?;
    Ok(fcntl_setfl(descriptor.as_fd(), flags | OFlags::NONBLOCK).map_err(io::Error::from)?)
}

//! Requests to a link's driver, and its answers, as messages of high priority: they pass frames and flow control.
//!
//! The head of a stream holds one such answer and throws a second one away, so that each is taken before the next request.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::poll::PollFlags;

use super::super::abi::{
    DL_BIND_ACK, DL_BIND_REQ, DL_CLDLS, DL_CURR_PHYS_ADDR, DL_INFO_ACK, DL_INFO_REQ, DL_OK_ACK,
    DL_PHYS_ADDR_ACK, DL_PHYS_ADDR_REQ, DL_PROMISCON_REQ, DL_SET_PHYS_ADDR_REQ,
};
use super::super::answer::{self, Answer, Unwanted};
use super::super::streams;

/// One request: its name, what goes out, and the primitive that answers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Primitive<'a> {
    pub(super) name: &'static str,
    pub(super) words: &'a [u32],
    pub(super) tail: &'a [u8],
    pub(super) answer: u32,
}

impl<'a> Primitive<'a> {
    const fn new(name: &'static str, words: &'a [u32], answer: u32) -> Self {
        Self { name, words, tail: &[], answer }
    }
}

pub(super) const INFO: Primitive<'_> = Primitive::new("DL_INFO_REQ", &[DL_INFO_REQ], DL_INFO_ACK);

pub(super) const ADDRESS: Primitive<'_> =
    Primitive::new("DL_PHYS_ADDR_REQ", &[DL_PHYS_ADDR_REQ, DL_CURR_PHYS_ADDR], DL_PHYS_ADDR_ACK);

/// For frames of every type: 0 stands for those of 802.3, and promiscuity adds the rest. The service mode is half a word.
pub(super) const BIND: Primitive<'_> =
    Primitive::new("DL_BIND_REQ", &[DL_BIND_REQ, 0, 0, half_word_first(DL_CLDLS), 0], DL_BIND_ACK);

/// A word whose first half in memory is `half`, and whose second is 0.
const fn half_word_first(half: u16) -> u32 {
    let [first, second] = half.to_ne_bytes();
    u32::from_ne_bytes([first, second, 0, 0])
}

pub(super) fn promiscuity<'a>(name: &'static str, words: &'a [u32; 2]) -> Primitive<'a> {
    Primitive::new(name, words, DL_OK_ACK)
}

/// The words of a request for this level.
pub(super) fn level(level: u32) -> [u32; 2] {
    [DL_PROMISCON_REQ, level]
}

pub(super) fn set_address(address: &[u8; 6]) -> Primitive<'_> {
    /// The address has 6 bytes, behind the three words.
    const WORDS: [u32; 3] = [DL_SET_PHYS_ADDR_REQ, 6, 12];
    Primitive { name: "DL_SET_PHYS_ADDR_REQ", words: &WORDS, tail: address, answer: DL_OK_ACK }
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// A system call failed.
    Failed(io::Error),
    /// The driver answered something else.
    Unwanted(Unwanted),
    /// The driver answered another request.
    Astray(Option<u32>),
}

impl Fault {
    /// The system's number, where there is one.
    pub(super) fn errno(&self) -> Option<i32> {
        match self {
            Self::Failed(error) => error.raw_os_error(),
            Self::Unwanted(Unwanted::Refusal { errno, .. }) => *errno,
            _ => None,
        }
    }

    /// `dl_errno`, where the answer has no `dl_unix_errno`.
    pub(super) fn code(&self) -> Option<u32> {
        match self {
            Self::Unwanted(Unwanted::Refusal { code, errno: None }) => *code,
            _ => None,
        }
    }

    /// The driver said no.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Unwanted(Unwanted::Refusal { .. }))
    }

    /// An answer that belongs to an earlier request.
    pub(super) fn is_astray(&self) -> bool {
        matches!(self, Self::Astray(_) | Self::Unwanted(Unwanted::Other { .. }))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Failed(error) => error,
            Fault::Unwanted(unwanted) => unwanted.into(),
            Fault::Astray(primitive) => Self::other(format!("an answer to request {primitive:x?}")),
        }
    }
}

/// Sends one request and takes its answer.
pub(super) fn ask(stream: &OwnedFd, primitive: Primitive<'_>) -> Result<Answer, Fault> {
    let mut request: Vec<u8> = primitive.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    request.extend_from_slice(primitive.tail);
    streams::put_priority(stream, &mut request)?;
    answer::await_message(stream, PollFlags::POLLPRI)?;
    let answer = Answer::take(stream)?.require(primitive.answer).map_err(Fault::Unwanted)?;
    match (primitive.answer, answer.word(1), primitive.words.first()) {
        (DL_OK_ACK, about, Some(asked)) if about != Some(*asked) => Err(Fault::Astray(about)),
        _ => Ok(answer),
    }
}

/// Takes away an answer that came after nobody waited for it any more.
pub(super) fn discard_late(stream: &OwnedFd) -> io::Result<()> {
    while answer::comes(stream, PollFlags::POLLPRI, Duration::ZERO)? {
        Answer::take(stream)?;
    }
    Ok(())
}

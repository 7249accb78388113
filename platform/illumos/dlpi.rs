//! The device's own MAC address, asked for and set on a stream that is attached for the purpose. dlpi(4P)
//!
//! Not on the control stream, where the answers would lie among the frames. Never on one without a device, where the
//! driver would follow a null pointer. IP reads the address while it is plumbed and is not told of a change later.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::abi::{
    DL_ATTACH_REQ, DL_BADPPA, DL_CURR_PHYS_ADDR, DL_ERROR_ACK, DL_OK_ACK, DL_PHYS_ADDR_ACK, DL_PHYS_ADDR_REQ,
    DL_SET_PHYS_ADDR_REQ, DL_SYSERR,
};
use super::name::Ppa;
use super::{control, refusal, streams};
use crate::attach::AttachError;

/// Milliseconds that the driver may take to answer.
const ANSWER_MILLISECONDS: u16 = 5000;
/// Longer than any answer waited for here.
const ANSWER_ROOM: usize = 128;
const ADDRESS_LEN: usize = 6;

/// Reads the MAC address of a device.
pub(super) fn address(ppa: Ppa) -> Result<[u8; 6], AttachError> {
    const STEP: &str = "DL_PHYS_ADDR_REQ";
    let stream = attach(ppa)?;
    let answer =
        ask(&stream, &[DL_PHYS_ADDR_REQ, DL_CURR_PHYS_ADDR], &[], DL_PHYS_ADDR_ACK).map_err(on(STEP, ppa))?;
    answer.address().ok_or_else(|| refusal::mismatch("DL_PHYS_ADDR_ACK: its address", "6 bytes", "less"))
}

/// Sets the MAC address of a device.
pub(super) fn set_address(ppa: Ppa, address: [u8; 6]) -> Result<(), AttachError> {
    const STEP: &str = "DL_SET_PHYS_ADDR_REQ";
    /// Where the address begins: after the three words of the request.
    const OFFSET: u32 = 12;
    let stream = attach(ppa)?;
    let request = [DL_SET_PHYS_ADDR_REQ, ADDRESS_LEN as u32, OFFSET];
    ask(&stream, &request, &address, DL_OK_ACK).map_err(on(STEP, ppa)).map(drop)
}

/// Opens a stream and attaches it to a device that exists.
fn attach(ppa: Ppa) -> Result<OwnedFd, AttachError> {
    let stream = control::open()?;
    ask(&stream, &[DL_ATTACH_REQ, ppa.number().into()], &[], DL_OK_ACK).map_err(on("DL_ATTACH_REQ", ppa))?;
    Ok(stream)
}

fn on(request: &'static str, ppa: Ppa) -> impl FnOnce(io::Error) -> AttachError {
    refusal::request(request, format!("{}, PPA {ppa}", control::TAP))
}

/// Sends one request and takes its answer.
fn ask(stream: &OwnedFd, words: &[u32], tail: &[u8], wanted: u32) -> io::Result<Answer> {
    let mut request: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    request.extend_from_slice(tail);
    streams::put_control(stream, &mut request)?;
    await_answer(stream)?;
    let mut answer = Answer { bytes: [0; ANSWER_ROOM], len: 0 };
    answer.len = streams::get_control(stream, &mut answer.bytes)?;
    answer.require(wanted)
}

/// The answer comes before whatever frames the stream gets meanwhile, and alone raises `POLLPRI`.
fn await_answer(stream: &OwnedFd) -> io::Result<()> {
    let mut waiting = [PollFd::new(stream.as_fd(), PollFlags::POLLPRI)];
    match poll(&mut waiting, PollTimeout::from(ANSWER_MILLISECONDS))? {
        0 => Err(io::Error::from_raw_os_error(libc::ETIME)),
        _ => Ok(()),
    }
}

/// A message of the driver: words of 4 bytes, the first of which says what it is.
struct Answer {
    bytes: [u8; ANSWER_ROOM],
    len: usize,
}

impl Answer {
    fn require(self, wanted: u32) -> io::Result<Self> {
        match self.word(0) {
            Some(primitive) if primitive == wanted => Ok(self),
            Some(DL_ERROR_ACK) => Err(self.error()),
            primitive => {
                Err(io::Error::other(format!("an answer of kind {primitive:?} instead of {wanted}")))
            }
        }
    }

    /// `dl_errno`, and `dl_unix_errno` where the former says to look there.
    fn error(&self) -> io::Error {
        match (self.word(2), self.word(3)) {
            (Some(DL_SYSERR), Some(errno)) => io::Error::from_raw_os_error(errno.cast_signed()),
            (Some(DL_BADPPA), _) => io::Error::from_raw_os_error(libc::ENXIO),
            (code, _) => io::Error::other(format!("DLPI error {code:?}")),
        }
    }

    fn address(&self) -> Option<[u8; 6]> {
        let len = usize::try_from(self.word(1)?).ok()?;
        let start = usize::try_from(self.word(2)?).ok()?;
        let bytes = self.bytes[..self.len].get(start..)?.get(..len)?;
        bytes.try_into().ok()
    }

    fn word(&self, index: usize) -> Option<u32> {
        let bytes = self.bytes[..self.len].get(index * 4..)?.get(..4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of these words, with whatever lay in the buffer before behind it.
    fn answer(words: &[u32]) -> Answer {
        let mut answer = Answer { bytes: [0xee; ANSWER_ROOM], len: words.len() * 4 };
        for (place, word) in answer.bytes.chunks_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        answer
    }

    fn errno(words: &[u32]) -> Option<i32> {
        answer(words).require(DL_OK_ACK).err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn f41_a_refusal_keeps_the_errno_it_has() {
        assert!(answer(&[DL_OK_ACK, DL_ATTACH_REQ]).require(DL_OK_ACK).is_ok());
        assert_eq!(
            errno(&[DL_ERROR_ACK, DL_ATTACH_REQ, DL_SYSERR, libc::EBUSY.cast_unsigned()]),
            Some(libc::EBUSY)
        );
        assert_eq!(errno(&[DL_ERROR_ACK, DL_ATTACH_REQ, DL_BADPPA, 0]), Some(libc::ENXIO));
        // No errno says what other refusals mean; their number is in the text.
        let other = answer(&[DL_ERROR_ACK, DL_ATTACH_REQ, 3, 0])
            .require(DL_OK_ACK)
            .err()
            .map(|error| error.to_string());
        assert_eq!(other.as_deref(), Some("DLPI error Some(3)"));
    }

    #[test]
    fn an_answer_of_another_kind_or_cut_short_is_an_error() {
        for words in [&[][..], &[DL_PHYS_ADDR_ACK, 6, 12], &[DL_ERROR_ACK], &[DL_ERROR_ACK, 0, DL_SYSERR]] {
            assert!(answer(words).require(DL_OK_ACK).is_err(), "{words:?}");
        }
    }

    #[test]
    fn an_address_lies_where_the_answer_says() {
        let within = [DL_PHYS_ADDR_ACK, 6, 12, 0x0403_0201_u32.to_le(), 0x0605_u32.to_le()];
        assert_eq!(answer(&within).address(), Some([1, 2, 3, 4, 5, 6]));
        for (len, offset) in [(5, 12), (7, 12), (6, 15), (6, 20), (6, u32::MAX), (u32::MAX, 12)] {
            let words = [DL_PHYS_ADDR_ACK, len, offset, 0, 0];
            assert_eq!(answer(&words).address(), None, "{len} bytes at {offset}");
        }
    }
}

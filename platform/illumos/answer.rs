//! What a driver answers. dlpi(4P)

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::abi::{DL_BADPPA, DL_ERROR_ACK};
use super::streams;

/// Longer than any answer waited for here.
const ROOM: usize = 256;

/// How long a driver may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A message of the driver: words of 4 bytes, the first of which says what it is.
pub(super) struct Answer {
    bytes: [u8; ROOM],
    len: usize,
}

/// Another answer than the one that was waited for.
#[derive(Debug)]
pub(super) enum Unwanted {
    /// `DL_ERROR_ACK`: its `dl_errno`, and its `dl_unix_errno` unless that is 0.
    Refusal { code: Option<u32>, errno: Option<i32> },
    /// Some other primitive, or none at all.
    Other { found: Option<u32>, wanted: u32 },
}

impl Answer {
    /// Takes the answer that has come.
    pub(super) fn take(stream: &OwnedFd) -> io::Result<Self> {
        let mut answer = Self { bytes: [0; ROOM], len: 0 };
        answer.len = streams::get_control(stream, &mut answer.bytes)?;
        Ok(answer)
    }

    /// Takes the first message, whatever it is; what does not fit is dropped.
    pub(super) fn take_any(stream: BorrowedFd<'_>) -> io::Result<Self> {
        let mut answer = Self { bytes: [0; ROOM], len: 0 };
        let mut taken = streams::get_message(stream, &mut answer.bytes, &mut [])?;
        answer.len = taken.control.unwrap_or(0).min(ROOM);
        while taken.more {
            taken = streams::get_message(stream, &mut [0; 512], &mut [0; 2048])?;
        }
        Ok(answer)
    }

    pub(super) fn require(self, wanted: u32) -> Result<Self, Unwanted> {
        match self.word(0) {
            Some(primitive) if primitive == wanted => Ok(self),
            Some(DL_ERROR_ACK) => Err(self.refusal()),
            found => Err(Unwanted::Other { found, wanted }),
        }
    }

    /// `dl_unix_errno` counts wherever it is not 0, because not every driver sets `dl_errno` along with it.
    fn refusal(&self) -> Unwanted {
        let errno = self.word(3).map(u32::cast_signed).filter(|errno| *errno != 0);
        Unwanted::Refusal { code: self.word(2), errno }
    }

    /// The address of a `DL_PHYS_ADDR_ACK`.
    pub(super) fn address(&self) -> Option<[u8; 6]> {
        self.part(1, 2)?.try_into().ok()
    }

    /// The address of a `DL_BIND_ACK`, which has the Ethernet type behind it.
    pub(super) fn bound_address(&self) -> Option<[u8; 6]> {
        self.part(2, 3)?.first_chunk().copied()
    }

    /// The bytes whose length and place two words tell.
    fn part(&self, len: usize, offset: usize) -> Option<&[u8]> {
        let len = usize::try_from(self.word(len)?).ok()?;
        let start = usize::try_from(self.word(offset)?).ok()?;
        self.bytes[..self.len].get(start..)?.get(..len)
    }

    pub(super) fn word(&self, index: usize) -> Option<u32> {
        let bytes = self.bytes[..self.len].get(index * 4..)?.get(..4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }
}

/// Waits for an answer, which comes as a message of this kind. One of high priority comes before whatever frames the stream
/// gets meanwhile, and it alone raises `POLLPRI`.
pub(super) fn await_message(stream: &OwnedFd, kind: PollFlags) -> io::Result<()> {
    if comes(stream, kind, PATIENCE)? { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ETIME)) }
}

/// Waits for a message of this kind; `false` when none comes in time.
pub(super) fn comes(stream: &OwnedFd, kind: PollFlags, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waiting = [PollFd::new(stream.as_fd(), kind)];
        match poll(&mut waiting, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) => return Ok(false),
            Ok(_) if waiting[0].revents().is_some_and(|events| events.intersects(kind)) => return Ok(true),
            // Nothing but the end of the stream, or its failure.
            Ok(_) => return Err(Errno::ENXIO.into()),
        }
    }
}

impl From<Unwanted> for io::Error {
    fn from(unwanted: Unwanted) -> Self {
        match unwanted {
            Unwanted::Refusal { errno: Some(errno), .. } => Self::from_raw_os_error(errno),
            Unwanted::Refusal { code: Some(DL_BADPPA), .. } => Self::from_raw_os_error(libc::ENXIO),
            Unwanted::Refusal { code, .. } => Self::other(format!("DLPI error {code:?}")),
            Unwanted::Other { found, wanted } => Self::other(match found {
                Some(found) => {
                    format!("the driver answered with the primitive {found:#x} instead of {wanted}")
                }
                None => format!("the driver answered without a primitive instead of {wanted}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::abi::{DL_ATTACH_REQ, DL_OK_ACK, DL_PHYS_ADDR_ACK};
    use super::*;

    /// `dl_errno` of dlpi(4P): look at `dl_unix_errno` instead.
    const DL_SYSERR: u32 = 0x04;

    /// A message of these words, with whatever lay in the buffer before behind it.
    fn answer(words: &[u32]) -> Answer {
        let mut answer = Answer { bytes: [0xee; ROOM], len: words.len() * 4 };
        for (place, word) in answer.bytes.chunks_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        answer
    }

    fn errno(words: &[u32]) -> Option<i32> {
        answer(words).require(DL_OK_ACK).err().and_then(|unwanted| io::Error::from(unwanted).raw_os_error())
    }

    /// Row F41.
    #[test]
    fn a_refusal_keeps_the_errno_it_has() {
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
            .map(|unwanted| io::Error::from(unwanted).to_string());
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

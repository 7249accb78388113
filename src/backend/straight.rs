//! The way of a frame while nothing is unusual: from the caller to the system call and back in one piece.
//!
//! Behind a system call the processor has forgotten its callers and most branches: each return, and each jump that is
//! taken, costs more than all the checks here. So the functions of this file are part of their caller, and what is unusual
//! is outlined.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use crate::backend::backend::Backend;
use crate::backend::presence::Attachment;
use crate::backend::receive::ETHERNET_HEADER;
use crate::memory::body::{Body, total_len};
use crate::memory::slices::{ENDS, Room};
use crate::segmentation::quick::{Ask, FEW_SLICES, Host, OWN, USUAL_SLICES, lay_out};
use crate::wire::vnet_header;

/// What came of trying the straight way.
#[derive(Debug)]
pub(crate) enum Straight<T> {
    Done(T),
    /// The frame is left to the general way, before or after a system call was made for it.
    Unusual(Option<Call>),
}

/// What a first system call came to.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) outcome: Result<usize, Errno>,
    /// Bytes of the frame that was to be sent, or of the room for one with its header.
    pub(crate) len: usize,
    pub(crate) seen: Attachment,
}

impl Backend {
    /// Takes a frame, its virtio-net header into `header` and what of that is `inside` into the room; gives the length of
    /// the frame alone.
    #[inline(always)]
    pub(crate) fn take_straight(
        &self,
        room: &mut impl Room,
        header: &mut [u8],
        inside: usize,
    ) -> Straight<usize> {
        let Some(seen) = self.as_usual() else { return Straight::Unusual(None) };
        if room.count() + ENDS > self.most_slices {
            return Straight::Unusual(None);
        }
        let (ahead, len) = (header.len() + inside, header.len() + room.bytes());
        let spare = len > ahead + self.largest.load(Ordering::Relaxed);
        match room.read(self.tap.as_fd(), header, spare) {
            Ok(taken) if (ahead + ETHERNET_HEADER..=len).contains(&taken) => Straight::Done(taken - ahead),
            outcome => unusual(Call { outcome, len, seen }),
        }
    }

    /// Hands the host a frame as it is.
    #[inline(always)]
    pub(crate) fn send_bare<B: Body>(&self, body: &B) -> Straight<()> {
        let Some(seen) = self.as_usual() else { return Straight::Unusual(None) };
        match body.whole() {
            // Apart from the other, so that nothing is decided twice.
            Some(one @ [slice]) => self.send_slices::<B>(one, B::slice_len(slice), seen),
            Some(slices) => self.send_slices::<B>(slices, total_len(*body), seen),
            None => Straight::Unusual(None),
        }
    }

    #[inline(always)]
    fn send_slices<B: Body>(&self, slices: &[B::Slice<'_>], len: usize, seen: Attachment) -> Straight<()> {
        let fits = (self.limits.shortest..=self.limits.longest).contains(&len);
        if !fits | (slices.len() > self.most_slices) {
            return Straight::Unusual(None);
        }
        self.write_straight::<B>(slices, len, seen)
    }

    /// Hands the host a frame of the usual kinds, with what is left to be done on it.
    #[inline(always)]
    pub(crate) fn send_straight<B: Body>(&self, body: &B, ask: Ask) -> Straight<()> {
        let Some(seen) = self.as_usual() else { return Straight::Unusual(None) };
        if !self.host_offload.load(Ordering::Relaxed) | (self.header_len != vnet_header::LONGEST) {
            return Straight::Unusual(None);
        }
        match body.count() {
            ..FEW_SLICES => self.send_laid_out::<B, FEW_SLICES>(body, ask, seen),
            count if count < USUAL_SLICES.min(self.most_slices) => self.send_scattered(body, ask, seen),
            // So many are rare, and cost more to list than this saves.
            _ => Straight::Unusual(None),
        }
    }

    /// Kept apart so that its longer list is not laid out in the common case.
    #[inline(never)]
    fn send_scattered<B: Body>(&self, body: &B, ask: Ask, seen: Attachment) -> Straight<()> {
        self.send_laid_out::<B, USUAL_SLICES>(body, ask, seen)
    }

    #[inline(always)]
    fn send_laid_out<B: Body, const ROOM: usize>(
        &self,
        body: &B,
        ask: Ask,
        seen: Attachment,
    ) -> Straight<()> {
        let host = Host { shortest: self.limits.shortest, longest: self.limits.longest };
        let (mut own, mut slices) = ([0; OWN], [B::own(&[]); ROOM]);
        let Some((used, len)) = lay_out(body, ask, host, &mut own, &mut slices) else {
            return Straight::Unusual(None);
        };
        self.write_straight::<B>(&slices[..used], len, seen)
    }

    /// The interface that is there, while nothing is unusual: one branch, since none of these is true as a rule.
    #[inline(always)]
    fn as_usual(&self) -> Option<Attachment> {
        let unusual = self.timed.load(Ordering::Relaxed) | !self.link.is_up() | self.log.is_on();
        self.presence.seen().filter(|_| !unusual)
    }

    #[inline(always)]
    fn write_straight<B: Body>(&self, slices: &[B::Slice<'_>], len: usize, seen: Attachment) -> Straight<()> {
        match B::write(self.tap.as_fd(), slices) {
            Ok(written) if written == self.header_len + len => {
                self.counters.transmit.frames_offered.one_alone();
                self.counters.transmit.segments_sent.one_alone();
                self.count_sent(len);
                Straight::Done(())
            }
            outcome => unusual(Call { outcome, len, seen }),
        }
    }
}

#[inline(always)]
fn unusual<T>(call: Call) -> Straight<T> {
    aside();
    Straight::Unusual(Some(call))
}

/// Has the compiler put the branch it stands in out of the way of the other one.
#[cold]
#[inline]
pub(crate) fn aside() {}

//! The way of a frame to the host while nothing is unusual: from the session to the system call in one piece.
//!
//! Each return behind a system call is mispredicted, which costs more than all the checks here; so the functions of this file
//! are part of their caller, and what is unusual is outlined.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use crate::backend::Backend;
use crate::body::{Body, total_len};
use crate::error::TransmitError;
use crate::presence::Attachment;
use crate::quick::{Ask, FEW_SLICES, Host, OWN, USUAL_SLICES, lay_out};
use crate::vnet_header;

impl Backend {
    /// Hands the host a frame as it is, or leaves it to the general way.
    #[inline(always)]
    pub(crate) fn send_bare<B: Body>(&self, body: &B) -> Option<Result<(), TransmitError>> {
        let seen = self.as_usual()?;
        let (slices, len) = (body.whole()?, total_len(*body));
        let fits = (self.limits.shortest..=self.limits.longest).contains(&len);
        if !fits | (slices.len() > self.most_slices) {
            return None;
        }
        Some(self.write_straight::<B>(slices, len, seen))
    }

    /// Hands the host a frame of the usual kinds in one straight line, or leaves it to the general way.
    #[inline(always)]
    pub(crate) fn send_straight<B: Body>(&self, body: &B, ask: Ask) -> Option<Result<(), TransmitError>> {
        let seen = self.as_usual()?;
        if !self.host_offload.load(Ordering::Relaxed) | (self.header_len != vnet_header::LONGEST) {
            return None;
        }
        match body.count() {
            ..FEW_SLICES => self.send_laid_out::<B, FEW_SLICES>(body, ask, seen),
            count if count < USUAL_SLICES.min(self.most_slices) => self.send_scattered(body, ask, seen),
            // So many are rare, and cost more to list than this saves.
            _ => None,
        }
    }

    /// Kept apart so that its longer list is not laid out in the common case.
    #[inline(never)]
    fn send_scattered<B: Body>(
        &self,
        body: &B,
        ask: Ask,
        seen: Attachment,
    ) -> Option<Result<(), TransmitError>> {
        self.send_laid_out::<B, USUAL_SLICES>(body, ask, seen)
    }

    #[inline(always)]
    fn send_laid_out<B: Body, const ROOM: usize>(
        &self,
        body: &B,
        ask: Ask,
        seen: Attachment,
    ) -> Option<Result<(), TransmitError>> {
        let host = Host { shortest: self.limits.shortest, longest: self.limits.longest };
        let (mut own, mut slices) = ([0; OWN], [B::own(&[]); ROOM]);
        let (used, len) = lay_out(body, ask, host, &mut own, &mut slices)?;
        Some(self.write_straight::<B>(&slices[..used], len, seen))
    }

    /// The interface that is there, while nothing is unusual: one branch, since none of these is true as a rule.
    #[inline]
    fn as_usual(&self) -> Option<Attachment> {
        let unusual = self.timed.load(Ordering::Relaxed) | !self.link.is_up() | self.log.is_on();
        self.presence.seen().filter(|_| !unusual)
    }

    #[inline(always)]
    fn write_straight<B: Body>(
        &self,
        slices: &[B::Slice<'_>],
        len: usize,
        seen: Attachment,
    ) -> Result<(), TransmitError> {
        match B::write(self.tap.as_fd(), slices) {
            Ok(written) if written == self.header_len + len => {
                self.counters.transmit.frames_offered.one_alone();
                self.counters.transmit.segments_sent.one_alone();
                self.count_sent(len);
                Ok(())
            }
            outcome => self.write_again::<B>(outcome, slices, len, seen),
        }
    }

    /// What a first write that did not succeed comes to.
    #[cold]
    #[inline(never)]
    fn write_again<B: Body>(
        &self,
        outcome: Result<usize, Errno>,
        slices: &[B::Slice<'_>],
        len: usize,
        seen: Attachment,
    ) -> Result<(), TransmitError> {
        let result = match outcome {
            Err(Errno::EINTR) => self.write_frame::<B>(slices, len, 0),
            outcome => self.written(outcome, len, 0, seen),
        };
        self.count(&result, len);
        result
    }
}

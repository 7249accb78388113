//! Writes without a session: exactly what the caller has, by any thread.

use std::io::IoSlice;
use std::os::fd::AsFd;

use super::Backend;
use super::error::TransmitError;
use super::generation::Generation;
use crate::memory::{FrameMemory, FrameSlice};
use crate::platform::frame_io;

impl Backend {
    /// Writes exactly these slices as one frame, by one system call, and gives the bytes written. Where the TAP has a virtio-net
    /// header they begin with it, in the form that the host wants.
    ///
    /// It takes no session, so that any thread may call it at any time, also while a session is open. It is for devices that
    /// run on one thread, and for a frame of the hypervisor's own, such as an announcement. Only the kernel checks it. A
    /// frame to a [data link](crate::Config::datalink) is also checked here, since a link drops one without a word. Nothing
    /// is done in software. Nobody is called back after a refusal: poll the descriptor.
    ///
    /// # Errors
    /// [`TransmitError::LinkDown`] while the guest's link is down, [`TransmitError::Gone`], and what the kernel answers; a
    /// header that it refuses is [`TransmitError::Io`] with `EINVAL`. [`TransmitError::TooManySlices`], and
    /// [`TransmitError::Runt`] for no bytes at all. For a data link also [`TransmitError::Runt`] for too few bytes,
    /// [`TransmitError::Oversize`] and [`TransmitError::Rejected`].
    #[inline(always)]
    pub fn send_verbatim(&self, slices: &[IoSlice<'_>]) -> Result<usize, TransmitError> {
        self.write_verbatim(FrameMemory::borrowed(slices))
    }

    #[inline(always)]
    pub(super) fn write_verbatim(&self, memory: FrameMemory<'_>) -> Result<usize, TransmitError> {
        let start = self.clock();
        let result = self.try_verbatim(&memory);
        match &result {
            Ok(written) => self.counters.verbatim.one(written.saturating_sub(self.vnet_len)),
            Err(error) => self.count_verbatim(error),
        }
        if let Some(start) = start {
            self.count_time(&self.counters.transmit_nanos, start);
        }
        result
    }

    #[inline(always)]
    fn try_verbatim(&self, memory: &FrameMemory<'_>) -> Result<usize, TransmitError> {
        let Some(generation) = self.ready() else { return Err(self.not_ready()) };
        let frame = memory.without_front(self.vnet_len);
        self.check_verbatim(&frame)?;
        self.log.transmit(&frame, frame.len());
        // No bytes were removed from the front, so the slices are available as they are.
        let slices = memory.whole().unwrap_or_default();
        match frame_io::write(self.tap.as_fd(), slices) {
            Ok(written) if written > 0 => Ok(written),
            outcome => self.verbatim_again(outcome, slices, frame.len(), generation),
        }
    }

    #[cold]
    fn verbatim_again(
        &self,
        outcome: Result<usize, i32>,
        slices: &[FrameSlice<'_>],
        len: usize,
        generation: Generation,
    ) -> Result<usize, TransmitError> {
        if slices.len() > self.most_slices {
            return Err(TransmitError::TooManySlices { slices: slices.len(), limit: self.most_slices });
        }
        match self.past_interruptions(outcome, slices) {
            // No bytes are no frame, though the kernel takes them.
            Ok(0) => Err(TransmitError::Runt { len: 0, limit: self.limits.shortest }),
            Ok(written) => Ok(written),
            Err(errno) => Err(self.write_failed(errno, len, 0, generation)),
        }
    }

    #[cold]
    fn count_verbatim(&self, error: &TransmitError) {
        self.counters.verbatim_refused.one();
        self.count_cause(error);
    }
}

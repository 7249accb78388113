//! Hands a received frame to the frontend in a form it takes.

use std::io::IoSlice;

use super::frontend::{Frontend, Refused};
use crate::backend::Received;
use crate::memory::FrameMemory;
use crate::segmentation::{CarveError, Output, carve};
use crate::wire::{Checksum, Gso, RejectReason, Request, complete_in_place};

/// Why a received frame did not reach the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The frontend did not take it.
    Refused,
    /// It contradicts itself.
    Rejected(RejectReason),
}

impl From<RejectReason> for Loss {
    fn from(reason: RejectReason) -> Self {
        Self::Rejected(reason)
    }
}

impl From<Refused> for Loss {
    fn from(Refused: Refused) -> Self {
        Self::Refused
    }
}

/// Hands over `frame`; says in how many parts, or why it was dropped.
pub(super) fn hand_over(frontend: &dyn Frontend, frame: &mut [u8], received: Received) -> Result<u64, Loss> {
    if let Some(gso) = received.gso {
        return hand_over_oversized(frontend, frame, gso, received.checksum);
    }
    let mut checksum = received.checksum;
    if let Checksum::Partial { start, offset } = checksum
        && !frontend.takes_partial_checksum()
    {
        complete_in_place(frame, start, offset)?;
        checksum = Checksum::Complete;
    }
    frontend.receive(&[IoSlice::new(frame)], checksum)?;
    Ok(1)
}

/// Whole, where the frontend takes it so; else segment by segment, each with a complete checksum.
fn hand_over_oversized(
    frontend: &dyn Frontend,
    frame: &[u8],
    gso: Gso,
    checksum: Checksum,
) -> Result<u64, Loss> {
    let slices = [IoSlice::new(frame)];
    if frontend.receive_gso(&slices, gso, checksum).is_ok() {
        return Ok(1);
    }
    let request = Request::new(Some(gso), checksum);
    let carved = carve(&FrameMemory::borrowed(&slices), &request, Output::BARE, 0, |segment| {
        // Borrowed slices always have this form.
        frontend.receive(segment.io_slices().unwrap_or_default(), Checksum::Complete)
    });
    match carved {
        Ok(segments) => Ok(segments.into()),
        Err(CarveError::Rejected(reason)) => Err(reason.into()),
        Err(CarveError::Sink { .. } | CarveError::TooManySlices { .. }) => Err(Loss::Refused),
    }
}

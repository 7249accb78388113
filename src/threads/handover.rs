//! Hands a received frame to the frontend in a form it takes.

use std::io::IoSlice;

use crate::backend::receive::Received;
use crate::memory::body::Borrowed;
use crate::segmentation::deliver::{Port, Work, deliver};
use crate::segmentation::frame::{CarveError, Checksum};
use crate::threads::frontend::{Frontend, Refused};
use crate::wire::checksum::complete_in_place;
use crate::wire::reject::RejectReason;

/// Why a received frame did not reach the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
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
pub(crate) fn hand_over(frontend: &dyn Frontend, frame: &mut [u8], received: Received) -> Result<u64, Loss> {
    if received.gso.is_some() {
        return hand_over_oversized(frontend, frame, received);
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
fn hand_over_oversized(frontend: &dyn Frontend, frame: &[u8], received: Received) -> Result<u64, Loss> {
    let slices = [IoSlice::new(frame)];
    if let Some(gso) = received.gso
        && frontend.receive_gso(&slices, gso, received.checksum).is_ok()
    {
        return Ok(1);
    }
    let work = Work { gso: received.gso, checksum: received.checksum };
    let segment = |segment: &[IoSlice<'_>]| frontend.receive(segment, Checksum::Complete);
    match deliver(Borrowed(&slices), work, Port::BARE, 0, segment) {
        Ok(segments) => Ok(segments.into()),
        Err(CarveError::Rejected(reason)) => Err(reason.into()),
        Err(CarveError::Sink { .. } | CarveError::TooManySlices { .. }) => Err(Loss::Refused),
    }
}

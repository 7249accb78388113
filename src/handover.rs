//! Hands a received frame to the frontend in a form it takes.

use std::io::IoSlice;

use crate::body::Borrowed;
use crate::checksum::complete_in_place;
use crate::deliver::{Port, Work, deliver};
use crate::frame::{CarveError, Checksum};
use crate::frontend::{Frontend, Refused};
use crate::receive::Received;
use crate::statistics::{Counter, ReceiveCounters};

/// Picks the counter of a reason to drop a frame.
pub(crate) type Cause = fn(&ReceiveCounters) -> &Counter;

const REFUSED: Cause = |counters| &counters.refused;
const REJECTED: Cause = |counters| &counters.rejected;

/// Hands over `frame`; says in how many parts, or why it was dropped.
pub(crate) fn hand_over(frontend: &dyn Frontend, frame: &mut [u8], received: Received) -> Result<u64, Cause> {
    if received.gso.is_some() {
        return hand_over_oversized(frontend, frame, received);
    }
    let mut checksum = received.checksum;
    if let Checksum::Partial { start, offset } = checksum
        && !frontend.takes_partial_checksum()
    {
        complete_in_place(frame, start, offset).map_err(|_| REJECTED)?;
        checksum = Checksum::Complete;
    }
    frontend.receive(&[IoSlice::new(frame)], checksum).map_err(|_| REFUSED)?;
    Ok(1)
}

/// Whole, where the frontend takes it so; else segment by segment, each with a complete checksum.
fn hand_over_oversized(frontend: &dyn Frontend, frame: &[u8], received: Received) -> Result<u64, Cause> {
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
        Err(CarveError::Sink { error: Refused, .. }) => Err(REFUSED),
        Err(_) => Err(REJECTED),
    }
}

//! Hands a received frame to the frontend in a form it takes.

use std::io::IoSlice;

use crate::frame::Checksum;
use crate::frontend::Frontend;
use crate::receive::Received;
use crate::statistics::{Counter, ReceiveCounters};

/// Picks the counter of a reason to drop a frame.
pub(crate) type Cause = fn(&ReceiveCounters) -> &Counter;

/// Delivers `frame`; says in how many parts, or why it was dropped.
pub(crate) fn deliver(frontend: &dyn Frontend, frame: &mut [u8], received: Received) -> Result<u64, Cause> {
    let refused: Cause = |counters| &counters.refused;
    let slices = [IoSlice::new(frame)];
    match (received.gso, received.checksum) {
        (None, Checksum::Complete) => {
            frontend.receive(&slices, Checksum::Complete).map_err(|_| refused)?;
            Ok(1)
        }
        _ => Err(|counters| &counters.rejected),
    }
}

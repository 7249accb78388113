//! What a guest-facing network device offers to the threads.

use std::io::IoSlice;
use std::time::Duration;

use crate::backend::LinkState;
use crate::wire::{Checksum, Gso};

/// How a wait for guest buffers ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The guest has at least one receive buffer.
    Available,
    /// The time is over; the caller decides whether to go on waiting.
    TimedOut,
    /// The device cannot take a frame now (reset, stopping, driver not ready): the frame at hand is to be dropped.
    Interrupted,
}

/// The device did not take the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused;

/// The guest-facing network device, as [`Threads`](crate::Threads) see it.
///
/// The calls come from two threads: `transmit_pending` from the transmit thread, everything else but
/// `interrupt_wait` from the receive thread. No lock of this crate is held during any of them. A panic on one of the two
/// threads ends both, and `Threads::stop` reports it.
pub trait Frontend: Send + Sync + 'static {
    /// Waits until the guest has a receive buffer, at most for `timeout`. It need not have room for a whole frame.
    fn wait_receive_available(&self, timeout: Duration) -> Wait;

    /// Makes a wait in progress return [`Wait::Interrupted`]; called from any thread. May come when nobody waits.
    fn interrupt_wait(&self);

    /// Takes one frame: Ethernet header to end of payload, without FCS. The slices are lent for the call.
    ///
    /// `checksum` is [`Checksum::Complete`] unless [`takes_partial_checksum`](Self::takes_partial_checksum).
    ///
    /// # Errors
    /// [`Refused`] drops the frame, and counts it so.
    fn receive(&self, frame: &[IoSlice<'_>], checksum: Checksum) -> Result<(), Refused>;

    /// Takes one oversized frame whole.
    ///
    /// # Errors
    /// [`Refused`] has it segmented in software and delivered by [`receive`](Self::receive).
    fn receive_gso(&self, frame: &[IoSlice<'_>], gso: Gso, checksum: Checksum) -> Result<(), Refused> {
        let _ = (frame, gso, checksum);
        Err(Refused)
    }

    /// Tells whether the guest finishes checksums itself; if not, they are completed before delivery.
    fn takes_partial_checksum(&self) -> bool {
        false
    }

    /// What made transmitting impossible is over: begin a session and send what is pending.
    fn transmit_pending(&self) {}

    /// The interface was removed; nothing more comes until it is attached again. Called once a removal.
    fn device_gone(&self) {}

    /// A [data link](crate::Config::datalink) tells whether the host's side has carrier: once at the start, then at each
    /// change. A device passes it on as the state of the guest's link.
    fn carrier_changed(&self, state: LinkState) {
        let _ = state;
    }

    /// The network behind the link may be another one now: drop the guest's link briefly, so that it renews what it
    /// learned.
    fn flap_link(&self) {}
}

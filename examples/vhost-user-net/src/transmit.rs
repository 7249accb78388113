//! The transmit ring: frames straight from guest memory to the TAP.
#![expect(unsafe_code, reason = "guest memory is handed to the kernel as it lies")]
// UNSAFETY: only the promise that slices of guest memory are mapped while a batch lasts.

use tap_plumb::{Backend, RawSlice, TransmitError, Transmitter};
use virtio_queue::{DescriptorChain, Error};

use crate::chain::{self, Direction, Memory};
use crate::counts::Counts;
use crate::ring::Ring;

/// Frames at a time, before the other direction has its turn.
const BATCH: usize = 64;

/// Why a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Nothing more to do until something happens.
    Idle,
    /// There is more to do.
    More,
    /// The TAP takes no frame now; its descriptor tells when.
    Blocked,
    /// The interface is gone; frames wait until there is one again.
    Gone,
}

/// Sends what the guest offers.
///
/// # Errors
/// The ring is malformed.
pub fn drain(
    backend: &Backend,
    ring: &mut Ring<'_>,
    header_len: usize,
    slices: &mut Vec<RawSlice>,
    counts: &Counts,
) -> Result<Pause, Error> {
    // Nobody else transmits on this backend, so a session is always to be had.
    let Some(mut session) = backend.begin_transmit() else { return Ok(Pause::More) };
    ring.hush();
    let mut pause = Pause::More;
    for _ in 0..BATCH {
        match ring.take()? {
            Some(chain) => {
                let head = chain.head_index();
                if let Some(stop) = send(&mut session, ring.memory(), chain, header_len, slices, counts) {
                    ring.give_back(1);
                    pause = stop;
                    break;
                }
                ring.complete([(head, 0)])?;
            }
            None if ring.listen()? => ring.hush(),
            None => {
                pause = Pause::Idle;
                break;
            }
        }
    }
    if ring.interrupt()? {
        counts.transmit.interrupts.one();
    }
    Ok(pause)
}

/// Sends one frame. `None`: it went out, or was dropped and counted, so that the guest gets its chain back.
fn send(
    session: &mut Transmitter<'_>,
    memory: &Memory,
    chain: DescriptorChain<&Memory>,
    header_len: usize,
    slices: &mut Vec<RawSlice>,
    counts: &Counts,
) -> Option<Pause> {
    slices.clear();
    let Ok(bytes) = chain::collect(memory, chain, Direction::Transmit, slices) else {
        counts.transmit.bad_chains.one();
        return None;
    };
    // SAFETY: every slice lies in a region of guest memory, which `memory` keeps mapped, readable and writable beyond this
    // call; Rust has no reference into it, only volatile and atomic accesses.
    let sent = unsafe { session.send_raw_with_header(slices, header_len) };
    match sent {
        Ok(()) => {
            counts.transmit.crossed(bytes.saturating_sub(header_len));
            None
        }
        Err(TransmitError::WouldBlock { .. } | TransmitError::InterfaceDown { .. }) => Some(Pause::Blocked),
        Err(TransmitError::Gone) => Some(Pause::Gone),
        Err(error) => {
            log::trace!("transmit: {error}");
            None
        }
    }
}

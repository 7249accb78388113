//! The receive ring: frames from the TAP straight into guest memory, over as many chains as each needs.
#![expect(unsafe_code, reason = "the kernel writes frames to guest memory")]
// UNSAFETY: only the promise that slices of guest memory are mapped while a batch lasts.

use tap_plumb::{Backend, ReceiveError};

use crate::counts::Counts;
use crate::features::Negotiated;
use crate::gather::{Gathered, HEADER, Need};
use crate::ring::{BadRing, Ring};
use crate::transmit::{Pause, is_fault};

/// Frames at a time, before the other direction has its turn.
const BATCH: usize = 64;
/// Chains that may be used before the driver sees them.
const PUBLISH: usize = 16;
/// The flag of a virtio-net header that leaves a checksum to be completed.
const NEEDS_CHECKSUM: u8 = 1;

/// Delivers what the host has queued.
///
/// # Errors
/// The ring is malformed.
pub fn fill(
    backend: &Backend,
    ring: &mut Ring<'_>,
    guest: &Negotiated,
    room: &mut Gathered,
    counts: &Counts,
) -> Result<Pause, BadRing> {
    ring.hush();
    let pause = deliver(backend, ring, guest, room, counts);
    // Chains that were gathered but not used stay the driver's. The guest's memory may be mapped elsewhere at the next batch.
    ring.give_back(room.clear());
    tell(ring, counts);
    pause
}

/// Publishes what is used and interrupts the driver if it wants that.
fn tell(ring: &mut Ring<'_>, counts: &Counts) {
    if ring.interrupt() {
        counts.receive.interrupts.one();
    }
}

fn deliver(
    backend: &Backend,
    ring: &mut Ring<'_>,
    guest: &Negotiated,
    room: &mut Gathered,
    counts: &Counts,
) -> Result<Pause, BadRing> {
    let Negotiated { header_len, mergeable, .. } = *guest;
    for _ in 0..BATCH {
        let bytes = header_len + backend.receive_buffer_len();
        if !room.gather(ring, Need { bytes, header_len, mergeable }, counts)? {
            counts.receive_waits.one();
            return Ok(Pause::Starved);
        }
        let mut header = [0; HEADER];
        match read(backend, room, &mut header) {
            Ok(Some(len)) if agreed(&mut header, guest) => {
                room.complete(ring, header, header_len, len);
                counts.receive.crossed(len);
                if ring.unpublished() >= PUBLISH {
                    tell(ring, counts);
                }
            }
            Ok(Some(_)) => counts.receive_not_agreed.one(),
            Ok(None) => return Ok(Pause::Idle),
            Err(ReceiveError::Gone) => return Ok(Pause::Gone),
            // When no frame was taken, the batch cannot go on; the descriptor tells when there is a frame. The hypervisor is
            // to blame for missing memory.
            Err(ReceiveError::Io { source }) => {
                log::debug!("receive: {source}");
                return Ok(if is_fault(&source) { Pause::Lost } else { Pause::Idle });
            }
            Err(error) => log::trace!("receive: {error}"),
        }
    }
    Ok(Pause::More)
}

/// Reads one frame into the room, its header into `header`; gives the frame's own length.
fn read(
    backend: &Backend,
    room: &mut Gathered,
    header: &mut [u8; HEADER],
) -> Result<Option<usize>, ReceiveError> {
    let header_len = backend.tap().offload().header_len;
    let slices = room.slices(&mut header[..header_len]);
    if header_len == 0 {
        // SAFETY: every slice lies in a region of guest memory, which the batch's `Memory` keeps mapped, readable and writable
        // beyond the call; Rust has no reference into it, only volatile and atomic accesses.
        let received = unsafe { backend.receive_raw(slices) }?;
        return Ok(received.map(|received| received.len));
    }
    // SAFETY: as above, but for the first slice, which is `header`: `header_len` bytes, exclusively borrowed for the call.
    let received = unsafe { backend.receive_raw_with_header(slices) }?;
    Ok(received.map(|len| len - header_len))
}

/// Whether the guest can take a frame with this header. A frame that leaves work which this guest did not agree to was made
/// for another guest. The offloads changed while the frame was queued.
fn agreed(header: &mut [u8; HEADER], guest: &Negotiated) -> bool {
    let [flags, kind, ..] = header;
    let unfinished = *flags & NEEDS_CHECKSUM != 0;
    if !guest.checksum {
        // The header may not even say that a checksum is known to be good.
        *flags = 0;
    }
    (guest.checksum || !unfinished) && (guest.oversized || *kind == 0)
}

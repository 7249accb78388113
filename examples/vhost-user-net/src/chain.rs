//! From a descriptor chain to slices of guest memory.

use tap_plumb::RawSlice;
use thiserror::Error;
use virtio_queue::DescriptorChain;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{GuestMemoryBackend, GuestMemoryMmap};

/// The guest's memory, without a log of what was written to it.
pub type Memory = GuestMemoryMmap<()>;

/// The most slices a frame may have: what one system call takes on every Linux, less two for the crate's own.
pub const MOST_SLICES: usize = 1022;

/// Which way a chain's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The device reads: a frame from the guest.
    Transmit,
    /// The device writes: room for a frame to the guest.
    Receive,
}

/// Why a chain cannot be used. Such a chain is handed back to the guest and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadChain {
    /// Nothing in it can be read or written.
    #[error("the chain has no bytes")]
    Empty,
    /// A descriptor is for the other direction.
    #[error("a descriptor goes the wrong way")]
    WrongDirection,
    /// A descriptor points outside the guest's memory.
    #[error("a descriptor points outside the guest's memory")]
    OutsideMemory,
    /// It goes on to a descriptor that does not exist, or never ends.
    #[error("the chain does not end")]
    Unfinished,
    /// More slices than a system call takes.
    #[error("the chain has too many parts")]
    TooManySlices,
}

/// Appends the bytes of `chain` to `slices`, in order, and returns how many they are. On an error `slices` are as before.
///
/// The slices are good for as long as the regions of `memory` stay mapped.
///
/// # Errors
/// [`BadChain`].
pub fn collect(
    memory: &Memory,
    chain: DescriptorChain<&Memory>,
    direction: Direction,
    slices: &mut Vec<RawSlice>,
) -> Result<usize, BadChain> {
    let before = slices.len();
    let collected = append(memory, chain, direction, slices);
    if collected.is_err() {
        slices.truncate(before);
    }
    collected
}

fn append(
    memory: &Memory,
    chain: DescriptorChain<&Memory>,
    direction: Direction,
    slices: &mut Vec<RawSlice>,
) -> Result<usize, BadChain> {
    let (mut bytes, mut unfinished) = (0, true);
    for descriptor in chain {
        if descriptor.is_write_only() != (direction == Direction::Receive) {
            return Err(BadChain::WrongDirection);
        }
        bytes += place(memory, descriptor, slices)?;
        unfinished = descriptor.has_next();
    }
    // The iterator ends without a word on whatever it cannot follow.
    match (bytes, unfinished) {
        (_, true) => Err(BadChain::Unfinished),
        (0, _) => Err(BadChain::Empty),
        _ => Ok(bytes),
    }
}

/// Appends what one descriptor points at; it may lie in several regions.
fn place(memory: &Memory, descriptor: Descriptor, slices: &mut Vec<RawSlice>) -> Result<usize, BadChain> {
    let len = descriptor.len() as usize;
    for part in memory.get_slices(descriptor.addr(), len) {
        let part = part.map_err(|_| BadChain::OutsideMemory)?;
        if slices.len() >= MOST_SLICES {
            return Err(BadChain::TooManySlices);
        }
        slices.push(RawSlice::new(part.ptr_guard_mut().as_ptr(), part.len()));
    }
    Ok(len)
}

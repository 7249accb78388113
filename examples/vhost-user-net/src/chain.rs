//! From a descriptor chain to slices of guest memory.
#![expect(unsafe_code, reason = "a table of descriptors in guest memory is read where it lies")]
// UNSAFETY: only the promise that a table was looked up in the memory that the batch holds.

use tap_plumb::RawSlice;
use thiserror::Error;
use virtio_bindings::bindings::virtio_ring::{VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};

use crate::memory::Memory;
use crate::ring::{Descriptor, Ring, Table};

/// The most slices a frame may have: what one system call takes on every Linux, less two for the crate's own.
pub const MOST_SLICES: usize = 1022;
/// The most descriptors of a chain that are looked at; the longest ring has as many.
const MOST_DESCRIPTORS: usize = 1024;

const NEXT: u16 = VRING_DESC_F_NEXT as u16;
const WRITE: u16 = VRING_DESC_F_WRITE as u16;
const INDIRECT: u16 = VRING_DESC_F_INDIRECT as u16;

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
    /// It goes on to a descriptor that does not exist.
    #[error("the chain does not end")]
    Unfinished,
    /// A table of descriptors is no valid table, lies inside another one, or belongs to a descriptor that continues the
    /// chain.
    #[error("a table of descriptors makes no sense")]
    Table,
    /// More parts than a system call takes, or than a ring has.
    #[error("the chain has too many parts")]
    TooManySlices,
}

/// Appends the bytes of the chain that begins at `head` to `slices`, in order, and returns how many they are. On an error
/// `slices` are as before.
///
/// The slices are good for as long as the ring's memory stays mapped.
///
/// # Errors
/// [`BadChain`].
#[inline]
pub fn collect(
    ring: &Ring<'_>,
    head: u16,
    direction: Direction,
    slices: &mut Vec<RawSlice>,
) -> Result<usize, BadChain> {
    let before = slices.len();
    let collected = append(ring, head, direction, slices);
    if collected.is_err() {
        slices.truncate(before);
    }
    collected
}

fn append(
    ring: &Ring<'_>,
    head: u16,
    direction: Direction,
    slices: &mut Vec<RawSlice>,
) -> Result<usize, BadChain> {
    let memory = ring.memory();
    let (mut table, mut index, mut inside) = (ring.table(), head, false);
    let mut bytes = 0;
    for _ in 0..MOST_DESCRIPTORS {
        let descriptor = table.get(index).ok_or(BadChain::Unfinished)?;
        if descriptor.flags & INDIRECT != 0 {
            table = follow(memory, descriptor, inside)?;
            (index, inside) = (0, true);
            continue;
        }
        if (descriptor.flags & WRITE != 0) != (direction == Direction::Receive) {
            return Err(BadChain::WrongDirection);
        }
        bytes += place(memory, descriptor, slices)?;
        if descriptor.flags & NEXT == 0 {
            return if bytes > 0 { Ok(bytes) } else { Err(BadChain::Empty) };
        }
        index = descriptor.next;
    }
    Err(BadChain::TooManySlices)
}

/// The table that a descriptor points at.
fn follow(memory: &Memory, descriptor: Descriptor, inside: bool) -> Result<Table, BadChain> {
    if inside || descriptor.flags & NEXT != 0 {
        return Err(BadChain::Table);
    }
    let start = memory.find(descriptor.address, descriptor.len as usize).ok_or(BadChain::OutsideMemory)?;
    // SAFETY: it lies in the memory whole, which the ring's batch keeps mapped.
    unsafe { Table::new(start, descriptor.len) }.ok_or(BadChain::Table)
}

/// Appends what one descriptor points at; it may lie in several regions.
#[inline]
fn place(memory: &Memory, descriptor: Descriptor, slices: &mut Vec<RawSlice>) -> Result<usize, BadChain> {
    let len = descriptor.len as usize;
    let there = memory.slices(descriptor.address, len, |slice| slices.push(slice));
    match () {
        () if !there => Err(BadChain::OutsideMemory),
        () if slices.len() > MOST_SLICES => Err(BadChain::TooManySlices),
        () => Ok(len),
    }
}

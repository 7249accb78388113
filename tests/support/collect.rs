//! Sinks that keep what they get, each write in one piece.

use std::convert::Infallible;
use std::io::IoSlice;

pub(crate) fn flat(slices: &[IoSlice<'_>]) -> Vec<u8> {
    slices.iter().flat_map(|slice| slice.iter().copied()).collect()
}

/// A sink that adds what it gets to `writes`.
pub(crate) fn keep(writes: &mut Vec<Vec<u8>>) -> impl FnMut(&[IoSlice<'_>]) -> Result<(), Infallible> {
    |slices| {
        writes.push(flat(slices));
        Ok(())
    }
}

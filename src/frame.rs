//! A frame on its way from the guest: borrowed slices and what the guest left to the host.

use std::io::IoSlice;

use crate::gso::Gso;

/// The state of a frame's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// The checksum is complete; nothing is left to do.
    #[default]
    Complete,
    /// The sum from `start` to the end of the frame is still to be stored at `start + offset`.
    Partial {
        /// First byte the sum covers, counted from the start of the frame.
        start: u16,
        /// Where the sum goes, counted from `start`.
        offset: u16,
    },
}

/// A frame to transmit, borrowed from the caller: Ethernet header to end of payload, without FCS.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub(crate) slices: &'a [IoSlice<'a>],
    pub(crate) gso: Option<Gso>,
    pub(crate) checksum: Checksum,
}

impl<'a> Frame<'a> {
    /// Makes a frame of `slices`, in order, with a complete checksum and no segmentation.
    #[must_use]
    pub fn new(slices: &'a [IoSlice<'a>]) -> Self {
        Self { slices, gso: None, checksum: Checksum::Complete }
    }

    /// Asks for segmentation by `gso`.
    #[must_use]
    pub fn gso(self, gso: Gso) -> Self {
        Self { gso: Some(gso), ..self }
    }

    /// States what is left to do on the transport checksum.
    #[must_use]
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self { checksum, ..self }
    }

    /// Bytes of the whole frame, with the Ethernet header and without FCS.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.slices.iter().map(|slice| slice.len()).sum()
    }
}

//! Room in guest memory, gathered for the next frame from the host.
#![expect(unsafe_code, reason = "the header of a received frame is written to guest memory")]
// UNSAFETY: one function writes bytes to slices that a batch keeps mapped.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tap_plumb::RawSlice;

use crate::chain::{self, Direction, MOST_SLICES};
use crate::counts::Counts;
use crate::ring::{BadRing, Ring};

/// The longest virtio-net header, in bytes.
pub const HEADER: usize = 12;
/// Where `num_buffers` lies in it.
const NUM_BUFFERS: usize = 10;
/// A driver that leaves less room than the longest frame needs is given this long to make more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// One chain, all of whose slices stand in [`Gathered::slices`].
#[derive(Clone, Copy, Debug)]
struct Chain {
    head: u16,
    bytes: usize,
    slices: usize,
}

/// What is asked of the room for a frame.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Bytes with the guest's header, of the longest frame that can come.
    pub bytes: usize,
    /// Bytes of the guest's header.
    pub header_len: usize,
    /// The frame may fill several chains.
    pub mergeable: bool,
}

/// Chains taken from the ring for the frames to come. What one frame leaves is there for the next.
#[derive(Debug)]
pub struct Gathered {
    /// Where the TAP's own header goes, then the chains' slices, the first chain's without the guest's header.
    slices: Vec<RawSlice>,
    chains: VecDeque<Chain>,
    /// The guest's header, at the start of the first chain.
    header: Vec<RawSlice>,
    bytes: usize,
    /// Since when the driver has left too little room and made no more, and how much there is.
    short: Option<(Instant, usize)>,
}

impl Default for Gathered {
    fn default() -> Self {
        let mut slices = Vec::with_capacity(MOST_SLICES);
        slices.push(RawSlice::new(std::ptr::null_mut(), 0));
        Self { slices, chains: VecDeque::new(), header: Vec::new(), bytes: 0, short: None }
    }
}

impl Gathered {
    /// Gathers until there is room for `need`; `false` when the driver has to offer more first.
    ///
    /// # Errors
    /// The ring is malformed.
    pub fn gather(&mut self, ring: &mut Ring<'_>, need: Need, counts: &Counts) -> Result<bool, BadRing> {
        // Every pass of the loop takes a chain or is the last. A driver cannot prolong the loop by bad chains that it offers
        // meanwhile.
        for _ in 0..=2 * ring.size() {
            if self.is_enough(ring, need) {
                self.cut_header(need.header_len);
                return Ok(true);
            }
            let Some(head) = ring.take()? else {
                if ring.listen()? {
                    ring.hush();
                    continue;
                }
                return Ok(self.make_do(need));
            };
            let before = self.slices.len();
            match chain::collect(ring, head, Direction::Receive, &mut self.slices) {
                Ok(bytes) if bytes >= need.header_len => self.push(head, bytes, before),
                _ if self.chains.is_empty() => {
                    self.slices.truncate(before);
                    ring.complete(head, 0);
                    counts.receive.bad_chains.one();
                }
                _ => {
                    // Chains go back in order, so this one can only be handed back after those before it. Until then those
                    // are all the room there is.
                    self.slices.truncate(before);
                    ring.give_back(1);
                    self.cut_header(need.header_len);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_enough(&mut self, ring: &Ring<'_>, need: Need) -> bool {
        let some = !self.chains.is_empty();
        // A driver whose ring is all here has nothing more to offer.
        let enough =
            some && (self.bytes >= need.bytes || !need.mergeable || self.chains.len() >= ring.size());
        if enough {
            self.short = None;
        }
        enough
    }

    /// The driver has no more chains to offer, and will kick when it has some. After a long wait the room that is there must
    /// do.
    fn make_do(&mut self, need: Need) -> bool {
        if self.chains.is_empty() {
            return false;
        }
        match self.short {
            Some((since, bytes)) if self.bytes <= bytes => {
                let make_do = since.elapsed() >= PATIENCE;
                if make_do {
                    self.cut_header(need.header_len);
                }
                make_do
            }
            _ => {
                self.short = Some((Instant::now(), self.bytes));
                false
            }
        }
    }

    fn push(&mut self, head: u16, bytes: usize, before: usize) {
        self.chains.push_back(Chain { head, bytes, slices: self.slices.len() - before });
        self.bytes += bytes;
    }

    /// Takes the guest's header off the first chain, so that only the frame goes to the rest; a driver may lay it out in
    /// slices of its own.
    fn cut_header(&mut self, header_len: usize) {
        let mut left = if self.header.is_empty() { header_len } else { 0 };
        for slice in &mut self.slices[1..] {
            let part = left.min(slice.len());
            if part > 0 {
                self.header.push(RawSlice::new(slice.as_ptr(), part));
                *slice = RawSlice::new(slice.as_ptr().wrapping_add(part), slice.len() - part);
                left -= part;
            }
            if left == 0 {
                break;
            }
        }
    }

    /// The slices for one frame, behind `header`, where the TAP puts its own header. An empty `header` is left out.
    pub fn slices(&mut self, header: &mut [u8]) -> &[RawSlice] {
        self.slices[0] = RawSlice::new(header.as_mut_ptr(), header.len());
        if header.is_empty() { &self.slices[1..] } else { &self.slices }
    }

    /// Completes the chains that a frame of `len` bytes has filled; `header` is the guest's. They are to be published at once:
    /// a driver that saw some of them only would find the frame incomplete, and drop it.
    pub fn complete(&mut self, ring: &mut Ring<'_>, mut header: [u8; HEADER], header_len: usize, len: usize) {
        let mut left = header_len + len;
        let (mut slices, mut count) = (0, 0_u16);
        while let Some(chain) = self.chains.front().filter(|_| left > 0) {
            let written = left.min(chain.bytes);
            // At most the longest frame, which has fewer than 2^32 bytes.
            ring.complete(chain.head, written as u32);
            left -= written;
            count += 1;
            slices += chain.slices;
            self.bytes -= chain.bytes;
            self.chains.pop_front();
        }
        header[NUM_BUFFERS..].copy_from_slice(&count.to_le_bytes());
        self.write_header(&header[..header_len]);
        self.slices.drain(1..=slices);
    }

    fn write_header(&mut self, bytes: &[u8]) {
        let places = self
            .header
            .drain(..)
            .flat_map(|part| (0..part.len()).map(move |at| part.as_ptr().wrapping_add(at)));
        for (place, byte) in places.zip(bytes) {
            // SAFETY: one byte inside a slice of guest memory, which the batch's `Memory` keeps mapped and writable; Rust has
            // no reference to it.
            unsafe { place.write_volatile(*byte) };
        }
    }

    /// Whether the driver has left too little room for the longest frame.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short.is_some()
    }

    /// Forgets the chains that are left, and says how many they were.
    pub fn clear(&mut self) -> usize {
        let count = self.chains.len();
        self.chains.clear();
        self.slices.truncate(1);
        self.header.clear();
        self.bytes = 0;
        count
    }
}

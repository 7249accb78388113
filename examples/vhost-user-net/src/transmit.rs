//! The transmit ring: frames straight from guest memory to the TAP.
#![expect(unsafe_code, reason = "guest memory is handed to the kernel as it lies")]
// UNSAFETY: reads of a header in guest memory, and the promise that slices of it are mapped while a batch lasts.

use std::sync::atomic::{AtomicBool, Ordering};

use tap_plumb::{Backend, RawSlice, TransmitError, Transmitter};

use crate::chain::{self, Direction};
use crate::counts::Counts;
use crate::features::Negotiated;
use crate::gather::HEADER;
use crate::ring::{BadRing, Ring};

/// Most of each at a time, before the other direction has its turn: a guest may ask for thousands of segments by one frame.
const FRAMES: usize = 64;
const SEGMENTS: usize = 1024;
const BYTES: usize = 4 << 20;
/// Chains that may be used before the driver sees them.
const PUBLISH: usize = 32;

/// Why a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The ring is stopped, or broken.
    Off,
    /// Nothing more to do until something happens.
    Idle,
    /// The driver has to offer room first.
    Starved,
    /// There is more to do.
    More,
    /// The TAP takes no frame now; its descriptor tells when.
    Blocked,
    /// The interface is gone; frames wait until there is one again.
    Gone,
    /// The guest's memory was taken away.
    Lost,
}

/// What a batch works with.
pub struct Transmit<'b> {
    /// The TAP's queue.
    pub backend: &'b Backend,
    /// What the guest agreed to.
    pub guest: &'b Negotiated,
    /// Room for the slices of a frame.
    pub slices: &'b mut Vec<RawSlice>,
    /// What is counted.
    pub counts: &'b Counts,
    /// Everything must end.
    pub ending: &'b AtomicBool,
}

/// How much of a batch is left.
struct Budget {
    frames: usize,
    segments: usize,
    bytes: usize,
}

/// The guest's header, copied: what is decided on it must not change meanwhile.
struct Header([u8; HEADER]);

impl Transmit<'_> {
    /// Sends what the guest offers.
    ///
    /// # Errors
    /// [`BadRing`].
    pub fn drain(&mut self, ring: &mut Ring<'_>) -> Result<Pause, BadRing> {
        // Nobody else transmits on this backend, so a session is always to be had.
        let Some(mut session) = self.backend.begin_transmit() else { return Ok(Pause::More) };
        ring.hush();
        let mut budget = Budget { frames: FRAMES, segments: SEGMENTS, bytes: BYTES };
        let pause = self.frames(&mut session, ring, &mut budget);
        self.tell(ring);
        pause
    }

    fn frames(
        &mut self,
        session: &mut Transmitter<'_>,
        ring: &mut Ring<'_>,
        budget: &mut Budget,
    ) -> Result<Pause, BadRing> {
        while !budget.is_spent() && !self.ending.load(Ordering::Relaxed) {
            match ring.take()? {
                Some(head) => {
                    if let Some(pause) = self.send(session, ring, head, budget) {
                        ring.give_back(1);
                        return Ok(pause);
                    }
                    ring.complete(head, 0);
                    if ring.unpublished() >= PUBLISH {
                        self.tell(ring);
                    }
                }
                None if ring.listen()? => ring.hush(),
                None => return Ok(Pause::Idle),
            }
        }
        Ok(Pause::More)
    }

    /// Publishes what is used and interrupts the driver if it wants that.
    fn tell(&self, ring: &mut Ring<'_>) {
        if ring.interrupt() {
            self.counts.transmit.interrupts.one();
        }
    }

    /// Sends one frame. `None`: it went out, or was dropped and counted, so that the guest gets its chain back.
    ///
    /// The compiler must inline this function into the loop. A function that was entered before the system call returns
    /// slowly after it.
    #[inline(always)]
    fn send(
        &mut self,
        session: &mut Transmitter<'_>,
        ring: &mut Ring<'_>,
        head: u16,
        budget: &mut Budget,
    ) -> Option<Pause> {
        let (counts, header_len) = (self.counts, self.guest.header_len);
        self.slices.clear();
        // Where the header's copy goes.
        self.slices.push(RawSlice::new(std::ptr::null_mut(), 0));
        let Ok(bytes) = chain::collect(ring, head, Direction::Transmit, self.slices) else {
            counts.transmit.bad_chains.one();
            return None;
        };
        let (mut header, from) = Header::cut(self.slices, header_len);
        let frame_len = bytes.saturating_sub(header_len);
        budget.take(frame_len, &header);
        if !self.guest.may_ask(header.0[0], header.0[1]) {
            counts.transmit_not_agreed.one();
            return None;
        }
        self.slices[from] = RawSlice::new(header.0.as_mut_ptr(), header_len.min(bytes));
        // To resume a frame after 0 segments is to send it. One call serves both cases, so the compiler can inline it into
        // the loop.
        // SAFETY: the first slice is the header, which lives and is not touched until the call returns. The others lie in
        // regions of guest memory, which the ring's batch keeps mapped, readable and writable; Rust has no reference into it.
        let sent = unsafe { session.resume_raw_with_header(&self.slices[from..], header_len, ring.sent()) };
        ring.set_sent(0);
        match sent {
            Ok(()) => {
                counts.transmit.crossed(frame_len);
                None
            }
            Err(error) => refused(&error, ring),
        }
    }
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.frames == 0 || self.segments == 0 || self.bytes == 0
    }

    /// Takes one frame off, by what it may cost.
    fn take(&mut self, frame_len: usize, header: &Header) {
        let segments = if header.0[1] == 0 { 1 } else { frame_len / header.segment_size() + 1 };
        self.frames -= 1;
        self.segments = self.segments.saturating_sub(segments);
        self.bytes = self.bytes.saturating_sub(frame_len);
    }
}

impl Header {
    /// Copies the first `header_len` bytes and cuts them off the slices from 1 on; gives the number of the slice before the
    /// first that is left, which is free for the copy.
    #[inline]
    fn cut(slices: &mut [RawSlice], header_len: usize) -> (Self, usize) {
        let mut header = Self([0; HEADER]);
        let (mut from, mut have) = (0, 0);
        for (index, slice) in slices.iter_mut().enumerate().skip(1) {
            let part = slice.len().min(header_len - have);
            for (at, byte) in header.0[have..have + part].iter_mut().enumerate() {
                // SAFETY: one byte inside a slice of guest memory, which the batch keeps mapped; others write it at any time.
                *byte = unsafe { slice.as_ptr().wrapping_add(at).read_volatile() };
            }
            have += part;
            *slice = RawSlice::new(slice.as_ptr().wrapping_add(part), slice.len() - part);
            if !slice.is_empty() {
                break;
            }
            from = index;
        }
        (header, from)
    }

    fn segment_size(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[4], self.0[5]])).max(1)
    }
}

/// What a refused frame means for the batch. The segments that went out do not go out again.
#[cold]
#[inline(never)]
fn refused(error: &TransmitError, ring: &mut Ring<'_>) -> Option<Pause> {
    match error {
        TransmitError::WouldBlock { sent } | TransmitError::InterfaceDown { sent } => {
            ring.set_sent(*sent);
            Some(Pause::Blocked)
        }
        TransmitError::Gone => Some(Pause::Gone),
        TransmitError::Io { source, .. } if is_fault(source) => Some(Pause::Lost),
        error => {
            log::trace!("transmit: {error}");
            None
        }
    }
}

/// Whether the kernel found memory missing that a hypervisor had shared.
pub(crate) fn is_fault(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EFAULT)
}

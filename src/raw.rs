//! Frames in guest memory, which may change under our eyes and must not become a Rust reference.
#![expect(unsafe_code, reason = "guest memory is reached by raw pointers only")]
// UNSAFETY: reads are volatile and go to private copies; what is decided is decided on the copies. Writes and reads of
// whole frames are left to the kernel.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::body::Body;
use crate::checksum::{Sum, fold, halves};

/// A run of bytes in guest memory: what `iovec` is to C, and laid out the same.
///
/// It borrows nothing and promises nothing; the functions that take it say what must hold.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct RawSlice(libc::iovec);

impl RawSlice {
    /// Makes a slice of `len` bytes at `start`.
    #[must_use]
    pub fn new(start: *mut u8, len: usize) -> Self {
        Self(libc::iovec { iov_base: start.cast(), iov_len: len })
    }

    /// The first byte.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.0.iov_base.cast()
    }

    /// How many bytes there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a run of memory, no collection")]
    pub fn len(&self) -> usize {
        self.0.iov_len
    }
}

// SAFETY: an address and a number. Whoever reads through it has promised that the memory is there.
unsafe impl Send for RawSlice {}
// SAFETY: as above; nothing is reached through a shared reference to it.
unsafe impl Sync for RawSlice {}

impl fmt::Debug for RawSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:p}+{}", self.as_ptr(), self.len())
    }
}

/// A frame in guest memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest<'f>(&'f [RawSlice]);

impl<'f> Guest<'f> {
    /// Takes the frame that lies in `slices`.
    ///
    /// # Safety
    /// For as long as the value or a copy of it is used:
    /// - each slice's memory is mapped and readable over its whole length (any address will do for length 0);
    /// - no Rust reference that forbids others to write exists to any of it, and no Rust code writes to it except by
    ///   volatile or atomic accesses. The guest itself may write at any time.
    pub(crate) unsafe fn new(slices: &'f [RawSlice]) -> Self {
        Self(slices)
    }

    /// Reads `N` bytes once, each. Beyond the end of the slice there are only zeros.
    fn read<const N: usize>(&self, index: usize, at: usize) -> [u8; N] {
        let slice = self.0[index];
        if at.checked_add(N).is_none_or(|end| end > slice.len()) {
            return [0; N];
        }
        let bytes = slice.as_ptr().wrapping_add(at).cast::<[u8; N]>();
        // SAFETY: points at `N` bytes, alignment 1, inside a slice of guest memory, as just checked; whoever made this
        // `Guest` promised that it is readable for as long as the `Guest` is used. Any bytes make a valid array.
        unsafe { bytes.read_volatile() }
    }
}

impl Body for Guest<'_> {
    type Slice<'s> = RawSlice;

    fn count(&self) -> usize {
        self.0.len()
    }

    fn len(&self, index: usize) -> usize {
        self.0[index].len()
    }

    fn cut<'s>(&'s self, index: usize, range: Range<usize>) -> RawSlice {
        RawSlice::new(self.0[index].as_ptr().wrapping_add(range.start), range.len())
    }

    fn sum(&self, index: usize, range: Range<usize>, sum: &mut Sum) {
        let words = range.len() / WORD;
        let mut total = 0;
        for word in 0..words {
            total += halves(u64::from_ne_bytes(self.read(index, range.start + word * WORD)));
        }
        let mut rest = [0; WORD];
        for (at, byte) in (range.start + words * WORD..range.end).zip(&mut rest) {
            [*byte] = self.read(index, at);
        }
        sum.piece(fold(total + halves(u64::from_ne_bytes(rest))), range.len());
    }

    fn copy(&self, index: usize, from: usize, target: &mut [u8]) -> usize {
        let len = target.len().min(self.len(index).saturating_sub(from));
        for (at, byte) in (from..).zip(&mut target[..len]) {
            [*byte] = self.read(index, at);
        }
        len
    }

    fn own<'s>(bytes: &'s [u8]) -> RawSlice {
        RawSlice::new(bytes.as_ptr().cast_mut(), bytes.len())
    }
}

/// Bytes summed at a time.
const WORD: usize = 8;

/// Writes one frame from `slices` (writev(2)).
///
/// # Safety
/// Each slice's memory is readable over its whole length until the call returns.
pub(crate) unsafe fn write_frame(fd: BorrowedFd<'_>, slices: &[RawSlice]) -> io::Result<usize> {
    let count = slice_count(slices)?;
    // SAFETY: `slices` is an array of `count` `RawSlice`, each an `iovec` by `repr(transparent)`, the caller's and alive
    // during the call; that the memory behind each can be read is the caller's promise.
    let written = unsafe { libc::writev(fd.as_raw_fd(), slices.as_ptr().cast(), count) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Reads one frame into `slices` (readv(2)).
///
/// # Safety
/// Each slice's memory is writable over its whole length until the call returns, and no Rust reference to it is used
/// meanwhile.
pub(crate) unsafe fn read_frame(fd: BorrowedFd<'_>, slices: &[RawSlice]) -> io::Result<usize> {
    let count = slice_count(slices)?;
    // SAFETY: `slices` is an array of `count` `RawSlice`, each an `iovec` by `repr(transparent)`, the caller's and alive
    // during the call; that the memory behind each can be written is the caller's promise.
    let read = unsafe { libc::readv(fd.as_raw_fd(), slices.as_ptr().cast(), count) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

fn slice_count(slices: &[RawSlice]) -> io::Result<libc::c_int> {
    libc::c_int::try_from(slices.len()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

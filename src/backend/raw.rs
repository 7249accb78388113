//! Frames in guest memory, which may change under our eyes and must not become a Rust reference.
#![expect(unsafe_code, reason = "guest memory is reached by raw pointers only")]
// UNSAFETY: reads are volatile and go to private copies; what is decided is decided on the copies. Writes and reads of
// whole frames are left to the kernel.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::backend::backend::Backend;
use crate::backend::error::{ReceiveError, TransmitError};
use crate::backend::receive::Received;
use crate::backend::session::Transmitter;
use crate::memory::body::{Body, copy_front, total_len};
use crate::memory::slices::{COMMON, FEW, MOST, Room, past_room};
use crate::segmentation::deliver::Work;
use crate::segmentation::frame::Checksum;
use crate::wire::checksum::{Sum, fold, halves};
use crate::wire::gso::Gso;
use crate::wire::reject::RejectReason;
use crate::wire::vnet_header;

/// A run of bytes in guest memory: what `iovec` is to C, and laid out the same.
///
/// It borrows nothing and promises nothing; the functions that take it say what must hold.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct RawSlice(libc::iovec);

impl RawSlice {
    /// Makes a slice of `len` bytes at `start`.
    #[must_use]
    #[inline]
    pub fn new(start: *mut u8, len: usize) -> Self {
        Self(libc::iovec { iov_base: start.cast(), iov_len: len })
    }

    /// The first byte.
    #[must_use]
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.0.iov_base.cast()
    }

    /// How many bytes there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.iov_len
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

/// A run of bytes that can be read for `'s`: a part of a [`Guest`], or our own. Only this file makes one.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Part<'s>(RawSlice, PhantomData<&'s ()>);

/// A frame in guest memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest<'f>(&'f [Part<'f>]);

impl<'f> Guest<'f> {
    /// Takes the frame that lies in `slices`.
    ///
    /// # Safety
    /// For as long as the value or a copy of it is used:
    /// - each slice's memory is mapped and readable over its whole length (any address will do for length 0);
    /// - no Rust reference that forbids others to write exists to any of it, and no Rust code writes to it except by
    ///   volatile or atomic accesses. The guest itself may write at any time.
    #[inline(always)]
    pub(crate) unsafe fn new(slices: &'f [RawSlice]) -> Self {
        let parts = std::ptr::from_ref(slices) as *const [Part<'f>];
        // SAFETY: points at the caller's array, alive and unchanged for `'f`; a `Part` is a `RawSlice` by
        // `repr(transparent)`, and that its bytes can be read for that long is the caller's promise.
        Self(unsafe { &*parts })
    }
}

impl Body for Guest<'_> {
    type Slice<'s> = Part<'s>;

    #[inline]
    fn count(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn len(&self, index: usize) -> usize {
        self.0[index].0.len()
    }

    #[inline]
    fn cut<'s>(&'s self, index: usize, range: Range<usize>) -> Part<'s> {
        let slice = self.0[index].0;
        let start = range.start.min(slice.len());
        let len = range.len().min(slice.len() - start);
        Part(RawSlice::new(slice.as_ptr().wrapping_add(start), len), PhantomData)
    }

    fn sum(&self, index: usize, range: Range<usize>, sum: &mut Sum) {
        let words = range.len() / WORD;
        let mut total = 0;
        for word in 0..words {
            let mut bytes = [0; WORD];
            self.read(index, range.start + word * WORD, &mut bytes);
            total += halves(u64::from_ne_bytes(bytes));
        }
        let mut rest = [0; WORD];
        for (at, byte) in (range.start + words * WORD..range.end).zip(&mut rest) {
            self.read(index, at, std::array::from_mut(byte));
        }
        sum.piece(fold(total + halves(u64::from_ne_bytes(rest))), range.len());
    }

    fn copy(&self, index: usize, from: usize, target: &mut [u8]) -> usize {
        let len = target.len().min(self.len(index).saturating_sub(from));
        for (at, byte) in (from..).zip(&mut target[..len]) {
            self.read(index, at, std::array::from_mut(byte));
        }
        len
    }

    /// Reads each of them once.
    #[inline]
    fn read<const N: usize>(&self, index: usize, at: usize, target: &mut [u8; N]) -> bool {
        let Some(Part(slice, _)) = self.0.get(index) else { return false };
        if at.checked_add(N).is_none_or(|end| end > slice.len()) {
            return false;
        }
        let bytes = slice.as_ptr().wrapping_add(at).cast::<[u8; N]>();
        // SAFETY: points at `N` bytes, alignment 1, inside a slice of guest memory, as just checked; whoever made this
        // `Guest` promised that it is readable for as long as the `Guest` is used. Any bytes make a valid array.
        *target = unsafe { bytes.read_volatile() };
        true
    }

    #[inline]
    fn own<'s>(bytes: &'s [u8]) -> Part<'s> {
        Part(RawSlice::new(bytes.as_ptr().cast_mut(), bytes.len()), PhantomData)
    }

    #[inline]
    fn slice_len(part: &Part<'_>) -> usize {
        part.0.len()
    }

    #[inline]
    fn whole<'s>(&'s self) -> Option<&'s [Part<'s>]> {
        Some(self.0)
    }

    #[inline(always)]
    fn write(fd: BorrowedFd<'_>, parts: &[Part<'_>]) -> Result<usize, Errno> {
        if let [Part(one, _)] = parts {
            // SAFETY: `one.len()` bytes of guest memory, or our own; a `Part` can be read for its life time, which
            // outlasts the call.
            let written = unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
            return usize::try_from(written).map_err(|_| Errno::last());
        }
        let count = slice_count(parts.len())?;
        // SAFETY: an array of `count` `Part`, each an `iovec` by `repr(transparent)`, the caller's and alive during the
        // call; a `Part` can be read for its life time, which outlasts the call.
        let written = unsafe { libc::writev(fd.as_raw_fd(), parts.as_ptr().cast(), count) };
        usize::try_from(written).map_err(|_| Errno::last())
    }
}

/// Bytes summed at a time.
const WORD: usize = 8;

/// Room for a frame in guest memory.
struct GuestRoom<'r>(&'r [RawSlice]);

impl<'r> GuestRoom<'r> {
    /// # Safety
    /// For as long as the value is used, each slice's memory is mapped, readable and writable over its whole length, and
    /// there is no Rust reference to any of it.
    #[inline(always)]
    unsafe fn new(slices: &'r [RawSlice]) -> Self {
        Self(slices)
    }

    /// Reads one frame into `slices`: those of this room, or these between two that are the caller's own.
    #[inline(always)]
    fn read_into(&self, fd: BorrowedFd<'_>, slices: &[RawSlice]) -> Result<usize, Errno> {
        if let [one] = slices {
            // SAFETY: `one.len()` bytes, of this room or the caller's own, as below; they stay where they are during the
            // call.
            let read = unsafe { libc::read(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
            return usize::try_from(read).map_err(|_| Errno::last());
        }
        let count = slice_count(slices.len())?;
        // SAFETY: `slices` is an array of `count` `RawSlice`, each an `iovec` by `repr(transparent)`, alive during the
        // call; the memory behind those of the room may be written by the promise made to `new`, that behind others is
        // the caller's own and exclusive.
        let read = unsafe { libc::readv(fd.as_raw_fd(), slices.as_ptr().cast(), count) };
        usize::try_from(read).map_err(|_| Errno::last())
    }

    #[inline(always)]
    fn guest(&self) -> Guest<'_> {
        // SAFETY: who made this room promised more than a `Guest` needs, for longer than this borrow.
        unsafe { Guest::new(self.0) }
    }
}

impl Room for GuestRoom<'_> {
    #[inline]
    fn count(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn bytes(&self) -> usize {
        total_len(self.guest())
    }

    #[inline(always)]
    fn read(&mut self, fd: BorrowedFd<'_>, header: &mut [u8], spare: bool) -> Result<usize, Errno> {
        let room = header.len() + self.bytes();
        if spare && header.is_empty() {
            return self.read_into(fd, self.0).map(|len| past_room(len, room));
        }
        if let [one] = self.0
            && spare
        {
            let header = RawSlice::new(header.as_mut_ptr(), header.len());
            return self.read_into(fd, &[header, *one]).map(|len| past_room(len, room));
        }
        let mut overflow = [0; 1];
        let first = (!header.is_empty()).then(|| RawSlice::new(header.as_mut_ptr(), header.len()));
        let last = (!spare).then(|| RawSlice::new(overflow.as_mut_ptr(), overflow.len()));
        let count = self.0.len() + usize::from(first.is_some()) + usize::from(last.is_some());
        let list = first.into_iter().chain(self.0.iter().copied()).chain(last);
        let read = with_list(count, list, |slices| self.read_into(fd, slices));
        read.map(|len| if spare { past_room(len, room) } else { len })
    }

    fn interpret(&self, header: &[u8], len: usize) -> Result<(Option<Gso>, Checksum), RejectReason> {
        let mut left = len;
        let cut = self.0.iter().map(|slice| {
            let part = slice.len().min(left);
            left -= part;
            RawSlice::new(slice.as_ptr(), part)
        });
        with_list(self.0.len(), cut, |slices| {
            // SAFETY: parts of the slices that this room was made of, for less time.
            let guest = unsafe { Guest::new(slices) };
            vnet_header::interpret_behind(header, guest)
        })
    }

    fn copy(&self, target: &mut [u8]) -> usize {
        copy_front(self.guest(), target)
    }
}

/// Calls `act` with the `count` slices of `list`, on the stack.
#[inline(always)]
fn with_list<R>(count: usize, list: impl Iterator<Item = RawSlice>, act: impl FnOnce(&[RawSlice]) -> R) -> R {
    match count {
        count if count <= FEW => build::<FEW, R>(count, list, act),
        count if count <= COMMON => build_apart::<COMMON, R>(count, list, act),
        _ => build_apart::<MOST, R>(count, list, act),
    }
}

/// Kept apart, so that a long list on the stack burdens nobody who needs none.
#[inline(never)]
fn build_apart<const N: usize, R>(
    count: usize,
    list: impl Iterator<Item = RawSlice>,
    act: impl FnOnce(&[RawSlice]) -> R,
) -> R {
    build::<N, R>(count, list, act)
}

#[inline(always)]
fn build<const N: usize, R>(
    count: usize,
    mut list: impl Iterator<Item = RawSlice>,
    act: impl FnOnce(&[RawSlice]) -> R,
) -> R {
    let nothing = RawSlice::new(std::ptr::null_mut(), 0);
    let all: [RawSlice; N] = std::array::from_fn(|_| list.next().unwrap_or(nothing));
    act(&all[..count])
}

fn slice_count(count: usize) -> Result<libc::c_int, Errno> {
    libc::c_int::try_from(count).map_err(|_| Errno::EINVAL)
}

impl Backend {
    /// [`receive`](Self::receive) into guest memory.
    ///
    /// # Safety
    /// Until the call returns, for each slice:
    /// - its memory is mapped, readable and writable over its whole length (any address will do for length 0);
    /// - no Rust reference to any of it exists, and Rust code touches it by volatile or atomic accesses only. The guest
    ///   itself may access it at any time.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline(always)]
    pub unsafe fn receive_raw(&self, slices: &[RawSlice]) -> Result<Option<Received>, ReceiveError> {
        // SAFETY: the caller promises the same, for at least as long.
        let room = unsafe { GuestRoom::new(slices) };
        self.receive_into(room)
    }

    /// [`receive_with_header`](Self::receive_with_header) into guest memory.
    ///
    /// # Safety
    /// As [`receive_raw`](Self::receive_raw).
    ///
    /// # Errors
    /// As [`receive_with_header`](Self::receive_with_header).
    pub unsafe fn receive_raw_with_header(&self, slices: &[RawSlice]) -> Result<Option<usize>, ReceiveError> {
        // SAFETY: the caller promises the same, for at least as long.
        let room = unsafe { GuestRoom::new(slices) };
        self.receive_into_with_header(room)
    }
}

impl Transmitter<'_> {
    /// Sends one frame from guest memory, or every segment of an oversized one. Headers are copied once and then
    /// validated; the payload is read by the kernel, and by volatile reads where a checksum is computed here.
    ///
    /// # Safety
    /// Until the call returns, for each slice:
    /// - its memory is mapped and readable over its whole length (any address will do for length 0);
    /// - no Rust reference that forbids others to write exists to any of it, and Rust code writes to it by volatile or
    ///   atomic accesses only. The guest itself may access it at any time.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline(always)]
    pub unsafe fn send_raw(
        &mut self,
        slices: &[RawSlice],
        gso: Option<Gso>,
        checksum: Checksum,
    ) -> Result<(), TransmitError> {
        // SAFETY: the caller promises the same, for at least as long.
        let guest = unsafe { Guest::new(slices) };
        self.backend().send(guest, &Work { gso, checksum })
    }

    /// [`send_with_header`](Self::send_with_header) from guest memory.
    ///
    /// # Safety
    /// As [`send_raw`](Self::send_raw).
    ///
    /// # Errors
    /// As [`send_with_header`](Self::send_with_header).
    pub unsafe fn send_raw_with_header(
        &mut self,
        slices: &[RawSlice],
        header_len: usize,
    ) -> Result<(), TransmitError> {
        // SAFETY: the caller promises the same, for at least as long.
        let guest = unsafe { Guest::new(slices) };
        self.backend().send_with_header(guest, header_len)
    }
}

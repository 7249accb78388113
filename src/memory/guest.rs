//! Runs of bytes that others may change at any time, so that they must not become a Rust reference. They are guest memory, or
//! borrowed slices that are treated like it. Also the list of them that a system call takes.
#![expect(unsafe_code, reason = "guest memory is reached by raw pointers only")]
// UNSAFETY: reads are volatile and go to private copies; what is decided is decided on the copies. Whole frames are left
// to the kernel. A run of bytes is made here only, from a borrow or from a caller's promise that says the same. A list keeps
// its unused places uninitialised: to clear them for each frame would cost as much as all checks of a frame.

use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use libc::iovec;

use crate::wire::{Sum, fold, halves};

/// A run of bytes in guest memory: what `iovec` is to C, and laid out the same.
///
/// It borrows nothing and promises nothing; the functions that take it say what must hold.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct RawSlice(iovec);

impl RawSlice {
    /// Makes a slice of `len` bytes at `start`.
    #[must_use]
    #[inline]
    pub fn new(start: *mut u8, len: usize) -> Self {
        Self(iovec { iov_base: start.cast(), iov_len: len })
    }

    /// Takes an array of `iovec` as it is, such as a hypervisor keeps for a ring's chain.
    #[must_use]
    #[inline]
    pub fn from_iovecs(iovecs: &[iovec]) -> &[Self] {
        let slices = std::ptr::from_ref(iovecs) as *const [Self];
        // SAFETY: points at the caller's array, borrowed for as long; this type is an `iovec` by `repr(transparent)`, and like one
        // it says nothing of the bytes behind it.
        unsafe { &*slices }
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

    /// The part of this slice that `range` names, as far as it reaches.
    #[inline]
    fn part(self, range: Range<usize>) -> Self {
        let start = range.start.min(self.len());
        Self::new(self.as_ptr().wrapping_add(start), range.len().min(self.len() - start))
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

/// A run of bytes that can be read for `'s`. The guest may write to it meanwhile, if it is the guest's.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct FrameSlice<'s>(RawSlice, PhantomData<&'s [u8]>);

/// A run of bytes that can be read and written for `'s`, and to which no Rust reference exists meanwhile.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct RoomSlice<'s>(RawSlice, PhantomData<&'s mut [u8]>);

/// Bytes that are read at a time.
const WORD: usize = 8;

/// A word at any address.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Word(u64);

impl<'s> FrameSlice<'s> {
    /// Takes bytes that are borrowed.
    #[inline]
    pub fn own(bytes: &'s [u8]) -> Self {
        Self(RawSlice::new(bytes.as_ptr().cast_mut(), bytes.len()), PhantomData)
    }

    /// Takes slices that are borrowed.
    #[inline(always)]
    pub fn borrowed(slices: &'s [IoSlice<'_>]) -> &'s [Self] {
        let slices = std::ptr::from_ref(slices) as *const [Self];
        // SAFETY: points at the caller's array, borrowed for `'s`; an `IoSlice` is an `iovec` on Unix, as std promises, and
        // so is this type by `repr(transparent)`; the bytes behind each are borrowed for at least as long.
        unsafe { &*slices }
    }

    /// Takes slices of guest memory.
    ///
    /// # Safety
    /// For as long as the value or a copy of it is used:
    /// - each slice's memory is mapped and readable over its whole length (any address will do for length 0);
    /// - no Rust reference that forbids others to write exists to any of it. No Rust code writes to it except by
    ///   volatile or atomic accesses. The guest itself may write at any time.
    #[inline(always)]
    pub unsafe fn guest(slices: &'s [RawSlice]) -> &'s [Self] {
        let slices = std::ptr::from_ref(slices) as *const [Self];
        // SAFETY: points at the caller's array, borrowed for `'s`; the element is a `RawSlice` by `repr(transparent)`, and that
        // its bytes can be read for that long is the caller's promise.
        unsafe { &*slices }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    #[inline]
    pub fn part(self, range: Range<usize>) -> Self {
        Self(self.0.part(range), PhantomData)
    }

    /// Copies from the start on, as far as both sides reach, and reads each byte once; returns how many bytes.
    #[inline]
    pub fn copy_to(self, target: &mut [u8]) -> usize {
        let len = self.len().min(target.len());
        let (words, rest) = target[..len].as_chunks_mut::<WORD>();
        let tail = words.len() * WORD;
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.word(index * WORD).to_ne_bytes();
        }
        for (index, byte) in rest.iter_mut().enumerate() {
            *byte = self.byte(tail + index);
        }
        len
    }

    /// Adds the bytes to `sum`; `shared` tells that somebody may write to them meanwhile.
    // Not inlined: inside its caller the loop over the bytes is slower by a fifth.
    #[inline(never)]
    pub fn add_to(self, sum: &mut Sum, shared: bool) {
        if shared {
            self.add_shared(sum);
        } else {
            // SAFETY: not shared, so that it was borrowed as a Rust slice.
            sum.bytes(unsafe { self.as_borrowed() });
        }
    }

    /// Tells whether a borrowed slice begins with `bytes`; `false` where `shared` says that others may write to the slice.
    #[inline(always)]
    pub fn begins_with(self, bytes: &[u8], shared: bool) -> bool {
        // SAFETY: not shared, so that it was borrowed as a Rust slice.
        !shared && unsafe { self.as_borrowed() }.starts_with(bytes)
    }

    /// The bytes as Rust has them.
    ///
    /// # Safety
    /// The slice was made of borrowed bytes.
    #[inline(always)]
    unsafe fn as_borrowed(self) -> &'s [u8] {
        // SAFETY: `len` bytes that were borrowed as a Rust slice for `'s`, as the caller says: nobody writes to them meanwhile.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.len()) }
    }

    fn add_shared(self, sum: &mut Sum) {
        let words = self.len() / WORD;
        let mut total = (0..words).map(|word| halves(self.word(word * WORD))).sum::<u64>();
        let mut rest = [0; WORD];
        self.part(words * WORD..self.len()).copy_to(&mut rest);
        total += halves(u64::from_ne_bytes(rest));
        sum.piece(fold(total), self.len());
    }

    #[inline]
    fn word(self, at: usize) -> u64 {
        debug_assert!(at + WORD <= self.len());
        let word = self.0.as_ptr().wrapping_add(at).cast::<Word>();
        // SAFETY: points at eight bytes, alignment 1, inside this slice, as each caller here has made sure of; they are readable
        // for `'s`. Any bytes make a valid word.
        unsafe { word.read_volatile() }.0
    }

    #[inline]
    fn byte(self, at: usize) -> u8 {
        debug_assert!(at < self.len());
        let byte = self.0.as_ptr().wrapping_add(at);
        // SAFETY: points at one byte inside this slice, as each caller here has made sure of; it is readable for `'s`.
        unsafe { byte.read_volatile() }
    }
}

/// The slices in the form of std. `None` where `shared` says that others may write to them: only borrowed slices have that
/// form.
#[inline]
pub(super) fn io_slices<'s>(slices: &'s [FrameSlice<'_>], shared: bool) -> Option<&'s [IoSlice<'s>]> {
    let slices = std::ptr::from_ref(slices) as *const [IoSlice<'s>];
    // SAFETY: points at the caller's array, borrowed for `'s`; both types are an `iovec`; what is not shared was made of
    // borrowed bytes only, and these outlast `'s`.
    (!shared).then(|| unsafe { &*slices })
}

impl<'s> RoomSlice<'s> {
    /// Takes bytes that are borrowed.
    #[inline]
    pub fn own(bytes: &'s mut [u8]) -> Self {
        Self(RawSlice::new(bytes.as_mut_ptr(), bytes.len()), PhantomData)
    }

    /// Takes slices that are borrowed.
    #[inline(always)]
    pub fn borrowed(slices: &'s mut [IoSliceMut<'_>]) -> &'s [Self] {
        let slices = std::ptr::from_mut(slices) as *const [Self];
        // SAFETY: points at the caller's array, borrowed for `'s`; an `IoSliceMut` is an `iovec` on Unix, as std promises, and
        // so is this type by `repr(transparent)`; the bytes behind each are borrowed, exclusively, for at least as long.
        unsafe { &*slices }
    }

    /// Takes slices of guest memory.
    ///
    /// # Safety
    /// For as long as the value or a copy of it is used, each slice's memory is mapped, readable and writable over its whole
    /// length. And there is no Rust reference to any of it.
    #[inline(always)]
    pub unsafe fn guest(slices: &'s [RawSlice]) -> &'s [Self] {
        let slices = std::ptr::from_ref(slices) as *const [Self];
        // SAFETY: points at the caller's array, borrowed for `'s`; the element is a `RawSlice` by `repr(transparent)`, and that
        // its bytes can be written for that long is the caller's promise.
        unsafe { &*slices }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Overwrites the byte at `at`; `false` where there is none.
    pub fn put(self, at: usize, value: u8) -> bool {
        if at >= self.len() {
            return false;
        }
        let byte = self.as_mut_ptr().wrapping_add(at);
        // SAFETY: points at one byte inside this slice, which can be written for `'s` and to which no Rust reference exists.
        unsafe { byte.write_volatile(value) };
        true
    }

    /// What was read into the first `len` bytes, to be looked at.
    #[inline]
    pub fn filled(self, len: usize) -> FrameSlice<'s> {
        FrameSlice(self.0.part(0..len), PhantomData)
    }
}

/// What nearly every guest stays below: a frame of 64 KiB in 4 KiB pages, with its headers apart.
pub(crate) const COMMON_SLICES: usize = 20;
/// The largest list any system takes in one call (`IOV_MAX` on Linux, illumos and the BSDs).
pub(crate) const MOST_SLICES: usize = 1024;

/// The place of a list.
pub(crate) type Slots<S, const ROOM: usize> = [MaybeUninit<S>; ROOM];

/// Slices of one kind, in order.
#[derive(Debug)]
pub(crate) struct List<'l, S> {
    slots: &'l mut [MaybeUninit<S>],
    /// All slots before this one are initialised, as far as there are any.
    wanted: usize,
}

impl<'l, S: Copy> List<'l, S> {
    /// An empty list in `slots`.
    #[inline(always)]
    pub fn new(slots: &'l mut [MaybeUninit<S>]) -> Self {
        Self { slots, wanted: 0 }
    }

    /// Adds a slice. A slice that no longer fits is counted all the same, so that an error can tell how many are needed.
    #[inline(always)]
    pub fn push(&mut self, slice: S) {
        if let Some(slot) = self.slots.get_mut(self.wanted) {
            slot.write(slice);
        }
        self.wanted += 1;
    }

    /// The slices, or how many there would have been.
    #[inline(always)]
    pub fn slices(&self) -> Result<&[S], usize> {
        let used = std::ptr::from_ref(self.slots.get(..self.wanted).ok_or(self.wanted)?) as *const [S];
        // SAFETY: points at `wanted` slots of this list, borrowed like `self`, each of which `push` has written before it
        // counted it; a `MaybeUninit` is laid out like what it holds.
        Ok(unsafe { &*used })
    }
}

/// Calls `act` with `slices` and bytes of our own behind them.
#[cold]
pub(crate) fn with_slices<R>(
    slices: &[FrameSlice<'_>],
    behind: &[u8],
    act: impl FnOnce(&[FrameSlice<'_>]) -> R,
) -> R {
    with_list(slices.len() + 1, |mut list| {
        slices.iter().for_each(|slice| list.push(*slice));
        list.push(FrameSlice::own(behind));
        act(list.slices().unwrap_or_default())
    })
}

/// Calls `act` with an empty list that has room for `count` slices.
#[inline(always)]
pub(super) fn with_list<S: Copy, R>(count: usize, act: impl FnOnce(List<'_, S>) -> R) -> R {
    if count <= COMMON_SLICES {
        act(List::new(&mut [const { MaybeUninit::uninit() }; COMMON_SLICES]))
    } else {
        with_long_list(act)
    }
}

/// Kept apart, so that a long list on the stack burdens nobody who needs none.
#[cold]
#[inline(never)]
fn with_long_list<S: Copy, R>(act: impl FnOnce(List<'_, S>) -> R) -> R {
    act(List::new(&mut [const { MaybeUninit::uninit() }; MOST_SLICES]))
}

//! The list of slices for one system call, on the stack.
#![expect(unsafe_code, reason = "what is not used of a list is not initialised")]
// UNSAFETY: a list of 20 slices that is cleared for each frame costs as much as all checks of a frame.

use std::mem::MaybeUninit;

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
    pub(crate) fn new(slots: &'l mut [MaybeUninit<S>]) -> Self {
        Self { slots, wanted: 0 }
    }

    /// Adds a slice. One too many is counted all the same, so that an error can tell how many it takes.
    #[inline(always)]
    pub(crate) fn push(&mut self, slice: S) {
        if let Some(slot) = self.slots.get_mut(self.wanted) {
            slot.write(slice);
        }
        self.wanted += 1;
    }

    /// The slices, or how many there would have been.
    #[inline(always)]
    pub(crate) fn slices(&self) -> Result<&[S], usize> {
        let used = std::ptr::from_ref(self.slots.get(..self.wanted).ok_or(self.wanted)?) as *const [S];
        // SAFETY: points at `wanted` slots of this list, borrowed like `self`, each of which `push` has written before it
        // counted it; a `MaybeUninit` is laid out like what it holds.
        Ok(unsafe { &*used })
    }
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

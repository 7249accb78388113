//! The list of slices for one system call, on the stack.

/// What nearly every guest stays below: a frame of 64 KiB in 4 KiB pages, with its headers apart.
const COMMON: usize = 20;
/// The largest list any system takes in one call (`IOV_MAX` on Linux, illumos and the BSDs).
pub(crate) const MOST_SLICES: usize = 1024;

/// Slices of one kind, in order.
#[derive(Debug)]
pub(crate) struct List<'l, S> {
    slots: &'l mut [S],
    wanted: usize,
}

impl<S: Copy> List<'_, S> {
    /// Adds a slice. One too many is counted all the same, so that an error can tell how many it takes.
    #[inline]
    pub(crate) fn push(&mut self, slice: S) {
        if let Some(slot) = self.slots.get_mut(self.wanted) {
            *slot = slice;
        }
        self.wanted += 1;
    }

    /// The slices, or how many there would have been.
    #[inline]
    pub(crate) fn slices(&self) -> Result<&[S], usize> {
        self.slots.get(..self.wanted).ok_or(self.wanted)
    }
}

/// Calls `act` with an empty list that has room for `count` slices.
#[inline(always)]
pub(crate) fn with_list<S: Copy, R>(empty: S, count: usize, act: impl FnOnce(List<'_, S>) -> R) -> R {
    if count <= COMMON {
        act(List { slots: &mut [empty; COMMON], wanted: 0 })
    } else {
        with_long_list(empty, act)
    }
}

/// Kept apart, so that a long list on the stack burdens nobody who needs none.
#[cold]
#[inline(never)]
fn with_long_list<S: Copy, R>(empty: S, act: impl FnOnce(List<'_, S>) -> R) -> R {
    act(List { slots: &mut [empty; MOST_SLICES], wanted: 0 })
}

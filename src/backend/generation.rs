//! Whether the interface is there.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of one attachment of the interface, as its user saw it before a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// Each attachment has a number of its own. The number is even while the interface is there, and odd once it is gone. A
/// thread that finds an attachment gone must not end the one that has replaced it meanwhile.
#[derive(Debug, Default)]
pub(super) struct Generations(AtomicU64);

impl Generations {
    /// The attachment of this moment; `None` while the interface is gone.
    #[inline]
    pub fn current(&self) -> Option<Generation> {
        let number = self.0.load(Ordering::Acquire);
        (number & 1 == 0).then_some(Generation(number))
    }

    /// Notes that the interface is gone, unless another one is there by now; `true` the first time.
    pub fn lost(&self, seen: Generation) -> bool {
        self.0.compare_exchange(seen.0, seen.0 | 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Notes that the interface was attached again.
    pub fn renew(&self) {
        let next = |number: u64| Some((number | 1).wrapping_add(1));
        // It cannot fail: there is a next number to each.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

#[cfg(test)]
mod tests {
    use super::Generations;

    #[test]
    fn a_late_finder_does_not_end_the_next_attachment() {
        let generations = Generations::default();
        let (early, late) = (generations.current().unwrap(), generations.current().unwrap());
        assert!(generations.lost(early));
        assert_eq!(generations.current(), None);
        generations.renew();
        assert!(!generations.lost(late), "it saw the one before");
        let new = generations.current().expect("attached again");
        assert!(generations.lost(new));
        assert!(!generations.lost(new), "only the first time");
    }

    #[test]
    fn an_attachment_that_nobody_missed_is_another_one_too() {
        let generations = Generations::default();
        let seen = generations.current().unwrap();
        generations.renew();
        assert!(!generations.lost(seen));
        assert!(generations.current().is_some());
    }
}

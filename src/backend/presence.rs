//! Whether the interface is there.

use std::sync::atomic::{AtomicU64, Ordering};

/// One attachment of the interface, as its user saw it before a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attachment(u64);

/// Each attachment has a number of its own, even while the interface is there and odd once it is gone. Who finds one gone
/// that has been replaced meanwhile must not end the new one.
#[derive(Debug, Default)]
pub(crate) struct Presence(AtomicU64);

impl Presence {
    /// The attachment of this moment; `None` while the interface is gone.
    #[inline]
    pub(crate) fn seen(&self) -> Option<Attachment> {
        let number = self.0.load(Ordering::Acquire);
        (number & 1 == 0).then_some(Attachment(number))
    }

    /// Notes that the interface is gone, unless another one is there by now; `true` the first time.
    pub(crate) fn lost(&self, seen: Attachment) -> bool {
        self.0.compare_exchange(seen.0, seen.0 | 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Notes that the interface was attached again.
    pub(crate) fn renew(&self) {
        let next = |number: u64| Some((number | 1).wrapping_add(1));
        // It cannot fail: there is a next number to each.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

#[cfg(test)]
mod tests {
    use super::Presence;

    #[test]
    fn a_late_finder_does_not_end_the_next_attachment() {
        let presence = Presence::default();
        let (early, late) = (presence.seen().unwrap(), presence.seen().unwrap());
        assert!(presence.lost(early));
        assert_eq!(presence.seen(), None);
        presence.renew();
        assert!(!presence.lost(late), "it saw the one before");
        let new = presence.seen().expect("attached again");
        assert!(presence.lost(new));
        assert!(!presence.lost(new), "only the first time");
    }

    #[test]
    fn an_attachment_that_nobody_missed_is_another_one_too() {
        let presence = Presence::default();
        let seen = presence.seen().unwrap();
        presence.renew();
        assert!(!presence.lost(seen));
        assert!(presence.seen().is_some());
    }
}

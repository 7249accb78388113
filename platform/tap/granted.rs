//! The offloads in force, readable without a lock.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::wire::Offload;

/// An [`Offload`] whose flags can change; its header length cannot.
#[derive(Debug)]
pub(super) struct Granted {
    header_len: usize,
    flags: AtomicU8,
    /// Held by whoever changes them, so that nobody records another one's outcome.
    changing: Mutex<()>,
}

impl Granted {
    pub(super) fn new(offload: Offload) -> Self {
        Self { header_len: offload.header_len, flags: AtomicU8::new(pack(offload)), changing: Mutex::new(()) }
    }

    /// Relaxed: the flags say what frames may bring, and order nothing else.
    pub(super) fn get(&self) -> Offload {
        let flags = self.flags.load(Ordering::Relaxed);
        let has = |bit: u8| flags & (1 << bit) != 0;
        Offload {
            header_len: self.header_len,
            checksum: has(0),
            tcp4: has(1),
            tcp6: has(2),
            tcp_ecn: has(3),
            udp: has(4),
        }
    }

    /// Makes a change and records the offloads it left in force; an error leaves the record as it was.
    pub(super) fn change<T, E>(&self, make: impl FnOnce() -> Result<(T, Offload), E>) -> Result<T, E> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, offload) = make()?;
        self.flags.store(pack(offload), Ordering::Relaxed);
        Ok(made)
    }
}

fn pack(offload: Offload) -> u8 {
    let flags = [offload.checksum, offload.tcp4, offload.tcp6, offload.tcp_ecn, offload.udp];
    flags.into_iter().enumerate().fold(0, |packed, (bit, flag)| packed | u8::from(flag) << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_back_but_for_the_header() {
        let granted = Granted::new(Offload::ALL);
        assert_eq!(granted.get(), Offload::ALL);
        for change in [
            |offload: &mut Offload| offload.checksum = false,
            |offload: &mut Offload| offload.tcp4 = false,
            |offload: &mut Offload| offload.tcp6 = false,
            |offload: &mut Offload| offload.tcp_ecn = false,
            |offload: &mut Offload| offload.udp = false,
        ] {
            let mut offload = Offload::ALL;
            change(&mut offload);
            let changed: Result<(), ()> = granted.change(|| Ok(((), offload)));
            assert_eq!((changed, granted.get()), (Ok(()), offload));
            let failed: Result<(), i32> = granted.change(|| Err(5));
            assert_eq!((failed, granted.get()), (Err(5), offload));
        }
        let changed: Result<(), ()> = granted.change(|| Ok(((), Offload::NONE)));
        assert_eq!(changed, Ok(()));
        assert_eq!(granted.get().header_len, 12);
    }
}

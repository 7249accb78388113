//! Virtual time, and what happens in it by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kernel::Kernel;
use crate::kernel::interface::{Address, InterfaceId};

/// Something an interface does later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An ARP probe of duplicate address detection.
    Probe { unit: u32 },
    /// An ARP announcement; the last of a row repeats after a long time.
    Announce { unit: u32, repeats: bool },
    /// An ARP request for a neighbour that has not answered, and how many may follow.
    Resolve { target: Address, left: u32 },
    /// A neighbour solicitation of duplicate address detection.
    Solicit { unit: u32 },
    /// An unsolicited neighbour advertisement.
    Advertise { unit: u32 },
    /// A multicast listener report.
    Report { unit: u32 },
    /// Another try after a duplicate address.
    Recover { unit: u32 },
}

impl Event {
    fn unit(&self) -> Option<u32> {
        match self {
            Self::Probe { unit }
            | Self::Announce { unit, .. }
            | Self::Solicit { unit }
            | Self::Advertise { unit }
            | Self::Report { unit }
            | Self::Recover { unit } => Some(*unit),
            Self::Resolve { .. } => None,
        }
    }
}

/// The clock, in milliseconds since boot, and the events to come in order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    now: u64,
    due: BTreeMap<(u64, u64), (InterfaceId, Event)>,
    last: u64,
}

impl Timers {
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn after(&mut self, milliseconds: u64, interface: InterfaceId, event: Event) {
        self.last += 1;
        self.due.insert((self.now + milliseconds, self.last), (interface, event));
    }

    pub(super) fn forget(&mut self, interface: InterfaceId) {
        self.due.retain(|_, (owner, _)| *owner != interface);
    }

    pub(super) fn forget_unit(&mut self, interface: InterfaceId, unit: u32) {
        self.due.retain(|_, (owner, event)| *owner != interface || event.unit() != Some(unit));
    }

    fn next_at(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Moves the clock, never back.
    pub(super) fn reach(&mut self, at: u64) {
        self.now = self.now.max(at);
    }

    fn next_until(&mut self, end: u64) -> Option<(InterfaceId, Event)> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= end)?;
        let ((at, _), event) = entry.remove_entry();
        self.now = self.now.max(at);
        Some(event)
    }
}

impl Kernel {
    /// Lets virtual time pass: the driver serves what is queued, then everything due happens in its order.
    pub fn advance(&mut self, duration: Duration) {
        self.serve();
        let end = self.timers.now + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        loop {
            self.advance_datalinks(self.timers.next_at().unwrap_or(end).min(end));
            let Some((interface, event)) = self.timers.next_until(end) else { break };
            self.happen(interface, event);
        }
        self.timers.now = end;
    }

    /// Virtual time since boot.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.timers.now)
    }

    fn happen(&mut self, id: InterfaceId, event: Event) {
        match event {
            Event::Probe { unit } => self.send_probe(id, unit),
            Event::Announce { unit, repeats } => self.send_announcement(id, unit, repeats),
            Event::Resolve { target, left } => self.resolve_again(id, &target, left),
            Event::Solicit { unit } => self.send_solicitation(id, unit),
            Event::Advertise { unit } => self.send_advertisement(id, unit),
            Event::Report { unit } => self.send_report(id, unit),
            Event::Recover { unit } => self.recover(id, unit),
        }
    }
}

//! The machine around the card: what is started, and stopped in the reverse order.

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use smoltcp::wire::Ipv4Cidr;
use tap_plumb::{Backend, Tap, Threads};

use crate::card::Card;
use crate::table::Table;
use crate::{Event, Os, stack};

/// A running guest.
pub(crate) struct Machine {
    backend: Arc<Backend>,
    card: Arc<Card>,
    guest: JoinHandle<()>,
    threads: Threads,
    /// The host's own counters when the guest started.
    before: Option<HostCounters>,
}

/// What the host's kernel counted on the interface.
#[derive(Clone, Copy)]
pub(crate) struct HostCounters {
    /// Frames it handed over to the TAP's reader.
    pub(crate) handed_over: u64,
    /// Frames it took from the TAP's writer.
    pub(crate) taken: u64,
}

impl Machine {
    pub(crate) fn start(tap: Tap, address: Ipv4Cidr, events: Sender<Event>) -> Result<Self, Box<dyn Error>> {
        let before = host_counters(&tap);
        let backend = Arc::new(Backend::new(tap));
        let card = Card::new(Arc::clone(&backend), events);
        let guest_card = Arc::clone(&card);
        let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&card) as _)?;
        let guest = thread::Builder::new().name("guest".into());
        let guest = guest.spawn(move || stack::run(&guest_card, address))?;
        Ok(Self { backend, card, guest, threads, before })
    }

    /// Powers the guest off, detaches the TAP, and tells what was counted.
    pub(crate) fn stop(self) -> Result<Table, Box<dyn Error>> {
        self.card.unplug();
        self.guest.join().map_err(|_| "the guest's thread panicked")?;
        self.threads.stop()?;
        drop((self.threads, self.card));
        let statistics = self.backend.statistics();
        let after = host_counters(self.backend.tap());
        let backend = Arc::into_inner(self.backend).ok_or("somebody still holds the backend")?;
        backend.into_tap().detach()?;
        let host = self.before.zip(after).map(|(before, after)| HostCounters {
            handed_over: after.handed_over - before.handed_over,
            taken: after.taken - before.taken,
        });
        Ok(Table::new(statistics, host))
    }
}

fn host_counters(tap: &Tap) -> Option<HostCounters> {
    Os::host_counters(tap.name().ok()?.as_str()?)
}

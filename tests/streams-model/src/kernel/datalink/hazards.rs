//! What a data link's user must not do, though the kernel lets it: some of it harms the machine or its network.

use crate::kernel::Kernel;
use crate::kernel::datalink::stream::{PROMISC_MULTI, PROMISC_PHYS, PROMISC_RX_ONLY};
use crate::kernel::datalink::{Bufmod, DatalinkStream, Mac};
use crate::kernel::stream::StreamId;

/// The invariant these suspicions are about.
const INVARIANT: u8 = 8;

impl Kernel {
    /// Lets what would harm a real machine happen instead of panicking: for replaying what was observed with it.
    pub fn allow_datalink_hazards(&mut self) {
        self.settings.datalink_hazards_allowed = true;
    }

    pub(super) fn hazard(&self, reason: &str) {
        if !self.settings.datalink_hazards_allowed {
            self.crash(reason);
        }
    }

    /// Looks at a stream that is about to be bound.
    pub(super) fn watch_bind(&self, id: StreamId) {
        self.watch_chunks(id);
    }

    /// Frames would be held back for ever.
    fn watch_chunks(&self, id: StreamId) {
        let stream = self.streams.get(&id);
        let holds = stream.is_some_and(|stream| stream.bufmods.iter().any(Bufmod::holds_for_ever));
        if holds {
            self.hazard(
                "bufmod has a chunk size and no time limit on a bound stream: it holds frames back for ever",
            );
        }
    }

    /// Looks at a bound stream when its user asks for what has come.
    pub(in crate::kernel) fn watch_reading(&self, id: StreamId) {
        if self.datalink(id).is_some_and(DatalinkStream::is_bound) {
            self.watch_chunks(id);
        }
    }

    /// Looks at what a bound stream gets.
    pub(super) fn watch_promiscuity(&mut self, id: StreamId) {
        let Some(levels) = self.datalink(id).filter(|stream| stream.is_bound()).map(|stream| stream.promisc)
        else {
            return;
        };
        if levels & PROMISC_PHYS != 0 && levels & PROMISC_RX_ONLY == 0 {
            self.hazard(
                "DL_PROMISC_PHYS without DL_PROMISC_RX_ONLY: what a stream sends comes back to it, in a loop",
            );
        }
        match levels {
            PROMISC_MULTI => self.suspect(INVARIANT, "DL_PROMISC_MULTI alone: each broadcast arrives twice"),
            PROMISC_RX_ONLY => self.suspect(INVARIANT, "DL_PROMISC_RX_ONLY alone: nothing arrives"),
            _ if levels == PROMISC_MULTI | PROMISC_RX_ONLY => {
                self.suspect(INVARIANT, "DL_PROMISC_MULTI and _RX_ONLY: no unicast frame arrives");
            }
            _ => {}
        }
    }

    pub(super) fn watch_address(&self, address: Mac) {
        if address == [0; 6] {
            self.hazard("DL_SET_PHYS_ADDR_REQ gives the link the address zero, for everybody and for good");
        }
    }
}

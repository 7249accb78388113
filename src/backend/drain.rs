//! Queued frames that are dropped: the guest's link was down, or the backend was suspended.

use std::os::fd::AsFd;

use log::{debug, info};

use super::Backend;
use super::error::ReceiveError;
use super::generation::Generation;
use super::link::LinkState;
use super::statistics::Counter;
use crate::memory::{NOWHERE_LEN, nowhere};
use crate::platform::{ReadFault, frame_io};

/// A kernel queue is never longer; it bounds a drain while the host keeps sending.
const MOST_DISCARDED: u64 = 65536;

impl Backend {
    /// Plugs the guest's virtual cable in or out. While it is out, frames are dropped both ways and counted; when it
    /// goes in, what the host queued meanwhile is dropped first. The host sees it as carrier, where it can.
    ///
    /// A thread that receives at that moment can end the drop early on an illumos socket, which gives nothing to the
    /// second of two readers. What is left there is delivered.
    pub fn set_link_state(&self, state: LinkState) {
        let drain = || {
            self.discard(&self.counters.receive.link_down);
        };
        if self.link.set(state, drain) {
            info!("{self:?}: the guest's link is {state:?}");
            self.show_carrier();
        }
        if let Some(watcher) = self.watcher() {
            watcher.wake();
        }
    }

    /// Shows the host the guest's link as carrier; again, where another thread changes the link meanwhile.
    pub(super) fn show_carrier(&self) {
        loop {
            let up = self.link.is_up();
            // The guest's link is ours to cut; that the host cannot show it is no failure.
            if let Err(error) = self.tap.set_carrier(up) {
                debug!("carrier of {self:?} left alone: {error}");
            }
            if self.link.is_up() == up {
                return;
            }
        }
    }

    /// Drops what the host has queued, counts it as stale and says how many frames it was. For a loop of your own,
    /// after a pause; to be called by the thread that receives, or while none does.
    pub fn discard_queued(&self) -> u64 {
        self.link.drain(|| self.discard(&self.counters.receive.stale))
    }

    /// Drops what is queued while the guest's link is down. The link may come up meanwhile. Then the caller must read on,
    /// since an edge-triggered poller may have reported the frame already.
    #[cold]
    pub(super) fn ready_after_all(&self) -> Result<Option<Generation>, ReceiveError> {
        if self.is_gone() {
            return Err(ReceiveError::Gone);
        }
        self.link.drain_while_down(|| {
            self.discard(&self.counters.receive.link_down);
        });
        if self.is_gone() { Err(ReceiveError::Gone) } else { Ok(self.ready()) }
    }

    /// Reads and drops what is queued. If a read reports that the interface is gone, that is noted, since some interfaces
    /// report it only once. The caller makes sure that no two threads do this at once.
    #[cold]
    fn discard(&self, cause: &Counter) -> u64 {
        let Some(generation) = self.generation() else { return 0 };
        let mut scratch = [0; NOWHERE_LEN];
        let room = nowhere(&mut scratch);
        let mut count = 0;
        while count < MOST_DISCARDED {
            match frame_io::read(self.tap.as_fd(), &room).map_err(|errno| self.tap.read_fault(errno)) {
                Ok(0) if self.tap.nothing_is_the_end() => self.mark_gone(generation),
                Ok(taken) => {
                    self.count_received(taken.saturating_sub(self.vnet_len));
                    cause.one();
                    count += 1;
                    continue;
                }
                Err(ReadFault::Interrupted) => continue,
                Err(ReadFault::Gone) => self.mark_gone(generation),
                Err(ReadFault::Empty | ReadFault::Other) => {}
            }
            break;
        }
        if count > 0 {
            debug!("dropped {count} queued frames of {self:?}");
        }
        count
    }
}

//! The guest's network card: what a hypervisor writes to use the crate.
//!
//! The guest fills the transmit ring and kicks; the receive thread fills the receive ring. A ring that is full stops its
//! side until the other one has made room; nothing is dropped here.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tap_plumb::{Backend, Checksum, Frame, Frontend, Refused, TransmitError, Wait};

use crate::Event;

/// Locally administered; the TAP has an address of its own.
pub(crate) const GUEST_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// Frames a ring holds.
const RING: usize = 256;

/// A network card with one pair of rings.
pub(crate) struct Card {
    backend: Arc<Backend>,
    rings: Mutex<Rings>,
    changed: Condvar,
    events: Sender<Event>,
}

#[derive(Default)]
struct Rings {
    received: VecDeque<Vec<u8>>,
    to_transmit: VecDeque<Vec<u8>>,
    /// Counts what the guest may be waiting for.
    interrupts: u64,
    /// Counts the calls of `interrupt_wait`.
    interruptions: u64,
    unplugged: bool,
}

impl Card {
    pub(crate) fn new(backend: Arc<Backend>, events: Sender<Event>) -> Arc<Self> {
        Arc::new(Self { backend, rings: Mutex::default(), changed: Condvar::new(), events })
    }

    /// The longest frame the guest may send, with the Ethernet header.
    pub(crate) fn max_frame_len(&self) -> usize {
        let mtu = self.backend.tap().mtu().ok().and_then(|mtu| mtu.try_into().ok());
        mtu.unwrap_or(1500_usize) + 14
    }

    /// Guest's side: takes a received frame.
    pub(crate) fn take_received(&self) -> Option<Vec<u8>> {
        let frame = self.rings().received.pop_front()?;
        self.changed.notify_all();
        Some(frame)
    }

    /// Guest's side: whether there is room for a frame to transmit.
    pub(crate) fn can_transmit(&self) -> bool {
        self.rings().to_transmit.len() < RING
    }

    /// Guest's side: puts a frame into the transmit ring and kicks.
    pub(crate) fn transmit(&self, frame: Vec<u8>) {
        self.rings().to_transmit.push_back(frame);
        self.flush();
    }

    /// Guest's side: the number of interrupts so far.
    pub(crate) fn interrupts(&self) -> u64 {
        self.rings().interrupts
    }

    /// Guest's side: sleeps until there was another interrupt than `seen`, at most for `time`. `false`: power off.
    pub(crate) fn sleep(&self, seen: u64, time: Duration) -> bool {
        let idle = |rings: &mut Rings| rings.interrupts == seen && !rings.unplugged;
        let rings = self.changed.wait_timeout_while(self.rings(), time, idle);
        !rings.unwrap_or_else(PoisonError::into_inner).0.unplugged
    }

    /// Pulls the card's plug: the guest's thread is to end.
    pub(crate) fn unplug(&self) {
        self.rings().unplugged = true;
        self.changed.notify_all();
    }

    /// Sends what the ring holds. If another thread is sending, the backend calls `transmit_pending` when that thread has
    /// finished. So a frame which that thread did not see is not forgotten.
    fn flush(&self) {
        let Some(mut session) = self.backend.begin_transmit() else { return };
        while let Some(frame) = self.next_to_transmit() {
            let outcome = session.send(&Frame::new(&[IoSlice::new(&frame)]));
            // Any other failure drops the frame, and is counted by its cause.
            if outcome.is_err_and(|error| can_be_sent_later(&error)) {
                return self.rings().to_transmit.push_front(frame);
            }
        }
    }

    fn next_to_transmit(&self) -> Option<Vec<u8>> {
        let mut rings = self.rings();
        let frame = rings.to_transmit.pop_front();
        if rings.to_transmit.len() == RING - 1 && frame.is_some() {
            self.interrupt(rings);
        }
        frame
    }

    fn interrupt(&self, mut rings: MutexGuard<'_, Rings>) {
        rings.interrupts += 1;
        drop(rings);
        self.changed.notify_all();
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Frontend for Card {
    fn wait_receive_available(&self, timeout: Duration) -> Wait {
        let rings = self.rings();
        let before = rings.interruptions;
        let full = |rings: &mut Rings| rings.received.len() >= RING && rings.interruptions == before;
        let (rings, timed_out) =
            self.changed.wait_timeout_while(rings, timeout, full).unwrap_or_else(PoisonError::into_inner);
        match (rings.interruptions == before, timed_out.timed_out()) {
            (false, _) => Wait::Interrupted,
            (true, true) => Wait::TimedOut,
            (true, false) => Wait::Available,
        }
    }

    fn interrupt_wait(&self) {
        self.rings().interruptions += 1;
        self.changed.notify_all();
    }

    fn receive(&self, frame: &[IoSlice<'_>], _checksum: Checksum) -> Result<(), Refused> {
        let mut rings = self.rings();
        rings.received.push_back(frame.iter().flat_map(|slice| slice.iter()).copied().collect());
        self.interrupt(rings);
        Ok(())
    }

    fn transmit_pending(&self) {
        self.flush();
    }

    fn device_gone(&self) {
        // Nobody listens any more when the machine is being stopped.
        let _ = self.events.send(Event::Gone);
    }
}

/// Whether `transmit_pending` comes when the cause is gone.
fn can_be_sent_later(error: &TransmitError) -> bool {
    use TransmitError::{InterfaceDown, NoBufferSpace, WouldBlock};
    matches!(error, WouldBlock { .. } | NoBufferSpace { .. } | InterfaceDown { .. })
}

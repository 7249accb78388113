//! One ring for the length of a batch: chains taken from the driver, chains handed back, and whether it wants to know.

use std::sync::atomic::{Ordering, fence};

use vhost_user_backend::VringState;
use virtio_bindings::bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{DescriptorChain, Error, Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};

use crate::chain::Memory;

/// Flags and index, before the elements of either ring.
const HEADER: u64 = 4;
const AVAILABLE_ELEMENT: u64 = 2;
const USED_ELEMENT: u64 = 8;

/// A ring that the driver has set up and the hypervisor has enabled.
///
/// `virtio_queue` hands chains back one by one, which will not do for a frame in several of them: a driver that looks
/// between two would find the frame incomplete, and drop it. So the used side is written here.
pub struct Ring<'r> {
    state: &'r mut VringState,
    memory: &'r Memory,
    /// The used index up to which the driver was told, or did not want to be.
    told: u16,
}

impl<'r> Ring<'r> {
    /// Takes the ring for a batch; `None` while it is stopped, disabled, or lies outside the guest's memory.
    pub fn new(state: &'r mut VringState, memory: &'r Memory) -> Option<Self> {
        if !state.is_enabled() || !state.get_queue().ready() || !state.get_queue().is_valid(memory) {
            return None;
        }
        let told = state.get_queue().next_used();
        Some(Self { state, memory, told })
    }

    /// The guest's memory.
    #[must_use]
    pub fn memory(&self) -> &'r Memory {
        self.memory
    }

    /// Takes the next chain, if there is one.
    ///
    /// # Errors
    /// The driver claims more chains than the ring has.
    pub fn take(&mut self) -> Result<Option<DescriptorChain<&'r Memory>>, Error> {
        let memory = self.memory;
        Ok(self.queue().iter(memory)?.next())
    }

    /// Gives the last `count` chains back untouched; they come again.
    pub fn give_back(&mut self, count: usize) {
        let next = self.state.get_queue().next_avail();
        self.queue().set_next_avail(next.wrapping_sub(count as u16));
    }

    /// The most chains there can be at a time.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::from(self.state.get_queue().size())
    }

    /// Hands chains back as used, with the bytes written to each. The driver sees all of them or none.
    ///
    /// A head that is no descriptor of the ring cannot be named to the driver and is left out.
    ///
    /// # Errors
    /// The ring cannot be reached, which [`new`](Self::new) has ruled out.
    pub fn complete(&mut self, chains: impl IntoIterator<Item = (u16, u32)>) -> Result<(), Error> {
        let queue = self.state.get_queue();
        let (size, ring) = (queue.size(), queue.used_ring());
        let mut next = queue.next_used();
        for (head, len) in chains.into_iter().filter(|(head, _)| *head < size) {
            let at = ring + HEADER + u64::from(next % size) * USED_ELEMENT;
            // Two little-endian words: head, then length.
            let element = u64::from(len) << 32 | u64::from(head);
            self.memory.write_obj(element.to_le(), GuestAddress(at)).map_err(Error::GuestMemory)?;
            next = next.wrapping_add(1);
        }
        self.queue().set_next_used(next);
        // Release: a driver that sees the index sees the elements and the frames.
        self.memory.store(next.to_le(), GuestAddress(ring + 2), Ordering::Release).map_err(Error::GuestMemory)
    }

    /// Interrupts the driver if it wants that after what was completed; `true` when it was.
    ///
    /// # Errors
    /// The ring cannot be reached.
    pub fn interrupt(&mut self) -> Result<bool, Error> {
        let wanted = self.interrupt_wanted()?;
        self.told = self.state.get_queue().next_used();
        if wanted && let Err(error) = self.state.signal_used_queue() {
            // The hypervisor's end of the line: nothing to be done about it here.
            log::debug!("interrupting the guest: {error}");
        }
        Ok(wanted)
    }

    fn interrupt_wanted(&self) -> Result<bool, Error> {
        let queue = self.state.get_queue();
        let now = queue.next_used();
        if now == self.told {
            return Ok(false);
        }
        // The index must be out before the driver's wish is read, or both sides could wait for the other.
        fence(Ordering::SeqCst);
        let flags_at = queue.avail_ring();
        let read = |at| self.memory.load(GuestAddress(at), Ordering::Relaxed).map(u16::from_le);
        if !queue.event_idx_enabled() {
            let flags = read(flags_at).map_err(Error::GuestMemory)?;
            return Ok(flags & VRING_AVAIL_F_NO_INTERRUPT as u16 == 0);
        }
        let event_at = flags_at + HEADER + u64::from(queue.size()) * AVAILABLE_ELEMENT;
        let event = read(event_at).map_err(Error::GuestMemory)?;
        // Virtio 1.2, 2.7.7.2: whether `event` is one of the entries used since the driver was last told.
        Ok(now.wrapping_sub(event).wrapping_sub(1) < now.wrapping_sub(self.told))
    }

    /// Asks the driver not to kick while the ring is being worked on.
    pub fn hush(&mut self) {
        let memory = self.memory;
        // It is a wish, which a driver may ignore; that it could not be written down costs kicks, no more.
        let _ = self.queue().disable_notification(memory);
    }

    /// Asks the driver to kick for the next chain; `true` when there is one already.
    ///
    /// # Errors
    /// The ring cannot be reached.
    pub fn listen(&mut self) -> Result<bool, Error> {
        let memory = self.memory;
        self.queue().enable_notification(memory)
    }

    fn queue(&mut self) -> &mut Queue {
        self.state.get_queue_mut()
    }
}

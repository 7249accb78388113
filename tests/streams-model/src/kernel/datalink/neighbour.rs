//! What others on the network do, and what reached them.

use crate::abi::Errno;
use crate::kernel::Kernel;
use crate::kernel::datalink::offload::{Offload, Packet};

impl Kernel {
    /// Another user of a link sends a frame: a neighbour, when the link is another than the process'.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn link_sends(&mut self, link: &str, frame: &[u8]) -> Result<(), Errno> {
        self.link_sends_with(link, frame, Offload::default())
    }

    /// The same, with work left to the hardware: IP on a neighbour.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn link_sends_with(&mut self, link: &str, frame: &[u8], left: Offload) -> Result<(), Errno> {
        let id = self.link_named(link)?;
        if self.link_of(id).is_some_and(|link| link.may_send(frame)) {
            self.send_limited(id, Packet { frame: frame.to_vec(), left });
        }
        Ok(())
    }

    /// A frame comes in from the wire of a NIC.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn wire_brings(&mut self, nic: &str, frame: &[u8]) -> Result<(), Errno> {
        let id = self.link_named(nic)?;
        self.come_from_wire(id, frame);
        Ok(())
    }

    /// Takes the frames that left by the wire of a NIC.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn take_wire_frames(&mut self, nic: &str) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(std::mem::take(&mut self.named_link_mut(nic)?.on_the_wire))
    }

    /// Takes the frames that reached a link, whoever reads them; what its promiscuous streams got beyond is left out.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn take_arrived_frames(&mut self, link: &str) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(std::mem::take(&mut self.named_link_mut(link)?.arrived))
    }

    /// A client inside the kernel, as viona or a bridge is one, takes a link's address.
    ///
    /// # Errors
    /// `ENOENT`; `EBUSY` while a stream or another such client has it.
    pub fn take_link(&mut self, link: &str) -> Result<(), Errno> {
        let id = self.link_named(link)?;
        let taken = self.streams_are_active(id) || self.link_of(id).is_some_and(|link| link.kernel_client);
        if taken {
            return Err(Errno::EBUSY);
        }
        self.named_link_mut(link)?.kernel_client = true;
        Ok(())
    }

    /// The client inside the kernel gives the link back.
    ///
    /// # Errors
    /// `ENOENT`
    pub fn release_link(&mut self, link: &str) -> Result<(), Errno> {
        self.named_link_mut(link)?.kernel_client = false;
        Ok(())
    }
}

//! What others on the network do, what reached them, and what a test sees of the links: their part of the machine's picture.

use crate::abi::Errno;
use crate::kernel::Kernel;
use crate::kernel::datalink::offload::{Offload, Packet};
use crate::kernel::datalink::{Link, LinkClass, LinkId, Mac};

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

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatalinkState {
    /// Its name.
    pub name: String,
    /// What it is.
    pub class: LinkClass,
    /// What a vnic lies over.
    pub over: Option<String>,
    /// Its address now.
    pub address: Mac,
    /// Its MTU.
    pub mtu: u32,
    /// Streams open on it.
    pub streams: usize,
    /// How many times its streams asked the link below to let every frame in.
    pub promiscuity: usize,
    /// Group addresses its streams have enabled.
    pub groups: Vec<Mac>,
    /// Whether its streams have claimed its address.
    pub claimed: bool,
}

impl Kernel {
    /// Every link, in the order they were made.
    pub fn datalink_states(&self) -> Vec<DatalinkState> {
        self.datalinks.links.iter().map(|(id, link)| self.datalink_state(*id, link)).collect()
    }

    fn datalink_state(&self, id: LinkId, link: &Link) -> DatalinkState {
        let streams = || self.datalink_streams().filter(|(_, stream)| stream.link == Some(id));
        let mut groups: Vec<_> = streams().flat_map(|(_, stream)| stream.groups.iter().copied()).collect();
        groups.sort_unstable();
        groups.dedup();
        DatalinkState {
            name: link.name.clone(),
            class: link.class,
            over: link.over.and_then(|over| self.link_of(over)).map(|over| over.name.clone()),
            address: link.address,
            mtu: link.mtu,
            streams: streams().count(),
            promiscuity: streams().filter(|(_, stream)| stream.needs_every_frame()).count(),
            groups,
            claimed: self.streams_are_active(id),
        }
    }

    /// How many times streams asked a link, itself or the vnics over it, to let every frame in.
    pub(super) fn promiscuity_of(&self, switch: LinkId) -> usize {
        let on_it = |link: Option<LinkId>| link.is_some_and(|link| self.switch_of(link) == switch);
        self.datalink_streams().filter(|(_, stream)| on_it(stream.link) && stream.needs_every_frame()).count()
    }
}

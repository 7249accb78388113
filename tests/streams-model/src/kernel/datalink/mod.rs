//! Data links: network interfaces as `/dev/net/NAME` shows them, each with the streams that are open on it.
//!
//! A link is a NIC, an etherstub or a vnic over one of the two. The switch joins the vnics over a link with each other,
//! with the link itself and, over a NIC, with the wire. A stream is opened on one link and speaks DLPI.

mod acks;
mod administrator;
mod arrival;
mod bandwidth;
mod bufmod;
mod frame;
mod hazards;
mod neighbour;
mod notify;
mod offload;
mod primitives;
mod requests;
mod stream;
mod switch;
mod transmit;

use std::collections::BTreeMap;

pub use frame::Mac;
pub use neighbour::DatalinkState;
pub use offload::{Offload, Offloads};

pub(crate) use bufmod::Bufmod;
pub(crate) use stream::{DatalinkStream, is_datalink};

use crate::abi::Errno;
use crate::kernel::Kernel;
use bandwidth::Bandwidth;
use transmit::Protection;

/// A link's number inside the model.
pub(super) type LinkId = u32;

/// The first number links get; no PPA can be as high.
const FIRST_LINK: LinkId = 1000;

/// MTU of a link nobody has set.
const DEFAULT_MTU: u32 = 9000;

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkClass {
    /// A NIC: a wire may be plugged in.
    Nic,
    /// A switch without a wire.
    Etherstub,
    /// A virtual NIC over one of the two others.
    Vnic,
}

/// One link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    name: String,
    class: LinkClass,
    /// What a vnic lies over.
    over: Option<LinkId>,
    address: Mac,
    /// The address it was made with.
    factory: Mac,
    /// The VLAN of a vnic, 0 for none.
    vid: u16,
    mtu: u32,
    zone: u32,
    carrier: bool,
    /// Whether the streams of a vnic were last told that it is up.
    told_up: bool,
    /// The other end of a NIC's wire.
    peer: Option<LinkId>,
    protection: Protection,
    bandwidth: Option<Bandwidth>,
    offloads: Offloads,
    /// Whether a client inside the kernel has the primary address.
    kernel_client: bool,
    /// Frames that left by the wire of a NIC.
    on_the_wire: Vec<Vec<u8>>,
    /// Frames that the switch gave to this link, whoever reads them.
    arrived: Vec<Vec<u8>>,
}

impl Link {
    fn new(name: &str, class: LinkClass, address: Mac) -> Self {
        Self {
            name: name.to_owned(),
            class,
            over: None,
            address,
            factory: address,
            vid: 0,
            mtu: DEFAULT_MTU,
            zone: 0,
            carrier: true,
            told_up: true,
            peer: None,
            protection: Protection::default(),
            bandwidth: None,
            offloads: Offloads::default(),
            kernel_client: false,
            on_the_wire: Vec::new(),
            arrived: Vec::new(),
        }
    }
}

/// Every link, in the order they were made.
#[derive(Clone, Debug)]
pub(super) struct Datalinks {
    links: BTreeMap<LinkId, Link>,
    next: LinkId,
}

impl Default for Datalinks {
    fn default() -> Self {
        Self { links: BTreeMap::new(), next: FIRST_LINK }
    }
}

impl Kernel {
    fn link_of(&self, id: LinkId) -> Option<&Link> {
        self.datalinks.links.get(&id)
    }

    fn link_of_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.datalinks.links.get_mut(&id)
    }

    fn link_named(&self, name: &str) -> Result<LinkId, Errno> {
        let found = self.datalinks.links.iter().find(|(_, link)| link.name == name);
        found.map(|(id, _)| *id).ok_or(Errno::ENOENT)
    }

    fn named_link_mut(&mut self, name: &str) -> Result<&mut Link, Errno> {
        let id = self.link_named(name)?;
        self.link_of_mut(id).ok_or(Errno::ENOENT)
    }

    /// The link whose switch a link is on: what a vnic lies over, else itself.
    fn switch_of(&self, id: LinkId) -> LinkId {
        self.link_of(id).and_then(|link| link.over).unwrap_or(id)
    }

    /// The clients of a switch: the link itself and the vnics over it.
    fn clients_of(&self, switch: LinkId) -> Vec<LinkId> {
        let is_client = |(id, link): &(&LinkId, &Link)| **id == switch || link.over == Some(switch);
        self.datalinks.links.iter().filter(is_client).map(|(id, _)| *id).collect()
    }

    /// Whether a client has its address in the switch. A vnic always has; the link itself while somebody uses it.
    fn is_active(&self, id: LinkId) -> bool {
        let Some(link) = self.link_of(id) else { return false };
        link.class == LinkClass::Vnic || link.kernel_client || self.streams_are_active(id)
    }

    /// The streams open on a link.
    fn streams_of(&self, id: LinkId) -> Vec<crate::kernel::stream::StreamId> {
        let on_it = |stream: &DatalinkStream| stream.link == Some(id);
        let streams = self.streams.iter();
        let open = streams.filter(|(_, stream)| stream.datalink.as_deref().is_some_and(on_it));
        open.map(|(stream, _)| *stream).collect()
    }

    /// Whether any stream of the link has claimed its address.
    fn streams_are_active(&self, id: LinkId) -> bool {
        self.datalink_streams().any(|(_, stream)| stream.link == Some(id) && stream.claims > 0)
    }

    fn datalink_streams(&self) -> impl Iterator<Item = (crate::kernel::stream::StreamId, &DatalinkStream)> {
        self.streams.iter().filter_map(|(id, stream)| Some((*id, stream.datalink.as_deref()?)))
    }

    fn datalink(&self, id: crate::kernel::stream::StreamId) -> Option<&DatalinkStream> {
        self.streams.get(&id)?.datalink.as_deref()
    }

    fn datalink_mut(&mut self, id: crate::kernel::stream::StreamId) -> Option<&mut DatalinkStream> {
        self.streams.get_mut(&id)?.datalink.as_deref_mut()
    }
}

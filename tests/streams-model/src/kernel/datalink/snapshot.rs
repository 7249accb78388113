//! The part of the machine's picture that is about links.

use crate::kernel::Kernel;
use crate::kernel::datalink::{Link, LinkClass, LinkId, Mac};

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

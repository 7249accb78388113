//! What the data link driver keeps for one stream.

use std::collections::{BTreeSet, VecDeque};

use crate::abi;
use crate::kernel::datalink::{LinkClass, LinkId, Mac};
use crate::kernel::stream::{DlState, Message};

/// The levels of promiscuity, as bits.
pub(super) const PROMISC_PHYS: u8 = 1;
/// Every type of frame.
pub(super) const PROMISC_SAP: u8 = 2;
/// Every group address.
pub(super) const PROMISC_MULTI: u8 = 4;
/// No copies of what this link itself sends.
pub(super) const PROMISC_RX_ONLY: u8 = 8;

/// Where a bound stream is entered: under a type, or, bound while it wanted every type, under none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Under this type; 0 stands for every frame with a length field.
    Type(u16),
    /// Under the pseudo type of the promiscuous.
    EveryType,
    /// Bound to the type of VLAN tags: tagged frames come by a way of their own.
    Tags,
}

/// Whether the stream claims the link's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Undecided,
    Active,
    /// Asked for by `DL_PASSIVE_REQ`: it never claims it.
    Passive,
}

/// A primitive that waits for the driver's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) control: Vec<u8>,
    pub(super) data: Option<Vec<u8>>,
    /// What a planned fault answers in place of the driver.
    pub(super) answer: Option<Message>,
}

/// One stream on a link, or, in style 2, on none yet.
#[derive(Clone, Debug)]
pub(crate) struct DatalinkStream {
    pub(super) link: Option<LinkId>,
    /// Opened by the driver's name: it attaches by `DL_ATTACH_REQ`.
    pub(super) style_2: bool,
    pub(super) class: LinkClass,
    pub(super) state: DlState,
    pub(super) raw: bool,
    pub(super) sap: u16,
    pub(super) entry: Option<Entry>,
    pub(super) promisc: u8,
    pub(super) claim: Claim,
    /// How many things done on this stream need the link's address.
    pub(super) claims: u32,
    pub(super) groups: BTreeSet<Mac>,
    pub(super) notes: u32,
    pub(super) low_link: bool,
    /// Priority of what is sent, set by `DL_UDQOS_REQ`.
    pub(super) priority: u8,
    /// Stopped by flow control.
    pub(super) full: bool,
    pub(super) pending: VecDeque<Request>,
}

impl DatalinkStream {
    pub(super) fn new(class: LinkClass, link: Option<LinkId>) -> Self {
        Self {
            link,
            style_2: link.is_none(),
            class,
            state: if link.is_some() { DlState::Unbound } else { DlState::Unattached },
            raw: false,
            sap: 0,
            entry: None,
            promisc: 0,
            claim: Claim::Undecided,
            claims: 0,
            groups: BTreeSet::new(),
            notes: 0,
            low_link: false,
            priority: 0,
            full: false,
            pending: VecDeque::new(),
        }
    }

    pub(in crate::kernel) fn class(&self) -> LinkClass {
        self.class
    }

    /// Whether flow control stops what is written.
    pub(in crate::kernel) fn is_stopped(&self) -> bool {
        self.full
    }

    pub(super) fn is_bound(&self) -> bool {
        self.state == DlState::Idle
    }

    /// The levels that need copies from below; the option to leave one's own out does not.
    pub(super) fn copies(&self) -> u8 {
        self.promisc & !PROMISC_RX_ONLY
    }

    /// Whether the link below must let every frame in for this stream.
    pub(super) fn needs_every_frame(&self) -> bool {
        !matches!(self.copies(), 0 | PROMISC_SAP)
    }

    /// Whether only group frames are copied.
    pub(super) fn copies_groups_only(&self) -> bool {
        self.copies() == PROMISC_MULTI
    }
}

/// The bit of a level in `DL_PROMISCON_REQ`.
pub(super) fn level_bit(level: u32) -> Option<u8> {
    Some(match level {
        abi::DL_PROMISC_PHYS => PROMISC_PHYS,
        abi::DL_PROMISC_SAP => PROMISC_SAP,
        abi::DL_PROMISC_MULTI => PROMISC_MULTI,
        abi::DL_PROMISC_RX_ONLY => PROMISC_RX_ONLY,
        _ => return None,
    })
}

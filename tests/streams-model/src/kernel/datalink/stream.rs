//! What the data link driver keeps for one stream, from its opening by the link's name to its close.

use std::collections::{BTreeSet, VecDeque};

use crate::abi::{self, Errno};
use crate::kernel::Kernel;
use crate::kernel::datalink::{LinkClass, LinkId, Mac};
use crate::kernel::stream::{DlState, Message, StreamId};

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
    /// A request was lost: whoever waits for its answer waits in vain.
    pub(super) answer_is_lost: bool,
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
            answer_is_lost: false,
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

/// Where links have their names.
const FOLDER: &[u8] = b"/dev/net/";
/// Where a driver has its name, with or without a link's number behind it.
const DEVICES: &[(&[u8], LinkClass)] = &[(b"/dev/vnic", LinkClass::Vnic), (b"/dev/simnet", LinkClass::Nic)];

/// Whether a path is one of a data link, existing or not.
pub(crate) fn is_datalink(path: &[u8]) -> bool {
    path.starts_with(FOLDER) || device_of(path).is_some()
}

/// The driver a path names, and the number behind it.
fn device_of(path: &[u8]) -> Option<(LinkClass, Option<LinkId>)> {
    DEVICES.iter().find_map(|(device, class)| {
        let digits = std::str::from_utf8(path.strip_prefix(*device)?).ok()?;
        if digits.is_empty() { Some((*class, None)) } else { Some((*class, Some(digits.parse().ok()?))) }
    })
}

impl Kernel {
    /// What an open of a data link's path makes.
    pub(in crate::kernel) fn open_datalink(&self, path: &[u8]) -> Result<DatalinkStream, Errno> {
        let stream = match (path.strip_prefix(FOLDER), device_of(path)) {
            (Some(name), _) => self.stream_on(self.visible_link(name)?)?,
            (None, Some((class, None))) => DatalinkStream::new(class, None),
            (None, Some((class, Some(number)))) => {
                let stream = self.stream_on(number)?;
                if stream.class == class { stream } else { return Err(Errno::ENOENT) }
            }
            (None, None) => return Err(Errno::ENOENT),
        };
        if self.settings.privileges.net_rawaccess { Ok(stream) } else { Err(Errno::EACCES) }
    }

    fn stream_on(&self, link: LinkId) -> Result<DatalinkStream, Errno> {
        let class = self.link_of(link).ok_or(Errno::ENOENT)?.class;
        // An etherstub is a vnic over nothing to its driver.
        let driver = if class == LinkClass::Nic { LinkClass::Nic } else { LinkClass::Vnic };
        Ok(DatalinkStream::new(driver, Some(link)))
    }

    /// A zone sees its own links; the global zone sees all.
    fn visible_link(&self, name: &[u8]) -> Result<LinkId, Errno> {
        let id = self.link_named(std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?)?;
        let zone = self.settings.zone;
        let visible = self.link_of(id).is_some_and(|link| zone == 0 || link.zone == zone);
        if visible { Ok(id) } else { Err(Errno::ENOENT) }
    }

    /// Undoes everything the stream has done to its link, in whatever state it is.
    pub(in crate::kernel) fn close_datalink(&mut self, id: StreamId) {
        self.serve_stream(id);
        self.change_promiscuity(id, 0);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.datalink = None;
        }
    }
}

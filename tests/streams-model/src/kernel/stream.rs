//! One stream: its driver, the modules pushed on it, and what is queued at its head.

use std::collections::VecDeque;

use crate::abi::{self, Errno};
use crate::kernel::datalink::{Bufmod, DatalinkStream, LinkClass, is_datalink};
use crate::kernel::interface::{Family, InterfaceId};

/// A stream's number inside the model.
pub(crate) type StreamId = u32;

/// High-water mark of a stream head nobody raised (`STRHIGH`).
const DEFAULT_HIGH_WATER: usize = 5120;

/// What lies at the bottom of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Driver {
    /// `/dev/tap`: Ethernet.
    Tap,
    /// `/dev/tun`: bare IP.
    Tun,
    /// `/dev/udp`: the IPv4 multiplexor, also a UDP endpoint.
    Udp,
    /// `/dev/udp6`
    Udp6,
    /// `/dev/ip`
    Ip,
    /// The driver of a vnic or an etherstub.
    Vnic,
    /// The driver of a NIC.
    Nic,
    /// A datagram socket; no stream, but it takes the interface requests.
    Socket(Family),
}

impl Driver {
    /// The driver behind a device path.
    pub fn of_path(path: &[u8]) -> Option<Self> {
        match path {
            b"/dev/tap" => Some(Self::Tap),
            b"/dev/tun" => Some(Self::Tun),
            b"/dev/udp" => Some(Self::Udp),
            b"/dev/udp6" => Some(Self::Udp6),
            b"/dev/ip" => Some(Self::Ip),
            _ => None,
        }
    }

    /// Whether a path is a device of the model, whatever an open of it gives.
    pub fn is_device(path: &[u8]) -> bool {
        Self::of_path(path).is_some() || is_datalink(path)
    }

    pub(crate) fn of_class(class: LinkClass) -> Self {
        if class == LinkClass::Nic { Self::Nic } else { Self::Vnic }
    }

    /// The name `I_LIST` and `I_LOOK` give.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Tun => "tun",
            Self::Udp => "udp",
            Self::Udp6 => "udp6",
            Self::Ip => "ip",
            Self::Vnic => "vnic",
            Self::Nic => "simnet",
            Self::Socket(_) => "socket",
        }
    }

    /// The family in which this stream looks interface names up.
    pub(crate) fn family(self) -> Option<Family> {
        match self {
            Self::Udp | Self::Ip => Some(Family::V4),
            Self::Udp6 => Some(Family::V6),
            Self::Socket(family) => Some(family),
            Self::Tap | Self::Tun | Self::Vnic | Self::Nic => None,
        }
    }

    /// Whether lower streams can be linked under it.
    pub(crate) fn is_multiplexor(self) -> bool {
        matches!(self, Self::Udp | Self::Udp6 | Self::Ip)
    }

    /// Whether it is one of the two builds of the tuntap driver.
    pub(crate) fn is_tuntap(self) -> bool {
        matches!(self, Self::Tap | Self::Tun)
    }

    /// Whether it is the driver of data links.
    pub(crate) fn is_datalink(self) -> bool {
        matches!(self, Self::Vnic | Self::Nic)
    }
}

/// A module pushed on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// IP itself.
    Ip,
    /// An ip push that was interrupted while it waited: it stays, and cannot be closed.
    StuckIp,
    /// The real ARP module.
    Arp,
    /// What "arp" gives above ip or udp: passes everything through.
    Dummy,
    /// bufmod: gathers what comes up.
    Bufmod,
}

impl Module {
    /// The name `I_LIST` and `I_LOOK` give.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip | Self::StuckIp => "ip",
            Self::Arp => "arp",
            Self::Dummy => "dummymod",
            Self::Bufmod => "bufmod",
        }
    }
}

/// The type of a message queued at a stream head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// `M_DATA`
    Data,
    /// `M_PROTO`
    Proto,
    /// `M_PCPROTO`: high priority, at the front of the queue, and it withholds `POLLIN`.
    PcProto,
}

/// A message queued at a stream head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub kind: MessageKind,
    /// The control part of a protocol message.
    pub control: Option<Vec<u8>>,
    /// The data part.
    pub data: Option<Vec<u8>>,
}

impl Message {
    /// A data message.
    pub fn data(bytes: Vec<u8>) -> Self {
        Self { kind: MessageKind::Data, control: None, data: Some(bytes) }
    }

    /// A protocol message without data.
    pub fn proto(kind: MessageKind, control: Vec<u8>) -> Self {
        Self { kind, control: Some(control), data: None }
    }

    pub(crate) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Vec::len)
    }

    fn len(&self) -> usize {
        self.data_len() + self.control.as_ref().map_or(0, Vec::len)
    }
}

/// How `read(2)` treats message boundaries, `streamio(4I)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// A byte stream: frames are merged.
    Normal,
    /// One message a read; what does not fit is thrown away.
    MessageDiscard,
    /// One message a read; what does not fit stays.
    MessageNonDiscard,
}

/// How `read(2)` treats a protocol message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtoMode {
    Refuse,
    AsData,
    Discard,
}

/// State of a stream in the data link provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DlState {
    Unattached,
    Unbound,
    Idle,
}

/// What the tap driver keeps for one stream.
#[derive(Clone, Debug)]
pub(crate) struct Dl {
    pub(crate) ppa: Option<usize>,
    pub(crate) state: DlState,
    pub(crate) sap: u16,
    pub(crate) control: bool,
    pub(crate) raw: bool,
    pub(crate) promiscuous: bool,
}

/// One stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) driver: Driver,
    /// Top first.
    pub(crate) modules: Vec<Module>,
    pub(crate) queue: VecDeque<Message>,
    queued: usize,
    pub(crate) high_water: usize,
    pub(crate) read_mode: ReadMode,
    pub(crate) proto_mode: ProtoMode,
    pub(crate) hung_up: bool,
    pub(crate) error: Option<Errno>,
    pub(crate) linked: bool,
    pub(crate) dl: Dl,
    /// The interface whose IP (or, for an arp stream, ARP) side this is.
    pub(crate) interface: Option<InterfaceId>,
    /// An arp stream that was once told a name that exists is named for good.
    pub(crate) arp_named: bool,
    /// The PPA an arp stream attaches to when the interface comes up.
    pub(crate) arp_ppa: u32,
    /// UDP port a TPI bind gave.
    pub(crate) port: Option<u16>,
    /// What a data link's driver keeps.
    pub(crate) datalink: Option<Box<DatalinkStream>>,
    /// What each bufmod keeps, top first.
    pub(crate) bufmods: Vec<Bufmod>,
}

impl Stream {
    pub(crate) fn new(driver: Driver) -> Self {
        let dl = Dl {
            ppa: None,
            state: DlState::Unattached,
            sap: 0,
            control: false,
            raw: false,
            promiscuous: false,
        };
        Self {
            driver,
            modules: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
            high_water: DEFAULT_HIGH_WATER,
            read_mode: ReadMode::Normal,
            proto_mode: ProtoMode::Refuse,
            hung_up: false,
            error: None,
            linked: false,
            dl,
            interface: None,
            arp_named: false,
            arp_ppa: 0,
            port: None,
            datalink: None,
            bufmods: Vec::new(),
        }
    }

    /// Whether this module is somewhere on the stream.
    pub(crate) fn has(&self, module: Module) -> bool {
        self.modules.contains(&module)
    }

    /// Whether the first queue below the head is the tap driver's: then its packet sizes hold.
    pub(crate) fn writes_to_tuntap(&self) -> bool {
        self.driver.is_tuntap() && self.modules.is_empty()
    }

    /// Room at the stream head, as `canputnext(9F)` answers.
    pub(crate) fn can_put(&self) -> bool {
        self.queued < self.high_water
    }

    /// Queues a message. There is room for one of high priority: a second one is thrown away.
    pub(crate) fn put(&mut self, message: Message) {
        let urgent = |message: &Message| message.kind == MessageKind::PcProto;
        if self.datalink.is_some() && urgent(&message) && self.queue.front().is_some_and(urgent) {
            return;
        }
        self.queued += message.len();
        if message.kind == MessageKind::PcProto {
            let at = self.queue.iter().take_while(|queued| queued.kind == MessageKind::PcProto).count();
            self.queue.insert(at, message);
        } else {
            self.queue.push_back(message);
        }
    }

    pub(crate) fn take(&mut self) -> Option<Message> {
        let message = self.queue.pop_front()?;
        self.queued -= message.len();
        Some(message)
    }

    /// Puts the unread rest of a message back where it was.
    pub(crate) fn put_back(&mut self, message: Message) {
        self.queued += message.len();
        self.queue.push_front(message);
    }

    pub(crate) fn flush_read(&mut self) {
        self.queue.clear();
        self.queued = 0;
        self.flush_bufmods();
    }

    /// What `poll(2)` answers for the events asked.
    pub(crate) fn poll(&self, events: i16) -> i16 {
        if self.linked {
            return abi::POLLNVAL;
        }
        if self.error.is_some() {
            return abi::POLLERR;
        }
        let readable = match self.queue.front().map(|message| message.kind) {
            Some(MessageKind::PcProto) => abi::POLLPRI,
            Some(_) => abi::POLLIN | abi::POLLRDNORM,
            None => 0,
        };
        let stopped = self.datalink.as_deref().is_some_and(DatalinkStream::is_stopped);
        let writable = if stopped { 0 } else { abi::POLLOUT & events };
        let rest = if self.hung_up { abi::POLLHUP } else { writable };
        (readable & events) | rest
    }
}

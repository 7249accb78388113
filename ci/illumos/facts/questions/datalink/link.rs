//! Streams of a data link, so made that nothing which could harm a machine or its network can be asked of them.

use std::ffi::c_int;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::super::abi::{self, Request};
use super::super::device::message;
use super::super::facts::{Step, Stopped};
use super::super::stream::{Answer, Stream};
use super::name::LinkName;

pub(crate) const DL_UNBIND_REQ: u32 = 0x02;
pub(crate) const DL_DETACH_REQ: u32 = 0x0c;
pub(crate) const DL_PROMISCOFF_REQ: u32 = 0x20;
pub(crate) const DL_FACT_PHYS_ADDR: u32 = 0x01;
/// No primitive has this number.
pub(crate) const NO_PRIMITIVE: u32 = 0x7777;
const DL_PROMISC_PHYS: u32 = 0x01;

/// What may be asked. `DL_CAPABILITY_REQ` reads and writes past its end, `DL_PASSIVE_REQ` lets two have one link: they are
/// not here.
const ASKED: [u32; 11] = [
    abi::DL_INFO_REQ,
    abi::DL_BIND_REQ,
    DL_UNBIND_REQ,
    abi::DL_ATTACH_REQ,
    DL_DETACH_REQ,
    abi::DL_PROMISCON_REQ,
    DL_PROMISCOFF_REQ,
    abi::DL_PHYS_ADDR_REQ,
    abi::DL_SET_PHYS_ADDR_REQ,
    abi::DL_NOTIFY_REQ,
    NO_PRIMITIVE,
];

/// A longer write would be cut into several frames.
const LONGEST_WRITE: usize = 65536;
/// Room for every frame and more.
const ROOM: usize = 70_000;

/// A stream of a link, which is attached once it is open.
#[derive(Debug)]
pub(crate) struct Link(pub(crate) Stream);

impl Link {
    pub(crate) fn open(name: &LinkName) -> Result<Self, Errno> {
        Stream::open(&name.node()).map(Self)
    }

    /// A stream as the library makes it.
    pub(crate) fn station(name: &LinkName) -> Result<Self, Stopped> {
        let link = Self::open(name).step("open of a link")?;
        link.listen()?;
        Ok(link)
    }

    /// Frames as they are, of every type and to every group, one a read; and none that its own link sends.
    pub(crate) fn listen(&self) -> Result<(), Stopped> {
        self.raw().step("DLIOCRAW")?;
        for level in [abi::DL_PROMISC_RX_ONLY, abi::DL_PROMISC_SAP, abi::DL_PROMISC_MULTI] {
            self.obtain(&[abi::DL_PROMISCON_REQ, level], abi::DL_OK_ACK).step("DL_PROMISCON_REQ")?;
        }
        self.0.set_read_options(abi::RMSGD).step("I_SRDOPT")?;
        self.bind(0)
    }

    pub(crate) fn bind(&self, sap: u16) -> Result<(), Stopped> {
        self.obtain(&bind(sap), abi::DL_BIND_ACK).step("DL_BIND_REQ").map(drop)
    }

    /// `DLIOCRAW`
    pub(crate) fn raw(&self) -> Answer {
        self.0.ask_module(abi::DLIOCRAW, &mut ())
    }

    /// A request by `I_STR` that takes and gives a number.
    pub(crate) fn number(&self, request: Request, mut number: c_int) -> Result<c_int, Errno> {
        self.0.ask_module(request, &mut number).and(Ok(number))
    }

    /// Sends a request, whose answer is there once the stream is ready for it.
    ///
    /// # Panics
    /// For what may never be asked.
    pub(crate) fn put(&self, words: &[u32], tail: &[u8]) -> Result<(), Errno> {
        check(words, tail);
        self.0.put_urgent(&mut message(words, tail)).map(drop)
    }

    /// Asks, and takes the answer ahead of all frames.
    pub(crate) fn ask(&self, words: &[u32], tail: &[u8]) -> Result<Reply, Errno> {
        self.put(words, tail)?;
        self.0.wait(PollFlags::POLLPRI)?;
        self.take()
    }

    /// Asks to be told, which alone is answered behind the frames.
    pub(crate) fn ask_for_news(&self, news: u32) -> Result<Reply, Errno> {
        self.put(&[abi::DL_NOTIFY_REQ, news, 0], &[])?;
        self.0.wait(PollFlags::POLLIN | PollFlags::POLLPRI)?;
        self.take()
    }

    /// Takes what the driver says.
    pub(crate) fn take(&self) -> Result<Reply, Errno> {
        let message = self.0.get_message(512, ROOM)?;
        Ok(Reply { urgent: message.urgent, control: message.control.unwrap_or_default() })
    }

    /// Asks for what the rest has no meaning without.
    pub(crate) fn obtain(&self, words: &[u32], wanted: u32) -> Result<Reply, Errno> {
        let reply = self.ask(words, &[])?;
        if reply.word(0) == wanted { Ok(reply) } else { Err(Errno::EPROTO) }
    }

    pub(crate) fn address(&self, which: u32) -> Result<[u8; 6], Errno> {
        self.obtain(&[abi::DL_PHYS_ADDR_REQ, which], abi::DL_PHYS_ADDR_ACK)?.address(12).ok_or(Errno::EBADMSG)
    }

    pub(crate) fn set_address(&self, address: &[u8]) -> Result<Reply, Errno> {
        self.ask(&[abi::DL_SET_PHYS_ADDR_REQ, address.len() as u32, 12], address)
    }

    /// # Panics
    /// For a frame that would be cut into several.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<usize, Errno> {
        assert!(frame.len() <= LONGEST_WRITE, "{} bytes", frame.len());
        self.0.write(frame)
    }

    /// The lengths of what reads give until there is nothing more.
    pub(crate) fn drain(&self) -> Vec<usize> {
        std::iter::from_fn(|| self.0.read(ROOM).ok()).map(|frame| frame.len()).collect()
    }
}

/// The words of a `DL_BIND_REQ`; the service mode is half a word.
pub(crate) fn bind(sap: u16) -> [u32; 5] {
    let [first, second] = abi::DL_CLDLS.to_ne_bytes();
    [abi::DL_BIND_REQ, sap.into(), 0, u32::from_ne_bytes([first, second, 0, 0]), 0]
}

fn check(words: &[u32], tail: &[u8]) {
    assert!(words.first().is_some_and(|primitive| ASKED.contains(primitive)), "primitive {words:x?}");
    let every_station = words == [abi::DL_PROMISCON_REQ, DL_PROMISC_PHYS];
    assert!(!every_station, "DL_PROMISC_PHYS gives a link back what it sends");
    let no_station = words[0] == abi::DL_SET_PHYS_ADDR_REQ && tail.iter().all(|byte| *byte == 0);
    assert!(!no_station, "the address zero is taken");
}

/// A message of the driver's.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) urgent: bool,
    pub(crate) control: Vec<u8>,
}

impl Reply {
    /// One of its words; what is missing is told as all ones, which no answer has there.
    pub(crate) fn word(&self, index: usize) -> u32 {
        let bytes = self.control.get(4 * index..4 * index + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(u32::MAX, u32::from_ne_bytes)
    }

    pub(crate) fn address(&self, at: usize) -> Option<[u8; 6]> {
        self.control.get(at..at + 6)?.try_into().ok()
    }

    /// Its words: what it is, which request it is about, and of a refusal `dl_errno` and `dl_unix_errno`.
    pub(crate) fn said(&self) -> String {
        let said = match self.word(0) {
            abi::DL_OK_ACK => format!("DL_OK_ACK of {:#x}", self.word(1)),
            abi::DL_ERROR_ACK => {
                format!("DL_ERROR_ACK of {:#x}: {:#x}, {}", self.word(1), self.word(2), self.word(3))
            }
            other => format!("{other:#x}"),
        };
        if self.urgent { said } else { format!("{said}, not ahead of frames") }
    }
}

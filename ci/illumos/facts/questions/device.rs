//! Streams of the tap driver, so made that nothing which could crash a kernel can be asked of them: a device once on a
//! stream, with an int and within the driver's table; an address only where there is a device.

use std::ffi::c_int;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::abi;
use super::stream::{Answer, Stream, code};

/// A control stream: the one that makes a device.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) stream: Stream,
    pub(crate) ppa: c_int,
    /// `ic_len` and the int after the call.
    pub(crate) written_back: (c_int, c_int),
}

impl Control {
    /// Any device.
    pub(crate) const ANY: c_int = -1;

    /// Makes a device, on a stream of its own: a second request on one would leak the first.
    ///
    /// # Panics
    /// For a number that the driver takes though it lies outside of its table.
    pub(crate) fn new(number: c_int) -> Result<Self, Errno> {
        assert!((-2..20).contains(&number), "device {number}");
        let stream = Stream::open("/dev/tap")?;
        let (answer, length, argument) = stream.ask_int(code(abi::TUNNEWPPA), number);
        Ok(Self { ppa: answer?, stream, written_back: (length, argument) })
    }

    /// One read takes one frame.
    pub(crate) fn by_frame(number: c_int) -> Result<Self, Errno> {
        let control = Self::new(number)?;
        control.stream.set_read_options(abi::RMSGD)?;
        Ok(control)
    }

    /// All frames that are there.
    pub(crate) fn drain(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.stream.read(4096).ok()).collect()
    }
}

/// A stream attached to a device by DLPI, as IP's is.
#[derive(Debug)]
pub(crate) struct Protocol(pub(crate) Stream);

impl Protocol {
    const DL_BIND_REQ: u32 = 1;
    const DL_BIND_ACK: u32 = 4;
    const DL_UNITDATA_REQ: u32 = 7;
    const DL_CLDLS: u32 = 2;

    pub(crate) fn attach(ppa: c_int) -> Result<Self, Errno> {
        let stream = Self(Stream::open("/dev/tap")?);
        stream.ask(&[abi::DL_ATTACH_REQ, ppa.cast_unsigned()], &[], abi::DL_OK_ACK)?;
        Ok(stream)
    }

    pub(crate) fn bind(&self, sap: u16) -> Result<(), Errno> {
        let request = [Self::DL_BIND_REQ, sap.into(), 0, Self::DL_CLDLS, 0];
        self.ask(&request, &[], Self::DL_BIND_ACK).map(drop)
    }

    pub(crate) fn address(&self) -> Result<[u8; 6], Errno> {
        let answer =
            self.ask(&[abi::DL_PHYS_ADDR_REQ, abi::DL_CURR_PHYS_ADDR], &[], abi::DL_PHYS_ADDR_ACK)?;
        answer.get(12..18).and_then(|bytes| bytes.try_into().ok()).ok_or(Errno::EBADMSG)
    }

    pub(crate) fn set_address(&self, address: [u8; 6]) -> Result<(), Errno> {
        self.ask(&[abi::DL_SET_PHYS_ADDR_REQ, 6, 12], &address, abi::DL_OK_ACK).map(drop)
    }

    /// Sends a frame with this payload to the user of the device.
    pub(crate) fn send(&self, to: [u8; 6], sap: u16, payload: &mut [u8]) -> Answer {
        let address = [&to[..], &sap.to_ne_bytes()].concat();
        let mut request = message(&[Self::DL_UNITDATA_REQ, address.len() as u32, 20, 0, 0], &address);
        self.0.put_message(&mut request, Some(payload))
    }

    fn ask(&self, words: &[u32], tail: &[u8], wanted: u32) -> Result<Vec<u8>, Errno> {
        self.0.put_message(&mut message(words, tail), None)?;
        self.0.wait(PollFlags::POLLPRI)?;
        let answer = self.0.get_message(256, 256)?.control.unwrap_or_default();
        if answer.get(..4) == Some(&wanted.to_ne_bytes()) { Ok(answer) } else { Err(Errno::EPROTO) }
    }
}

/// The control part of a primitive: its words, and what follows them.
pub(crate) fn message(words: &[u32], tail: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend_from_slice(tail);
    bytes
}

//! The rules of data links, one family of them a file.

mod delivery;
mod head;
mod opening;
mod primitives;
mod sending;

use streams_model::{Errno, Outcome, abi};

use crate::caller::Caller;
use crate::{done, failed};

pub(crate) const NIC: [u8; 6] = [2, 8, 0x20, 0, 0, 1];
pub(crate) const OWN: [u8; 6] = [2, 8, 0x20, 0, 1, 0];
pub(crate) const OTHER: [u8; 6] = [2, 8, 0x20, 0, 1, 1];
pub(crate) const FAR: [u8; 6] = [2, 8, 0x20, 0, 0, 2];
pub(crate) const FOREIGN: [u8; 6] = [2, 8, 0x20, 0, 9, 9];
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
pub(crate) const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 0x51];
pub(crate) const PATH: &str = "/dev/net/vnic0";

/// A NIC with two vnics over it, and MTUs of 1500.
pub(crate) fn network() -> Caller {
    let mut caller = Caller::default();
    caller.kernel.create_nic("net0", NIC).expect("makes a NIC");
    caller.kernel.set_link_mtu("net0", 1500).expect("sets its MTU");
    caller.kernel.create_vnic("vnic0", "net0", OWN, 0).expect("makes a vnic");
    caller.kernel.create_vnic("vnic1", "net0", OTHER, 0).expect("makes another");
    caller
}

/// The same, replaying what a careful program would not do.
pub(crate) fn bold_network() -> Caller {
    let mut caller = network();
    caller.kernel.allow_datalink_hazards();
    caller
}

pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn frame(to: [u8; 6], from: [u8; 6], kind: u16, length: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &kind.to_be_bytes()].concat();
    frame.resize(length.max(14), 7);
    frame
}

pub(crate) fn bind(sap: u32) -> Vec<u8> {
    words(&[abi::DL_BIND_REQ, sap, 0, abi::DL_CLDLS, 0])
}

/// What a program does with the streams of this family.
pub(crate) trait Datalink {
    fn open_link(&mut self, path: &str) -> i32;
    fn ask(&mut self, fd: i32, request: &[u8]) -> Vec<u8>;
    fn attach(&mut self, path: &str, levels: &[u32], sap: u32) -> i32;
    fn take_control(&mut self, fd: i32) -> Option<Vec<u8>>;
    fn primitive(&mut self, fd: i32) -> u32;
}

impl Datalink for Caller {
    fn open_link(&mut self, path: &str) -> i32 {
        crate::caller::fd_of(&self.open(path, abi::O_RDWR | abi::O_NONBLOCK | abi::O_CLOEXEC))
    }

    /// Sends a primitive, waits as poll does, and takes the answer.
    fn ask(&mut self, fd: i32, request: &[u8]) -> Vec<u8> {
        assert_eq!(self.putmsg_with(fd, Some(request), None, abi::RS_HIPRI), done(0));
        self.kernel.serve();
        self.take_control(fd).expect("an answer")
    }

    /// A stream in raw mode that reads a frame at a time, with these levels.
    fn attach(&mut self, path: &str, levels: &[u32], sap: u32) -> i32 {
        let fd = self.open_link(path);
        assert_eq!(self.str_ioctl(fd, abi::DLIOCRAW, 0, &[]).0, done(0));
        assert_eq!(self.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD)), done(0));
        for level in levels {
            let ack = self.ask(fd, &words(&[abi::DL_PROMISCON_REQ, *level]));
            assert_eq!(ack, words(&[abi::DL_OK_ACK, abi::DL_PROMISCON_REQ]));
        }
        assert_eq!(self.ask(fd, &bind(sap))[..4], abi::DL_BIND_ACK.to_le_bytes());
        fd
    }

    fn take_control(&mut self, fd: i32) -> Option<Vec<u8>> {
        let got = self.getmsg(fd, 16384, 65536);
        got.outcome.result().ok().and(got.control)
    }

    /// The primitive at the head; all ones when there is none.
    fn primitive(&mut self, fd: i32) -> u32 {
        let control = self.take_control(fd).unwrap_or_default();
        control.get(..4).map_or(u32::MAX, |word| u32::from_le_bytes(word.try_into().unwrap_or_default()))
    }
}

pub(crate) fn refusal(primitive: u32, error: u32, unix: u32) -> Vec<u8> {
    words(&[abi::DL_ERROR_ACK, primitive, error, unix])
}

pub(crate) fn nothing() -> (Outcome, Vec<u8>) {
    (failed(Errno::EAGAIN), Vec::new())
}

pub(crate) const RECOMMENDED: &[u32] = &[abi::DL_PROMISC_RX_ONLY, abi::DL_PROMISC_SAP, abi::DL_PROMISC_MULTI];

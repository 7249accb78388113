//! The device's own MAC address, asked for and set on a stream that is attached for the purpose. dlpi(4P)
//!
//! Not on the control stream, where the answers would lie among the frames. Never on one without a device, where the
//! driver would follow a null pointer. IP reads the address while it is plumbed and is not told of a change later.

use std::io;
use std::os::fd::OwnedFd;

use nix::poll::PollFlags;

use super::abi::{
    DL_ATTACH_REQ, DL_CURR_PHYS_ADDR, DL_OK_ACK, DL_PHYS_ADDR_ACK, DL_PHYS_ADDR_REQ, DL_SET_PHYS_ADDR_REQ,
};
use super::answer::{self, Answer};
use super::name::Ppa;
use super::{control, refusal, streams};
use crate::attach::AttachError;

const ADDRESS_LEN: usize = 6;

/// Reads the MAC address of a device.
pub(super) fn address(ppa: Ppa) -> Result<[u8; 6], AttachError> {
    const STEP: &str = "DL_PHYS_ADDR_REQ";
    let stream = attach(ppa)?;
    let answer =
        ask(&stream, &[DL_PHYS_ADDR_REQ, DL_CURR_PHYS_ADDR], &[], DL_PHYS_ADDR_ACK).map_err(on(STEP, ppa))?;
    answer.address().ok_or_else(|| refusal::mismatch("DL_PHYS_ADDR_ACK: its address", "6 bytes", "fewer"))
}

/// Sets the MAC address of a device.
pub(super) fn set_address(ppa: Ppa, address: [u8; 6]) -> Result<(), AttachError> {
    const STEP: &str = "DL_SET_PHYS_ADDR_REQ";
    /// Where the address begins: after the three words of the request.
    const OFFSET: u32 = 12;
    let stream = attach(ppa)?;
    let request = [DL_SET_PHYS_ADDR_REQ, ADDRESS_LEN as u32, OFFSET];
    ask(&stream, &request, &address, DL_OK_ACK).map_err(on(STEP, ppa)).map(drop)
}

/// Opens a stream and attaches it to a device that exists.
fn attach(ppa: Ppa) -> Result<OwnedFd, AttachError> {
    let stream = control::open()?;
    ask(&stream, &[DL_ATTACH_REQ, ppa.number().into()], &[], DL_OK_ACK).map_err(on("DL_ATTACH_REQ", ppa))?;
    Ok(stream)
}

fn on(request: &'static str, ppa: Ppa) -> impl FnOnce(io::Error) -> AttachError {
    refusal::request(request, format!("{}, PPA {ppa}", control::TAP))
}

/// Sends one request and takes its answer.
fn ask(stream: &OwnedFd, words: &[u32], tail: &[u8], wanted: u32) -> io::Result<Answer> {
    let mut request: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    request.extend_from_slice(tail);
    streams::put_control(stream, &mut request)?;
    answer::await_message(stream, PollFlags::POLLPRI)?;
    Ok(Answer::take(stream)?.require(wanted)?)
}

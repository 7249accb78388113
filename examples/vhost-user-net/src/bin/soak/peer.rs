//! One hypervisor's connection, by plain messages.
#![expect(unsafe_code, reason = "guest memory is reached by raw pointers")]
// UNSAFETY: volatile writes and reads of bytes in memory that this value maps.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tap_plumb_vhost_user::features::PROTOCOL_FEATURES;
use tap_plumb_vhost_user::memory::{Description, Memory};
use tap_plumb_vhost_user::message::request;

use crate::Loss;
use crate::daemon::{Daemon, PATIENCE};

/// Bytes of the guest's memory, and where the hypervisor claims to have it.
pub(crate) const MEMORY: u64 = 0x40000;
pub(crate) const USER: u64 = 0x7000_0000_0000;
/// The parts of each ring, from its base on, for up to 256 descriptors.
pub(crate) const AVAILABLE: u64 = 0x1000;
pub(crate) const USED: u64 = 0x2000;
pub(crate) const RING: u64 = 0x4000;

pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
}

/// A guest's memory and the descriptors of its two rings.
pub(crate) struct Guest {
    pub(crate) file: OwnedFd,
    pub(crate) memory: Memory,
    pub(crate) kicks: [OwnedFd; 2],
    pub(crate) calls: [OwnedFd; 2],
}

impl Peer {
    pub(crate) fn connect(daemon: &Daemon) -> Result<Self, Loss> {
        let failed = |error: std::io::Error| format!("connecting: {error}");
        let stream = UnixStream::connect(daemon.path()).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self { stream })
    }

    /// Sends a message as it is; `false` when the daemon has closed the connection.
    pub(crate) fn send(&self, words: [u32; 3], payload: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let bytes = [&words.map(u32::to_le_bytes).concat(), payload].concat();
        sendmsg(&self.stream, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL).is_ok()
    }

    pub(crate) fn tell(&self, request: u32, payload: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
        self.send([request, 1, payload.len() as u32], payload, descriptors)
    }

    /// Sends a request that has an answer, and gives that.
    pub(crate) fn ask(&self, request: u32, payload: &[u8]) -> Option<u64> {
        let mut answer = [0; 20];
        let told = self.tell(request, payload, &[]);
        (told && (&self.stream).read_exact(&mut answer).is_ok())
            .then(|| answer[12..].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    /// Sets everything up as a hypervisor does; `features` are acknowledged as far as they are offered.
    pub(crate) fn set_up(&self, features: u64, size: u32) -> Result<Guest, Loss> {
        let guest = Guest::new().map_err(|error| format!("the guest's memory: {error}"))?;
        let lost = || "a good hypervisor is not served".to_owned();
        let offered = self.ask(request::GET_FEATURES, &[]).ok_or_else(lost)?;
        let table = [1, 0, MEMORY, USER, 0].map(u64::to_le_bytes).concat();
        let mut good = self.tell(request::SET_OWNER, &[], &[])
            && self.tell(request::SET_FEATURES, &(features & offered | PROTOCOL_FEATURES).to_le_bytes(), &[])
            && self.tell(request::SET_MEM_TABLE, &table, &[guest.file.as_fd()]);
        for ring in 0..2_u32 {
            let base = USER + RING * u64::from(ring);
            let addresses =
                [ring.into(), base, base + USED, base + AVAILABLE, 0].map(u64::to_le_bytes).concat();
            let number = u64::from(ring).to_le_bytes();
            good &= self.tell(request::SET_VRING_NUM, &state(ring, size), &[])
                && self.tell(request::SET_VRING_BASE, &state(ring, 0), &[])
                && self.tell(request::SET_VRING_ADDR, &addresses, &[])
                && self.tell(request::SET_VRING_CALL, &number, &[guest.calls[ring as usize].as_fd()])
                && self.tell(request::SET_VRING_KICK, &number, &[guest.kicks[ring as usize].as_fd()])
                && self.tell(request::SET_VRING_ENABLE, &state(ring, 1), &[]);
        }
        let good = good && self.ask(request::GET_FEATURES, &[]).is_some();
        if good { Ok(guest) } else { Err(lost()) }
    }
}

/// A ring's number and a number, as a payload.
pub(crate) fn state(ring: u32, value: u32) -> [u8; 8] {
    (u64::from(value) << 32 | u64::from(ring)).to_le_bytes()
}

pub(crate) fn event() -> rustix::io::Result<OwnedFd> {
    rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK)
}

impl Guest {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let file = memfd_create("guest", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, MEMORY)?;
        let description = Description { guest: 0, len: MEMORY, user: USER, offset: 0 };
        let memory = Memory::map(vec![(description, file.try_clone()?)])?;
        Ok(Self { file, memory, kicks: [event()?, event()?], calls: [event()?, event()?] })
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) {
        let Some(start) = self.memory.find(address, bytes.len()) else { return };
        for (at, byte) in bytes.iter().enumerate() {
            // SAFETY: one byte of the memory, which `self` keeps mapped; the daemon accesses it at any time.
            unsafe { start.wrapping_add(at).write_volatile(*byte) };
        }
    }

    pub(crate) fn word(&self, address: u64) -> u16 {
        let Some(start) = self.memory.find(address, 2) else { return 0 };
        // SAFETY: two bytes at an even address of the memory, which `self` keeps mapped.
        u16::from_le(unsafe { start.cast::<u16>().read_volatile() })
    }

    /// Writes descriptor `index` of a ring.
    pub(crate) fn describe(&self, ring: u64, index: u64, address: u64, len: u32, flags: u16, next: u16) {
        let words = [address, u64::from(next) << 48 | u64::from(flags) << 32 | u64::from(len)];
        self.write(RING * ring + 16 * index, &words.map(u64::to_le_bytes).concat());
    }

    pub(crate) fn kick(&self, ring: usize) {
        let _ = rustix::io::write(&self.kicks[ring], &1_u64.to_ne_bytes());
    }
}

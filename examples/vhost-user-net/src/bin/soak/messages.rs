//! Random messages: all requests, random payloads, random descriptors.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use tap_plumb_vhost_user::message::request;

use crate::daemon::Daemon;
use crate::peer::{Peer, event, state};
use crate::{Loss, Random};

/// Most messages of a case.
const MESSAGES: u64 = 64;

/// One connection; gives the number of messages.
pub(crate) fn case(daemon: &Daemon, random: &mut Random) -> Result<u64, Loss> {
    let peer = Peer::connect(daemon)?;
    // Nobody reads the answers here: the daemon may fill the socket, and must end the connection all the same.
    let count = 1 + random.below(MESSAGES);
    for number in 0..count {
        let request = number_of(random);
        let payload = payload(request, random);
        let descriptors =
            descriptors(&peer, request, random).map_err(|error| format!("a descriptor: {error}"))?;
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let flags = if random.once_in(40) { random.next() as u32 } else { random.pick(&[1, 1, 9]) };
        let size = if random.once_in(60) { random.next() as u32 } else { payload.len() as u32 };
        if !peer.send([request, flags, size], &payload, &borrowed) {
            return Ok(number + 1);
        }
    }
    Ok(count)
}

fn number_of(random: &mut Random) -> u32 {
    match random.below(10) {
        0 => random.below(64) as u32,
        1 if random.once_in(10) => random.next() as u32,
        _ => random.pick(&[1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]),
    }
}

/// Mostly of the right size, and mostly of values that could be right.
fn payload(request: u32, random: &mut Random) -> Vec<u8> {
    if random.once_in(20) {
        let len = random.below(300) as usize;
        return random.bytes(len);
    }
    let ring = if random.once_in(10) { random.next() as u32 } else { random.below(3) as u32 };
    match request {
        request::SET_FEATURES => (0x1_7000_bb83 & random.next() | 1 << 30).to_le_bytes().to_vec(),
        request::SET_PROTOCOL_FEATURES => random.pick(&[0_u64, 1, 8, 9, u64::MAX]).to_le_bytes().to_vec(),
        request::SET_MEM_TABLE => table(random),
        request::SET_VRING_ADDR => {
            let mut words = vec![u64::from(ring)];
            words.extend((0..3).map(|_| address(random) & !0xf));
            words.push(0);
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        }
        request::SET_VRING_KICK | request::SET_VRING_CALL | request::SET_VRING_ERR => {
            let none = if random.once_in(4) { 1 << 8 } else { 0 };
            (u64::from(ring) | none).to_le_bytes().to_vec()
        }
        8 | 10 | 11 | 18 => {
            let any = random.next() as u32;
            state(ring, random.pick(&[0, 1, 2, 16, 256, 1024, 3, 65535, 65536, any])).to_vec()
        }
        _ => Vec::new(),
    }
}

/// A table of memory, whose regions may overlap, wrap around, or be larger than their files.
fn table(random: &mut Random) -> Vec<u8> {
    let count = random.pick(&[0_u64, 1, 1, 1, 2, 8, 9, u64::MAX]);
    let mut words = vec![count];
    for _ in 0..count.min(9) {
        let any = random.next();
        words.extend([
            address(random),
            random.pick(&[0, 1, 0x1000, 0x1_0000, 0x10_0000, any]),
            address(random),
        ]);
        words.push(random.pick(&[0, 0, 0x1000, 0x1001, any]));
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn address(random: &mut Random) -> u64 {
    let any = random.next();
    random.pick(&[0, 0x1000, 0x8000, 0x1_0000, 0x2_0000, u64::MAX - 0xfff, u64::MAX, any])
}

/// As many as the request has, mostly, and of any kind.
fn descriptors(
    peer: &Peer,
    request: u32,
    random: &mut Random,
) -> Result<Vec<OwnedFd>, Box<dyn std::error::Error>> {
    let expected = match request {
        12..=14 => 1,
        5 => random.pick(&[1, 1, 1, 2, 8]),
        _ => 0,
    };
    let count = if random.once_in(8) { random.below(12) } else { expected };
    (0..count).map(|_| descriptor(peer, request, random)).collect()
}

fn descriptor(peer: &Peer, request: u32, random: &mut Random) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    let kind = if random.once_in(4) { random.below(8) } else { u64::from(request == 5) };
    Ok(match kind {
        0 => event()?,
        1 => {
            let file = memfd_create("soak", MemfdFlags::CLOEXEC)?;
            ftruncate(&file, random.pick(&[0, 1, 0x1000, 0x1_0000, 0x10_0000]))?;
            file
        }
        2 => {
            let full = event()?;
            rustix::io::write(&full, &(u64::MAX - 1).to_ne_bytes())?;
            full
        }
        3 => rustix::pipe::pipe()?.0,
        4 => rustix::pipe::pipe()?.1,
        5 => UnixStream::pair()?.0.into(),
        6 => File::open("/dev/zero")?.into(),
        _ => peer.stream.try_clone()?.into(),
    })
}

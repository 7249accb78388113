//! Hostile rings: loops, addresses outside memory, lengths near 2^32, tables inside tables, indices that jump.

use rustix::fs::ftruncate;
use tap_plumb_vhost_user::message::request;

use crate::daemon::{Daemon, Wire};
use crate::peer::{AVAILABLE, Guest, MEMORY, Peer, RING, USED, state};
use crate::{Loss, Random};

/// Rings of a case.
const ROUNDS: u64 = 64;
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// One connection; gives the number of rings.
pub(crate) fn case(daemon: &Daemon, random: &mut Random) -> Result<u64, Loss> {
    let peer = Peer::connect(daemon)?;
    let size = random.pick(&[1_u32, 2, 16, 64, 256]);
    let guest = peer.set_up(random.next() | 1 << 32, size)?;
    for round in 0..ROUNDS {
        let ring = random.below(2);
        spoil(&guest, ring, size, random);
        guest.kick(ring as usize);
        if random.once_in(2) {
            let len = random.pick(&[26, 60, 1514, 9000]);
            daemon.wire.send(&[&vec![0; 12][..], &Wire::frame(0)[..14], &vec![0xff; len]].concat());
        }
        let cut = random.once_in(200);
        if cut {
            let _ = ftruncate(&guest.file, random.pick(&[0, 0x1000, 0x4000]));
            guest.kick(0);
            guest.kick(1);
        }
        // By then the ring was looked at; one that is unusable is set up anew.
        let base = peer.ask(request::GET_VRING_BASE, &state(ring as u32, 0));
        let served = base.is_some() && restart(&peer, &guest, ring, random);
        match (served, cut) {
            (_, true) => return Ok(round + 1),
            (true, false) => {}
            (false, false) => {
                return Err("the connection of a guest with a hostile ring has ended".to_owned());
            }
        }
    }
    Ok(ROUNDS)
}

/// Starts a ring again, somewhere.
fn restart(peer: &Peer, guest: &Guest, ring: u64, random: &mut Random) -> bool {
    use std::os::fd::AsFd;
    let base = if random.once_in(2) { guest.word(RING * ring + AVAILABLE + 2) } else { random.next() as u16 };
    let kick = &guest.kicks[ring as usize];
    peer.tell(request::SET_VRING_BASE, &state(ring as u32, base.into()), &[])
        && peer.tell(request::SET_VRING_KICK, &ring.to_le_bytes(), &[kick.as_fd()])
}

/// Writes a ring that no driver writes, or one that is nearly good.
fn spoil(guest: &Guest, ring: u64, size: u32, random: &mut Random) {
    let size = u64::from(size);
    for index in 0..size {
        let good = if ring == 0 { WRITE } else { 0 };
        let flags = match random.below(8) {
            0 => random.next() as u16,
            1 => good | NEXT | INDIRECT,
            2 => INDIRECT,
            3 => good ^ WRITE,
            4..6 => good | NEXT,
            _ => good,
        };
        let next = if random.once_in(6) { random.next() as u16 } else { random.below(size) as u16 };
        guest.describe(ring, index, address(random), len(random), flags, next);
        if flags & INDIRECT != 0 && random.once_in(2) {
            table(guest, ring, index, random);
        }
        let head = if random.once_in(8) { random.next() as u16 } else { random.below(size) as u16 };
        guest.write(RING * ring + AVAILABLE + 4 + 2 * index, &head.to_le_bytes());
    }
    let before = guest.word(RING * ring + AVAILABLE + 2);
    let any = random.next() as u16;
    let step = random.pick(&[0, 1, size as u16, size as u16 + 1, 0x7fff, 0x8000, u16::MAX, any]);
    guest.write(RING * ring + AVAILABLE, &(random.next() as u16 & 1).to_le_bytes());
    guest.write(RING * ring + AVAILABLE + 4 + 2 * size, &(random.next() as u16).to_le_bytes());
    guest.write(RING * ring + AVAILABLE + 2, &before.wrapping_add(step).to_le_bytes());
    if random.once_in(8) {
        guest.write(RING * ring + USED, &random.next().to_le_bytes());
    }
    header(guest, random);
}

/// A table at a place of its own, to which the descriptor then leads; tables lie in it in turn.
fn table(guest: &Guest, ring: u64, index: u64, random: &mut Random) {
    let count = random.pick(&[1_u64, 2, 17, 1024]);
    let place = 0x1_0000 + 16 * random.below(0x100);
    for entry in 0..count.min(64) {
        let flags = random.pick(&[0, NEXT, NEXT, WRITE, NEXT | WRITE, INDIRECT]);
        let words = [address(random), (entry + 1) << 48 | u64::from(flags) << 32 | u64::from(len(random))];
        guest.write(place + 16 * entry, &words.map(u64::to_le_bytes).concat());
    }
    guest.describe(ring, index, place, 16 * count as u32, INDIRECT, 0);
}

/// What stands where frames begin: any request to the host.
fn header(guest: &Guest, random: &mut Random) {
    let mut bytes = random.bytes(12);
    if random.once_in(2) {
        bytes[0] &= 1;
        bytes[1] = random.pick(&[0, 1, 3, 4, 5, 0x81]);
        bytes[4..6].copy_from_slice(&random.pick(&[0_u16, 1, 8, 1448]).to_le_bytes());
    }
    guest.write(0x2_0000, &bytes);
}

fn address(random: &mut Random) -> u64 {
    let any = random.next();
    random.pick(&[0x2_0000, 0x2_0000, 0x2_0000, 0x3_0000, 0, MEMORY - 1, MEMORY, u64::MAX - 3, u64::MAX, any])
}

fn len(random: &mut Random) -> u32 {
    let any = random.next() as u32;
    random.pick(&[12, 72, 1526, 2048, 0x1_0000, 0, 1, u32::MAX, u32::MAX - 15, 1 << 31, any])
}

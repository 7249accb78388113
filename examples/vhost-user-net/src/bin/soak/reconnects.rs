//! A hypervisor comes, its guest sends and gets a frame, and it goes in any way.

use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::ftruncate;
use tap_plumb_vhost_user::message::request;

use crate::daemon::{Daemon, PATIENCE, Wire};
use crate::peer::{AVAILABLE, Guest, Peer, RING, USED, state};
use crate::{Loss, Random};

const SIZE: u32 = 16;
const WRITE: u16 = 2;
/// Room for the longest frame: with less, the device waits for more first.
const ROOM: u32 = 0x1_1000;
/// Where frames lie.
const PLACES: [u64; 2] = [0x2_0000, 0x3_0000];

/// One connection; gives 1.
pub(crate) fn case(daemon: &Daemon, random: &mut Random) -> Result<u64, Loss> {
    let peer = Peer::connect(daemon)?;
    let guest = peer.set_up(1 << 32 | random.next() & (1 << 15 | 1 << 29), SIZE)?;
    let number = random.next() | 1;
    send(daemon, &guest, number)?;
    receive(daemon, &guest, number)?;
    leave(peer, &guest, random);
    Ok(1)
}

/// A frame from the guest to the host.
fn send(daemon: &Daemon, guest: &Guest, number: u64) -> Result<(), Loss> {
    let frame = Wire::frame(number);
    guest.write(PLACES[1], &frame);
    guest.describe(1, 0, PLACES[1], frame.len() as u32, 0, 0);
    offer(guest, 1);
    if daemon.wire.wait(number, PATIENCE) { Ok(()) } else { Err("a frame of the guest was lost".to_owned()) }
}

/// A frame from the host to the guest.
fn receive(daemon: &Daemon, guest: &Guest, number: u64) -> Result<(), Loss> {
    guest.describe(0, 0, PLACES[0], ROOM, WRITE, 0);
    offer(guest, 0);
    let start = Instant::now();
    while guest.word(USED + 2) == 0 {
        // No guest gets a frame that comes before the device has found the new guest.
        daemon.wire.send(&Wire::frame(number));
        if start.elapsed() > PATIENCE {
            return Err("a frame for the guest was lost".to_owned());
        }
        thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

fn offer(guest: &Guest, ring: u64) {
    guest.write(RING * ring + AVAILABLE + 4, &[0, 0]);
    guest.write(RING * ring + AVAILABLE + 2, &[1, 0]);
    guest.kick(ring as usize);
}

fn leave(peer: Peer, guest: &Guest, random: &mut Random) {
    match random.below(5) {
        0 => {
            peer.ask(request::GET_VRING_BASE, &state(0, 0));
            peer.ask(request::GET_VRING_BASE, &state(1, 0));
        }
        1 => {
            let _ = peer.stream.shutdown(Shutdown::Write);
        }
        2 => {
            // In the middle of a message.
            peer.send([request::SET_FEATURES, 1, 8], &[0; 3], &[]);
        }
        3 => {
            let _ = ftruncate(&guest.file, 0);
            guest.kick(0);
        }
        _ => {}
    }
    drop(peer);
}

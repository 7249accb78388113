//! Any rings and any descriptors, over a socket pair that stands in for a TAP.
#![expect(unsafe_code, reason = "guest memory is reached by raw pointers")]

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tap_plumb::{Backend, Config, Offload};
use tap_plumb_vhost_user::features::Negotiated;
use tap_plumb_vhost_user::memory::Memory;
use tap_plumb_vhost_user::message::Addresses;
use tap_plumb_vhost_user::pair::Pair;
use tap_plumb_vhost_user::vring::Vring;

/// Descriptors a ring.
const SIZE: u16 = 16;
/// Where the two rings lie, each with its table, its available and its used part.
const RINGS: [[u64; 3]; 2] = [[0, 0x100, 0x140], [0x200, 0x300, 0x340]];
/// Two regions, one right behind the other.
const REGION: usize = 0x8000;
/// Bytes before the image of the guest's memory: settings, then a turn each.
const CONTEXT: usize = 1 + TURNS * 3;
const TURNS: usize = 3;

/// Settings; for each turn how many chains the driver offers on either ring and how long a frame the host sends, in units of
/// 32 bytes; then the guest's memory from its first byte on, with both rings.
pub(crate) fn chains(data: &[u8]) {
    let Some((context, image)) = data.split_first_chunk::<CONTEXT>() else { return };
    let settings = context[0];
    let (near, host) = UnixDatagram::pair().expect("a socket pair");
    host.set_nonblocking(true).expect("a flag");
    let memory = memory(image);
    let pair = pair(near, settings, &memory);
    pair.turn();
    for turn in context[1..].chunks_exact(3) {
        let header_len = pair.backend.tap().offload().header_len;
        // A full socket is the device's affair.
        let _ = host.send(&vec![turn[2] & 1; header_len + 32 * usize::from(turn[2])]);
        let before: Vec<_> = (0..2).map(|ring| offer(&memory, &pair, ring, turn[ring])).collect();
        pair.turn();
        for (ring, [available, used]) in before.into_iter().enumerate() {
            let [now, back] = place(&pair, ring);
            let (taken, back) = (now.wrapping_sub(available), back.wrapping_sub(used));
            assert!(back <= taken, "{back} chains came back of {taken}");
        }
        while host.recv(&mut [0; 16]).is_ok() {}
    }
    let all = pair.backend.statistics();
    assert_eq!(all.transmit.frames_offered, all.transmit.frames_sent + all.transmit.dropped());
    assert_eq!(all.receive.frames_received, all.receive.frames_delivered + all.receive.dropped());
}

fn pair(near: UnixDatagram, settings: u8, memory: &Arc<Memory>) -> Pair {
    let header = if settings & 1 == 0 { Offload::ALL } else { Offload::NONE };
    let config = Config::new().inherited(near.into()).offload(header);
    let pair = Pair::new(Backend::new(config.attach().expect("a socket is a TAP")), false);
    let pair = pair.expect("an event");
    // The second time with what lets a guest ask for offloads.
    let host = 1 | 1 << 11 | 1 << 12 | 1 << 56;
    let bits = [(2, 1 << 15), (4, 1 << 32), (8, 1 << 1 | 1 << 7), (32, host)];
    let features = bits.iter().filter(|(bit, _)| settings & bit != 0).fold(0, |all, (_, bit)| all | bit);
    pair.agree(Negotiated::new(features)).expect("a socket agrees to anything");
    let ring = |[table, available, used]: [u64; 3]| {
        Vring::at(memory, SIZE, Addresses { table, available, used }, settings & 16 != 0)
    };
    pair.set_up(|work| {
        work.memory = Arc::clone(memory);
        work.rings = RINGS.map(ring);
    });
    pair
}

fn memory(image: &[u8]) -> Arc<Memory> {
    let ranges = [(0, REGION), (REGION as u64, REGION)];
    let memory = Memory::anonymous(&ranges).expect("memory");
    write(&memory, 0, &image[..image.len().min(REGION)]);
    Arc::new(memory)
}

/// Where the device stands on a ring.
fn place(pair: &Pair, ring: usize) -> [u16; 2] {
    pair.set_up(|work| [work.rings[ring].base(), work.rings[ring].next_used()])
}

/// Offers `count` chains more, which may be more than there can be; says where the device stands.
fn offer(memory: &Memory, pair: &Pair, ring: usize, count: u8) -> [u16; 2] {
    let place = place(pair, ring);
    let index = place[0].wrapping_add(u16::from(count % 20));
    write(memory, RINGS[ring][1] + 2, &index.to_le_bytes());
    place
}

fn write(memory: &Memory, address: u64, bytes: &[u8]) {
    let mut bytes = bytes.iter();
    memory.slices(address, bytes.len(), |slice| {
        for (at, byte) in bytes.by_ref().take(slice.len()).enumerate() {
            // SAFETY: one byte of the memory, which the caller keeps mapped.
            unsafe { slice.as_ptr().wrapping_add(at).write_volatile(*byte) };
        }
    });
}

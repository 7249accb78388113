//! Any rings and any descriptors, over a socket pair that stands in for a TAP.

use std::os::unix::net::UnixDatagram;

use tap_plumb::{Backend, Config, Offload};
use tap_plumb_vhost_user::chain::Memory;
use tap_plumb_vhost_user::features::Negotiated;
use tap_plumb_vhost_user::pair::{Pair, SharedMemory};
use vhost_user_backend::{VringMutex, VringT};
use virtio_queue::QueueT;
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace};

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
    let pair = pair(near, settings);
    let memory = memory(image);
    let rings = RINGS.map(|[table, available, used]| ring(&memory, settings, table, available, used));
    pair.run(&memory, &rings[0], &rings[1]);
    for turn in context[1..].chunks_exact(3) {
        let header_len = pair.backend.tap().offload().header_len;
        // A full socket is the device's affair.
        let _ = host.send(&vec![turn[2] & 1; header_len + 32 * usize::from(turn[2])]);
        let before: Vec<_> = rings
            .iter()
            .zip(RINGS)
            .zip(turn)
            .map(|((ring, at), count)| offer(&memory, ring, at, *count))
            .collect();
        pair.run(&memory, &rings[0], &rings[1]);
        for (ring, [available, used]) in rings.iter().zip(before) {
            let taken = ring.queue_next_avail().wrapping_sub(available);
            let back = ring.get_ref().get_queue().next_used().wrapping_sub(used);
            assert!(back <= taken, "{back} chains came back of {taken}");
        }
        while host.recv(&mut [0; 16]).is_ok() {}
    }
    let all = pair.backend.statistics();
    assert_eq!(all.transmit.frames_offered, all.transmit.frames_sent + all.transmit.dropped());
    assert_eq!(all.receive.frames_received, all.receive.frames_delivered + all.receive.dropped());
}

fn pair(near: UnixDatagram, settings: u8) -> Pair {
    let header = if settings & 1 == 0 { Offload::ALL } else { Offload::NONE };
    let config = Config::new().inherited(near.into()).offload(header);
    let pair = Pair::new(Backend::new(config.attach().expect("a socket is a TAP")), false);
    let pair = pair.expect("an event");
    let bits = [(2, 1 << 15), (4, 1 << 32), (8, 1 << 1 | 1 << 7)];
    let features = bits.iter().filter(|(bit, _)| settings & bit != 0).fold(0, |all, (_, bit)| all | bit);
    pair.agree(Negotiated::new(features)).expect("a socket agrees to anything");
    pair
}

fn memory(image: &[u8]) -> SharedMemory {
    let ranges = [(GuestAddress(0), REGION), (GuestAddress(REGION as u64), REGION)];
    let memory = Memory::from_ranges(&ranges).expect("memory");
    let image = &image[..image.len().min(REGION)];
    memory.write_slice(image, GuestAddress(0)).expect("it is there");
    SharedMemory::new(memory)
}

fn ring(memory: &SharedMemory, settings: u8, table: u64, available: u64, used: u64) -> VringMutex {
    let ring = VringMutex::new(memory.clone(), SIZE).expect("a ring");
    ring.set_queue_info(table, available, used).expect("aligned");
    ring.set_queue_event_idx(settings & 16 != 0);
    ring.set_queue_ready(true);
    ring.set_enabled(true);
    ring
}

/// Offers `count` chains more, which may be more than there can be; says where the device stands.
fn offer(memory: &SharedMemory, ring: &VringMutex, at: [u64; 3], count: u8) -> [u16; 2] {
    let available = ring.queue_next_avail();
    let index = available.wrapping_add(u16::from(count % 20));
    memory.memory().write_obj(index.to_le(), GuestAddress(at[1] + 2)).expect("it is there");
    [available, ring.get_ref().get_queue().next_used()]
}

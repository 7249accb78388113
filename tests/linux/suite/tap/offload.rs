//! Oversized frames between two guests on one bridge of the host: whole where both sides can, cut where one cannot.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tap_plumb::{Backend, Checksum, Config, Frame, Frontend, Gso, GsoKind, Offload, Refused, Threads, Wait};

use super::host::{self, ip, wait_until};

const PAYLOAD: usize = 20_000;
const SIZE: u16 = 1448;
const GSO: Gso =
    Gso { kind: GsoKind::Tcp4, header_len: 54, segment_size: SIZE, network_offset: 14, transport_offset: 34 };

/// A TCP frame from one guest to the other, with its checksum left open.
fn oversized() -> Vec<u8> {
    let mut frame: Vec<u8> = (0..54 + PAYLOAD).map(|at| (at * 7) as u8).collect();
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    let total = u16::try_from(40 + PAYLOAD).unwrap().to_be_bytes();
    frame[14..34]
        .copy_from_slice(&[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame[34..54].copy_from_slice(&[0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    frame
}

/// Two TAPs on a bridge.
fn guests(receiver: Offload) -> (Backend, Arc<Backend>) {
    host::quiet();
    ip("link add br0 type bridge mcast_snooping 0");
    let attach = |name: &str, offload| Config::new().name(name).offload(offload).up().attach().unwrap();
    let sender = attach("tap0", Offload::ALL);
    let receiver = attach("tap1", receiver);
    for name in ["tap0", "tap1"] {
        ip(&format!("link set {name} master br0"));
    }
    ip("link set br0 up");
    wait_until("forwarding", || {
        ip("-d link show tap1").contains("state forwarding")
            && ip("-d link show tap0").contains("state forwarding")
    });
    (Backend::new(sender), Arc::new(Backend::new(receiver)))
}

fn send(sender: &Backend) {
    let frame = oversized();
    let mut session = sender.begin_transmit().unwrap();
    session.send(&Frame::new(&[IoSlice::new(&frame[..100]), IoSlice::new(&frame[100..])]).gso(GSO)).unwrap();
}

/// Rows B3 and B16.
pub(crate) fn oversized_frame_crosses_the_host_whole() {
    let (sender, receiver) = guests(Offload::ALL);
    send(&sender);
    assert_eq!(sender.statistics().transmit.segments_sent, 1, "one write");
    let mut buffer = vec![0; receiver.receive_buffer_len()];
    let received = receiver.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap().expect("a frame");
    assert_eq!((received.len, received.gso), (54 + PAYLOAD, Some(GSO)));
    assert_eq!(received.checksum, Checksum::Partial { start: 34, offset: 16 });
    assert_eq!(buffer[54..received.len], oversized()[54..]);
}

/// Row B3.
pub(crate) fn host_cuts_for_a_receiver_that_cannot() {
    let (sender, receiver) = guests(Offload::NONE);
    send(&sender);
    assert_segments(&sender, &receiver);
}

/// Row B3.
pub(crate) fn software_and_host_give_the_same_segments() {
    let (sender, receiver) = guests(Offload::NONE);
    sender.use_host_offload(false);
    send(&sender);
    assert_eq!(sender.statistics().transmit.segments_sent, 14);
    assert_segments(&sender, &receiver);
}

fn assert_segments(sender: &Backend, receiver: &Backend) {
    let mut buffer = vec![0; receiver.receive_buffer_len()];
    let mut payload = Vec::new();
    while let Some(received) = receiver.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap() {
        assert_eq!((received.gso, received.checksum), (None, Checksum::Complete));
        assert!(received.len <= 54 + usize::from(SIZE));
        payload.extend_from_slice(&buffer[54..received.len]);
    }
    assert_eq!(payload, oversized()[54..]);
    host::assert_adds_up(sender);
}

/// A device that takes oversized frames or not.
struct Guest {
    takes_oversized: bool,
    frames: Mutex<Vec<(usize, Option<Gso>, Checksum)>>,
}

impl Frontend for Guest {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        Wait::Available
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, frame: &[IoSlice<'_>], checksum: Checksum) -> Result<(), Refused> {
        let len = frame.iter().map(|slice| slice.len()).sum();
        self.frames.lock().unwrap().push((len, None, checksum));
        Ok(())
    }

    fn receive_gso(&self, frame: &[IoSlice<'_>], gso: Gso, checksum: Checksum) -> Result<(), Refused> {
        if !self.takes_oversized {
            return Err(Refused);
        }
        let len = frame.iter().map(|slice| slice.len()).sum();
        self.frames.lock().unwrap().push((len, Some(gso), checksum));
        Ok(())
    }
}

/// Row B16.
pub(crate) fn guest_gets_oversized_frames_whole_or_as_segments() {
    let (sender, receiver) = guests(Offload::ALL);
    for takes_oversized in [true, false] {
        let guest = Arc::new(Guest { takes_oversized, frames: Mutex::default() });
        let threads = Threads::spawn(Arc::clone(&receiver), Arc::clone(&guest) as _).unwrap();
        send(&sender);
        let count = if takes_oversized { 1 } else { 14 };
        wait_until("delivery", || guest.frames.lock().unwrap().len() == count);
        threads.stop().unwrap();
        let frames = guest.frames.lock().unwrap();
        let (_, gso, checksum) = frames[0];
        assert_eq!(gso.is_some(), takes_oversized);
        assert_eq!(checksum == Checksum::Complete, !takes_oversized);
        assert_eq!(frames.iter().map(|(len, ..)| len - 54).sum::<usize>(), PAYLOAD);
    }
    let all = receiver.statistics().receive;
    assert_eq!((all.frames_delivered, all.segments_delivered), (2, 15));
    host::assert_adds_up(&receiver);
}

/// Row B16.
pub(crate) fn header_passes_through_untouched_when_asked_for() {
    let (sender, receiver) = guests(Offload::ALL);
    send(&sender);
    let mut memory = vec![0; 70_000];
    let len = receiver.receive_with_header(&mut [IoSliceMut::new(&mut memory)]).unwrap().expect("a frame");
    assert_eq!(len, 12 + 54 + PAYLOAD);
    assert_eq!((memory[0] & 1, memory[1]), (1, 1), "NEEDS_CSUM, TCPV4");
    // And back out of the other side as it is.
    let (front, back) = memory[..len].split_at(12);
    let slices = [IoSlice::new(front), IoSlice::new(back)];
    sender.begin_transmit().unwrap().send_with_header(&slices, 12).unwrap();
    let again = receiver.receive_with_header(&mut [IoSliceMut::new(&mut vec![0; 70_000])]).unwrap();
    assert_eq!(again, Some(len));
}

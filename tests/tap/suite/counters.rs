//! What the crate counts is what the kernel counts at the other end of the descriptor.

use std::io::{IoSlice, IoSliceMut};

use tap_plumb::{Backend, Config, Frame, LinkState, Offload, ReceiveError};

use super::host::{self, PacketSocket, ip, wait_until};

/// Packets and bytes that the interface has sent towards the guest, and taken from it.
fn kernel() -> [[u64; 2]; 2] {
    let text = ip("-s link show tap0");
    let lines: Vec<&str> = text.lines().collect();
    ["TX:", "RX:"].map(|way| {
        let at = lines.iter().position(|line| line.trim().starts_with(way)).unwrap();
        let numbers: Vec<u64> =
            lines[at + 1].split_whitespace().take(2).map(|it| it.parse().unwrap()).collect();
        [numbers[1], numbers[0]]
    })
}

fn ours(backend: &Backend) -> [[u64; 2]; 2] {
    let all = backend.statistics();
    [
        [all.receive.frames_received, all.receive.bytes_received],
        [all.transmit.segments_sent, all.transmit.bytes_sent],
    ]
}

/// Row X11.
pub(crate) fn what_is_counted_is_what_the_kernel_counts() {
    for offload in [Offload::NONE, Offload::HEADER_12] {
        let backend = host::backend(Config::new().offload(offload).mtu(9000));
        let socket = PacketSocket::new("tap0");
        let lengths = [60, 64, 65, 1514, 9000];
        let queue = || lengths.iter().for_each(|len| socket.send(&host::frame(*len, 1)));
        let mut room = vec![0; 70_000];
        queue();
        while backend.receive(&mut [IoSliceMut::new(&mut room)]).unwrap().is_some() {}
        assert_eq!(ours(&backend), kernel(), "delivered");
        queue();
        assert_eq!(backend.discard_queued(), 5);
        assert_eq!(ours(&backend), kernel(), "stale");
        queue();
        backend.set_link_state(LinkState::Down);
        assert!(backend.receive(&mut [IoSliceMut::new(&mut room)]).unwrap().is_none());
        assert_eq!(ours(&backend), kernel(), "while the link was down");
        backend.set_link_state(LinkState::Up);
        wait_until("carrier", || ip("link show tap0").contains("LOWER_UP"));
        queue();
        backend.set_link_state(LinkState::Down);
        backend.set_link_state(LinkState::Up);
        assert_eq!(ours(&backend), kernel(), "before it was up");
        assert_eq!(backend.statistics().receive.link_down, 10);
        for len in [60, 1514, 9000] {
            backend
                .begin_transmit()
                .unwrap()
                .send(&Frame::new(&[IoSlice::new(&host::frame(len, 1))]))
                .unwrap();
        }
        let verbatim = vec![0; offload.header_len + 100];
        backend.send_verbatim(&[IoSlice::new(&verbatim)]).unwrap();
        assert_eq!(ours(&backend), kernel(), "sent");
        truncated(&backend, &socket);
        host::assert_adds_up(&backend);
        drop(backend);
    }
}

/// Of a frame that was cut, only what was read is known: its frame is counted, its bytes are not the kernel's.
fn truncated(backend: &Backend, socket: &PacketSocket) {
    socket.send(&host::frame(1514, 1));
    let cut = backend.receive(&mut [IoSliceMut::new(&mut [0; 100])]);
    assert!(matches!(cut, Err(ReceiveError::Truncated { room: 100 })), "{cut:?}");
    let ([ours, _], [kernel, _]) = (ours(backend), kernel());
    assert_eq!((ours[0], ours[1] + 1414), (kernel[0], kernel[1]));
}

/// Row X11. The kernel answers EINVAL to room that its header does not fit, and drops the frame.
pub(crate) fn a_frame_whose_header_finds_no_room_is_counted_as_cut() {
    for offload in [Offload::HEADER_10, Offload::HEADER_12] {
        let backend = host::backend(Config::new().offload(offload));
        let socket = PacketSocket::new("tap0");
        for len in 0..=offload.header_len {
            socket.send(&host::frame(60, 1));
            let mut room = vec![0; len];
            let mut slices = [IoSliceMut::new(&mut room)];
            let cut = backend.receive_with_header(&mut slices[..len.min(1)]);
            assert!(matches!(cut, Err(ReceiveError::Truncated { room: 0 })), "{len}: {cut:?}");
            let all = backend.statistics().receive;
            let taken = 1 + len as u64;
            assert_eq!((all.frames_received, all.truncated, all.io_error), (taken, taken, 0), "{len}");
        }
        assert_eq!(backend.discard_queued(), 0, "each call took one");
        host::assert_adds_up(&backend);
    }
}

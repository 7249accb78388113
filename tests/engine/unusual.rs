//! What is unusual: empty datagrams, ends that are told once, frames that nobody wants, headers with a count, writes without
//! a session.

// UNSAFETY: the raw forms are tested beside the others; each borrows its memory for the whole call.
#![expect(unsafe_code, reason = "the raw forms")]

use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tap_plumb::{
    Backend, Checksum, Config, Frame, LinkState, Offload, RawSlice, ReceiveError, Tap, TransmitError,
};

use crate::device::Device;
use crate::pair;
use crate::segments::oversized;

fn behind_header(offload: Offload) -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    let tap = Config::new().inherited(ours.into()).offload(offload).attach().unwrap();
    (Arc::new(Backend::new(tap)), host)
}

/// Rows X8 and O13.
#[test]
fn an_empty_datagram_is_a_runt_of_no_bytes_and_no_end() {
    for offload in [Offload::NONE, Offload::HEADER_12] {
        let (backend, host) = behind_header(offload);
        host.send(&[]).unwrap();
        let mut buffer = [0; 200];
        // poll(2) of illumos announces no empty datagram, and this one may still be on its way.
        pair::wait_until("the empty datagram", || {
            match backend.receive(&mut [IoSliceMut::new(&mut [0; 200])]) {
                Err(ReceiveError::Runt { len: 0 }) => true,
                Ok(None) => false,
                other => panic!("{other:?}"),
            }
        });
        host.send(&[]).unwrap();
        pair::wait_until("a drain that takes it, too", || backend.discard_queued() == 1);
        host.send(&[0; 100]).unwrap();
        assert!(pair::take(&backend, &mut [IoSliceMut::new(&mut buffer)]).unwrap().is_some(), "it goes on");
        let all = backend.statistics().receive;
        assert_eq!((all.runt, all.stale, all.frames_received), (1, 1, 3));
        pair::assert_adds_up(&backend);
    }
}

/// Row X8.
#[test]
fn of_a_socket_that_has_an_end_no_bytes_are_it() {
    for drained in [false, true] {
        let (ours, host): (OwnedFd, OwnedFd) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty()).unwrap();
        let backend = Backend::new(Tap::from_fd(ours).unwrap());
        nix::unistd::write(&host, &[7; 100]).unwrap();
        drop(host);
        if drained {
            assert_eq!(backend.discard_queued(), 1);
        } else {
            assert!(backend.receive(&mut [IoSliceMut::new(&mut [0; 200])]).unwrap().is_some());
        }
        // The drain has met the end, and the next call tells it.
        let result = backend.receive(&mut [IoSliceMut::new(&mut [0; 200])]);
        assert!(matches!(result, Err(ReceiveError::Gone)), "{result:?}");
        let sent = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&[0; 60])]));
        assert!(matches!(sent, Err(TransmitError::Gone)), "{sent:?}");
        pair::assert_adds_up(&backend);
    }
}

/// Row X9.
#[test]
fn the_peer_of_a_udp_socket_may_start_later_and_again() {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (own, place) = (ours.local_addr().unwrap(), peer.local_addr().unwrap());
    // A peer that hears itself alone is not there, and keeps its port from other tests.
    peer.connect(place).unwrap();
    ours.connect(place).unwrap();
    let backend = Arc::new(Backend::new(Tap::from_fd(ours.into()).unwrap()));
    let device = Arc::new(Device::default());
    let threads = tap_plumb::Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let send = || backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&pair::frame(60, 1))]));
    for round in 1..=2 {
        for _ in 0..5 {
            send().expect("nobody is there, which says nothing of this frame");
            backend.send_verbatim(&[IoSlice::new(&[0; 60])]).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        peer.connect(own).unwrap();
        send().unwrap();
        assert_eq!(peer.recv(&mut [0; 200]).unwrap(), 60);
        peer.send(&pair::frame(60, 2)).unwrap();
        pair::wait_until("the frame", || device.count() == round);
        peer.connect(place).unwrap();
    }
    threads.stop().unwrap();
    // The same without threads: a read that finds the old refusal goes on to the frames.
    send().unwrap();
    assert!(backend.receive(&mut [IoSliceMut::new(&mut [0; 200])]).unwrap().is_none());
    assert_eq!(device.gone.load(std::sync::atomic::Ordering::SeqCst), 0);
    pair::assert_adds_up(&backend);
}

/// Row X11.
#[test]
fn the_bytes_of_frames_that_nobody_wants_are_those_of_the_frames() {
    for (offload, header) in [(Offload::NONE, 0), (Offload::HEADER_12, 12)] {
        let (backend, host) = behind_header(offload);
        let lengths = [14, 60, 64, 65, 1514, 4160, 9000, 65_000];
        let queue = || {
            for len in lengths {
                host.send(&vec![7; header + len]).unwrap();
            }
        };
        let total: u64 = lengths.iter().sum::<usize>() as u64;
        queue();
        // Some of them may still be on their way.
        let discarded = Cell::new(0);
        pair::wait_until("the stale frames", || {
            discarded.set(discarded.get() + backend.discard_queued());
            discarded.get() == lengths.len() as u64
        });
        assert_eq!(backend.statistics().receive.bytes_received, total, "stale");
        backend.set_link_state(LinkState::Down);
        queue();
        pair::wait_until("the frames of a link that is down", || {
            assert!(backend.receive(&mut [IoSliceMut::new(&mut [0; 200])]).unwrap().is_none());
            backend.statistics().receive.link_down == lengths.len() as u64
        });
        let all = backend.statistics().receive;
        assert_eq!((all.bytes_received, all.stale, all.link_down), (2 * total, 8, 8));
        assert_eq!((all.bytes_delivered, all.frames_delivered), (0, 0));
        pair::assert_adds_up(&backend);
    }
}

/// Kernels leave there what they like: 0, or what was in the guest's memory before.
#[test]
fn a_received_header_counts_one_buffer_whatever_slices_it_lies_in() {
    for cut in (0..=26).chain([40, 72, 100]) {
        for second in [cut, cut + 1, cut + 11] {
            for raw in [false, true] {
                let (backend, host) = behind_header(Offload::HEADER_12);
                host.send(&[0xee; 72]).unwrap();
                pair::wait_readable(&backend);
                let mut memory = [0; 120];
                let len = if raw {
                    let start = memory.as_mut_ptr();
                    let slices = [(0, cut), (cut, second - cut), (second, 120 - second)]
                        .map(|(at, len)| RawSlice::new(start.wrapping_add(at), len));
                    // SAFETY: the slices lie in `memory`, which nothing else touches during the call.
                    unsafe { backend.receive_raw_with_header(&slices) }
                } else {
                    let (front, rest) = memory.split_at_mut(cut);
                    let (middle, back) = rest.split_at_mut(second - cut);
                    backend.receive_with_header(&mut [front, middle, back].map(IoSliceMut::new))
                };
                assert_eq!(len.unwrap(), Some(72));
                let mut expected = [0xee; 72];
                expected[10..12].copy_from_slice(&[1, 0]);
                assert_eq!(memory[..72], expected, "{cut} {second} {raw}");
            }
        }
    }
    let (backend, host) = behind_header(Offload::HEADER_10);
    host.send(&[0xee; 72]).unwrap();
    pair::wait_readable(&backend);
    let mut memory = [0; 120];
    backend.receive_with_header(&mut [IoSliceMut::new(&mut memory)]).unwrap();
    assert_eq!(memory[..72], [0xee; 72], "a short header has no count");
}

/// Room of 65550 bytes is read into as it is. What fills it may have been longer. A datagram that long is Linux' own.
#[cfg(target_os = "linux")]
#[test]
fn a_frame_that_fills_the_usual_room_is_never_delivered_cut_nor_lost_uncounted() {
    for (offload, header) in [(Offload::NONE, 0), (Offload::ALL, 12)] {
        let (backend, host) = behind_header(offload);
        let mut buffer = vec![0; header + 65_550];
        let mut take_into = |room: usize, len: usize| {
            host.send(&vec![0; header + len]).unwrap();
            let room = IoSliceMut::new(&mut buffer[..header + room]);
            match header {
                0 => backend.receive(&mut [room]).map(|taken| taken.map(|it| it.len)),
                _ => backend.receive_with_header(&mut [room]),
            }
        };
        // Room without a byte to spare gets one.
        assert_eq!(take_into(65_549, 65_549).unwrap(), Some(header + 65_549));
        let mut take = |len: usize| take_into(65_550, len);
        assert_eq!(take(65_549).unwrap(), Some(header + 65_549));
        let full = take(65_550);
        assert!(matches!(full, Err(ReceiveError::Truncated { room: 65_549 })), "{full:?}");
        assert_eq!(take(65_550).unwrap(), Some(header + 65_550), "now it is told from a longer one");
        let longer = take(65_551);
        assert!(matches!(longer, Err(ReceiveError::Truncated { room: 65_550 })), "{longer:?}");
        let all = backend.statistics().receive;
        assert_eq!((all.frames_received, all.truncated, all.frames_delivered), (5, 2, 3));
        pair::assert_adds_up(&backend);
    }
}

#[test]
fn a_verbatim_frame_is_what_it_is_and_needs_no_session() {
    let (backend, host) = behind_header(Offload::HEADER_12);
    let session = backend.begin_transmit().unwrap();
    let bytes: Vec<u8> = (0..90).collect();
    let sent = std::thread::scope(|scope| {
        let send = || backend.send_verbatim(&[IoSlice::new(&bytes[..5]), IoSlice::new(&bytes[5..])]);
        scope.spawn(send).join().unwrap()
    });
    assert_eq!(sent.unwrap(), 90);
    assert_eq!(pair::host_receive(&host), bytes);
    let raw = [RawSlice::new(bytes.as_ptr().cast_mut(), bytes.len())];
    // SAFETY: the slice lies in `bytes`, which is not written to during the call.
    assert_eq!(unsafe { backend.send_raw_verbatim(&raw) }.unwrap(), 90);
    assert_eq!(pair::host_receive(&host), bytes);
    drop(session);
    backend.set_link_state(LinkState::Down);
    let refused = backend.send_verbatim(&[IoSlice::new(&bytes)]);
    assert!(matches!(refused, Err(TransmitError::LinkDown)), "{refused:?}");
    backend.set_link_state(LinkState::Up);
    let all = backend.statistics().transmit;
    assert_eq!((all.frames_offered, all.frames_sent, all.segments_sent, all.link_down), (3, 2, 2, 1));
    assert_eq!(all.bytes_sent, 2 * 78, "the header is none of the frame");
    pair::assert_adds_up(&backend);
}

#[test]
fn verbatim_frames_of_many_threads_are_all_counted_beside_those_of_a_session() {
    let (backend, host) = pair::backend();
    host.set_nonblocking(true).unwrap();
    let sent = OnceLock::new();
    let taken = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut count, mut buffer, start) = (0_u64, [0; 200], Instant::now());
            while sent.get() != Some(&count) && start.elapsed() < Duration::from_secs(30) {
                match host.recv(&mut buffer) {
                    Ok(_) => count += 1,
                    Err(_) => std::thread::yield_now(),
                }
            }
            count
        });
        let senders: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| (0..5000).for_each(|_| drop(backend.send_verbatim(&[IoSlice::new(&[7; 60])]))))
            })
            .collect();
        let mut session = backend.begin_transmit().unwrap();
        for _ in 0..5000 {
            let _ = session.send(&Frame::new(&[IoSlice::new(&[7; 60])]));
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        sent.set(backend.statistics().transmit.frames_sent).unwrap();
        reader.join().unwrap()
    });
    let all = backend.statistics().transmit;
    assert_eq!((all.frames_offered, all.frames_sent, all.bytes_sent), (20_000, taken, 60 * taken));
    pair::assert_adds_up(&backend);
    // A refusal without a session leaves no debt behind that would keep the next one out.
    assert!(backend.begin_transmit().is_some());
}

#[test]
fn a_checksum_that_the_host_has_verified_is_told() {
    let (backend, host) = behind_header(Offload::ALL);
    let mut buffer = vec![0; backend.receive_buffer_len()];
    // Nothing, verified by the host, and verified behind headers of an oversized frame whose checksum is left open.
    for (flags, kind, valid) in [(0, 0, false), (2, 0, true), (1, 1, false), (3, 1, true)] {
        let header = [flags, kind, 54, 0, 0xe8, 3, 34, 0, 16, 0, 1, 0];
        host.send(&[&header[..], &oversized().0].concat()).unwrap();
        let received = pair::take(&backend, &mut [IoSliceMut::new(&mut buffer)]).unwrap().expect("a frame");
        assert_eq!((received.checksum_valid, received.gso.is_some()), (valid, kind == 1), "{header:?}");
    }
    let (bare, host) = pair::backend();
    host.send(&pair::frame(60, 2)).unwrap();
    let received = pair::take(&bare, &mut [IoSliceMut::new(&mut buffer)]).unwrap().expect("a frame");
    assert!(!received.checksum_valid, "there is no header that could say it");
}

#[test]
fn an_array_of_iovecs_is_an_array_of_slices() {
    let mut bytes = [0; 8];
    let start = bytes.as_mut_ptr();
    let iovecs = [(start, 3), (start.wrapping_add(3), 5)]
        .map(|(start, len)| libc::iovec { iov_base: start.cast(), iov_len: len });
    let slices = RawSlice::from_iovecs(&iovecs);
    let told: Vec<_> = slices.iter().map(|slice| (slice.as_ptr(), slice.len())).collect();
    assert_eq!(told, [(start, 3), (start.wrapping_add(3), 5)]);
    assert!(RawSlice::from_iovecs(&[]).is_empty());
}

#[test]
fn an_ipv4_header_checksum_is_completed_on_the_way() {
    let (backend, host) = pair::backend();
    let mut frame = pair::frame(60, 0);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..34].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 9, 9, 192, 0, 2, 1, 192, 0, 2, 2]);
    let slices = [IoSlice::new(&frame)];
    let asked = Frame::new(&slices).checksum(Checksum::Complete).ipv4_checksum();
    backend.begin_transmit().unwrap().send(&asked).unwrap();
    let sent = pair::host_receive(&host);
    assert_eq!(tap_plumb::internet_checksum(&sent[14..34]), 0);
    assert_eq!((&sent[..24], &sent[26..]), (&frame[..24], &frame[26..]));
}

#[test]
fn a_verbatim_frame_in_too_many_slices_or_of_no_bytes_is_not_sent() {
    let (backend, _host) = pair::backend();
    let most = pair::most_slices();
    let bytes = [7];
    let many = vec![IoSlice::new(&bytes); most + 1];
    let error = backend.send_verbatim(&many).unwrap_err();
    let TransmitError::TooManySlices { slices, limit } = error else { panic!("{error}") };
    assert_eq!((slices, limit), (most + 1, most));
    for nothing in [&[][..], &[IoSlice::new(&[]), IoSlice::new(&[])]] {
        assert!(backend.send_verbatim(nothing).is_err());
    }
    let all = backend.statistics().transmit;
    assert_eq!((all.frames_sent, all.too_many_slices), (0, 1));
    pair::assert_adds_up(&backend);
}

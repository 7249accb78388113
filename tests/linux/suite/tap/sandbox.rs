//! A thread that moves frames may make four system calls, whatever comes of them: sandboxes allow no more.

// UNSAFETY: the raw forms are among what is tested.
#![expect(unsafe_code, reason = "the raw forms of send and receive")]

use std::io::{IoSlice, IoSliceMut};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tap_plumb::{
    Backend, Checksum, Config, Frame, Gso, GsoKind, LinkState, Offload, RawSlice, ReceiveError, TransmitError,
};

use super::host::{self, PacketSocket, ip, wait_until};
use super::process;
use super::seccomp::with_only;
use super::seccomp::with_refused;

const DATA: [i64; 4] = [libc::SYS_read, libc::SYS_readv, libc::SYS_write, libc::SYS_writev];

/// Every form of receive into `room`; what each came to.
fn receive(backend: &Backend, room: &mut [u8]) -> Vec<Result<bool, ReceiveError>> {
    let start = room.as_mut_ptr();
    let (first, len) = (room.len().min(20), room.len());
    let mut all = Vec::with_capacity(8);
    let raw = [RawSlice::new(start, first), RawSlice::new(start.wrapping_add(first), len - first)];
    all.push(backend.receive(&mut [IoSliceMut::new(room)]).map(|it| it.is_some()));
    let (front, back) = room.split_at_mut(first);
    all.push(backend.receive(&mut [IoSliceMut::new(front), IoSliceMut::new(back)]).map(|it| it.is_some()));
    // SAFETY: both slices lie in `room`, which no reference is used to meanwhile.
    all.push(unsafe { backend.receive_raw(&raw) }.map(|it| it.is_some()));
    if backend.tap().offload().header_len > 0 {
        all.push(backend.receive_with_header(&mut [IoSliceMut::new(room)]).map(|it| it.is_some()));
        // SAFETY: as above.
        all.push(unsafe { backend.receive_raw_with_header(&raw) }.map(|it| it.is_some()));
    }
    all
}

const GSO: Gso =
    Gso { kind: GsoKind::Tcp4, header_len: 54, segment_size: 100, network_offset: 14, transport_offset: 34 };

/// Headers of 54 bytes and 300 more.
fn oversized() -> Vec<u8> {
    let mut frame = vec![7; 354];
    frame[12..15].copy_from_slice(&[8, 0, 0x45]);
    frame[20..24].copy_from_slice(&[0, 0, 64, 6]);
    frame[46] = 0x50;
    frame
}

/// Every form of send and resume, of a frame that is sent as it is and of one that is cut; and the writes without a session.
fn send(backend: &Backend, frame: &[u8]) -> Vec<Result<(), TransmitError>> {
    let mut all = Vec::with_capacity(12);
    let (oversized, header) = (oversized(), [0; 12]);
    let raw = [&header[..], frame].map(|bytes| RawSlice::new(bytes.as_ptr().cast_mut(), bytes.len()));
    let (bare, behind) = ([IoSlice::new(frame)], [IoSlice::new(&header), IoSlice::new(frame)]);
    let verbatim = usize::from(backend.tap().offload() == Offload::NONE);
    all.push(backend.send_verbatim(&behind[verbatim..]).map(drop));
    // SAFETY: the slices are borrowed and not written to during the call.
    all.push(unsafe { backend.send_raw_verbatim(&raw[verbatim..]) }.map(drop));
    let mut session = backend.begin_transmit().unwrap();
    all.push(session.send(&Frame::new(&bare)));
    all.push(session.resume(&Frame::new(&bare), 0));
    all.push(session.send(&Frame::new(&[IoSlice::new(&oversized)]).gso(GSO)));
    all.push(session.resume(&Frame::new(&[IoSlice::new(&oversized)]).gso(GSO), 1));
    all.push(session.send_with_header(&behind, 12));
    all.push(session.resume_with_header(&behind, 12, 0));
    // SAFETY: as above.
    all.push(unsafe { session.send_raw(&raw[1..], None, Checksum::Complete) });
    // SAFETY: as above.
    all.push(unsafe { session.resume_raw(&raw[1..], None, Checksum::Complete, 0) });
    // SAFETY: as above.
    all.push(unsafe { session.send_raw_with_header(&raw, 12) });
    // SAFETY: as above.
    all.push(unsafe { session.resume_raw_with_header(&raw, 12, 0) });
    all
}

/// Every form of send, of a frame whose context or header asks for what there is not.
fn reject(backend: &Backend, frame: &[u8]) -> Vec<Result<(), TransmitError>> {
    let wrong = Gso { transport_offset: 38, ..GSO };
    let header = [9; 12];
    let raw = [&header[..], frame].map(|bytes| RawSlice::new(bytes.as_ptr().cast_mut(), bytes.len()));
    let mut session = backend.begin_transmit().unwrap();
    let mut all = Vec::with_capacity(6);
    all.push(session.send(&Frame::new(&[IoSlice::new(frame)]).gso(wrong)));
    all.push(session.resume(&Frame::new(&[IoSlice::new(frame)]).gso(wrong), 1));
    all.push(session.send_with_header(&[IoSlice::new(&header), IoSlice::new(frame)], 12));
    // SAFETY: the slices are borrowed and not written to during the call.
    all.push(unsafe { session.send_raw(&raw[1..], Some(wrong), Checksum::Complete) });
    // SAFETY: as above.
    all.push(unsafe { session.send_raw_with_header(&raw, 12) });
    all
}

fn attach(name: &str, offload: Offload) -> Backend {
    Backend::new(Config::new().name(name).offload(offload).up().attach().unwrap())
}

fn pair(offload: Offload) -> (Backend, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    (Backend::new(Config::new().inherited(ours.into()).offload(offload).attach().unwrap()), host)
}

/// In processes of their own: where other tests allocate, the allocator may ask for memory here, which is a fifth call.
pub(crate) const ROLES: &[process::Role] =
    &[("four-calls", |_| move_frames()), ("no-buffers", |_| find_no_buffers())];

/// Row X14.
pub(crate) fn read_readv_write_and_writev_are_all_calls_whatever_the_outcome() {
    process::run("four-calls", "");
}

fn move_frames() {
    host::quiet();
    for (at, offload) in [Offload::NONE, Offload::HEADER_12, Offload::ALL].into_iter().enumerate() {
        let name = format!("sand{at}");
        let backend = attach(&name, offload);
        let forms = if offload == Offload::NONE { 3 } else { 5 };
        let socket = PacketSocket::new(&name);
        let queue = |len: usize| (0..forms).for_each(|_| socket.send(&host::frame(len, 1)));
        let (bytes, mut room) = (host::frame(60, 1), vec![0; 70_000]);
        queue(60);
        queue(1514);
        with_only(&DATA, || {
            assert!(receive(&backend, &mut room).iter().all(|it| matches!(it, Ok(true))), "frames");
            let cut = receive(&backend, &mut room[..200]);
            assert!(cut.iter().all(|it| matches!(it, Err(ReceiveError::Truncated { .. }))), "{cut:?}");
            assert!(receive(&backend, &mut room).iter().all(|it| matches!(it, Ok(false))), "none");
            assert!(send(&backend, &bytes).iter().all(Result::is_ok), "frames");
            assert!(
                send(&backend, &bytes[..10]).iter().any(|it| matches!(it, Err(TransmitError::Runt { .. })))
            );
            let rejected = reject(&backend, &bytes);
            assert!(rejected.iter().all(|it| matches!(it, Err(TransmitError::Rejected(_)))), "{rejected:?}");
            let long = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&room)]));
            assert!(matches!(long, Err(TransmitError::Oversize { .. })), "{long:?}");
            let again = backend.begin_transmit().unwrap().resume(&Frame::new(&[IoSlice::new(&bytes)]), 1);
            assert!(matches!(again, Err(TransmitError::BadResume { .. })), "{again:?}");
        });
        queue(60);
        ip(&format!("link set {name} down"));
        with_only(&DATA, || {
            let down = send(&backend, &bytes);
            assert!(down.iter().all(|it| matches!(it, Err(TransmitError::InterfaceDown { .. }))), "{down:?}");
            assert!(receive(&backend, &mut room).iter().all(Result::is_ok));
        });
        ip(&format!("link set {name} up"));
        let socket = PacketSocket::new(&name);
        wait_until("carrier", || ip(&format!("link show {name}")).contains("LOWER_UP"));
        (0..forms).for_each(|_| socket.send(&host::frame(60, 1)));
        backend.set_link_state(LinkState::Down);
        with_only(&DATA, || {
            assert!(receive(&backend, &mut room).iter().all(|it| matches!(it, Ok(false))), "link down");
            assert!(send(&backend, &bytes).iter().all(|it| matches!(it, Err(TransmitError::LinkDown))));
        });
        backend.set_link_state(LinkState::Up);
        ip(&format!("link del {name}"));
        with_only(&DATA, || {
            assert!(receive(&backend, &mut room).iter().all(|it| matches!(it, Err(ReceiveError::Gone))));
            assert!(send(&backend, &bytes).iter().all(|it| matches!(it, Err(TransmitError::Gone))));
        });
        host::assert_adds_up(&backend);
    }
    over_sockets();
}

/// What a TAP does not do: runts, bad headers, a full queue.
fn over_sockets() {
    for offload in [Offload::NONE, Offload::HEADER_12] {
        let (backend, host) = pair(offload);
        let forms = if offload == Offload::NONE { 3 } else { 5 };
        let (bytes, mut room) = (host::frame(60, 1), vec![0; 70_000]);
        (0..forms).for_each(|_| assert_eq!(host.send(&[7; 5]).unwrap(), 5));
        with_only(&DATA, || {
            let runts = receive(&backend, &mut room);
            assert!(runts.iter().all(|it| matches!(it, Err(ReceiveError::Runt { .. }))), "{runts:?}");
        });
        if offload != Offload::NONE {
            // A kind that there is not.
            (0..forms).for_each(|_| assert_eq!(host.send(&[9; 200]).unwrap(), 200));
            with_only(&DATA, || {
                let rejected = receive(&backend, &mut room);
                assert!(
                    rejected[..3].iter().all(|it| matches!(it, Err(ReceiveError::Rejected(_)))),
                    "{rejected:?}"
                );
            });
        }
        with_only(&DATA, || {
            while send(&backend, &bytes).iter().all(Result::is_ok) {}
            let full = send(&backend, &bytes);
            assert!(full.iter().all(|it| matches!(it, Err(TransmitError::WouldBlock { .. }))), "{full:?}");
        });
        host::assert_adds_up(&backend);
    }
}

/// Row X14.
pub(crate) fn a_host_without_buffers_costs_no_other_call() {
    process::run("no-buffers", "");
}

fn find_no_buffers() {
    let backend = Arc::new(attach("sand0", Offload::HEADER_12));
    let bytes = host::frame(60, 1);
    with_refused(libc::SYS_writev, None, libc::ENOBUFS, || {
        with_only(&DATA, || {
            let full = send(&backend, &bytes);
            assert!(full.iter().all(|it| matches!(it, Err(TransmitError::NoBufferSpace { .. }))), "{full:?}");
        });
    });
    host::assert_adds_up(&backend);
}

//! Frames, in every form and with every outcome.

// UNSAFETY: the forms for guest memory are among what is tested.
#![expect(unsafe_code, reason = "the raw forms")]

use std::io::{IoSlice, IoSliceMut, Write};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd};
use tap_plumb::{
    Backend, Checksum, Config, Frame, GsoKind, LinkState, Offload, RawSlice, ReceiveError, TransmitError,
};

use super::host::{self, PacketSocket, ip};
use super::recipes::Recipe;
use super::sandbox::Sandbox;
use super::scenarios::Scenario;

pub(crate) const ROW: &str =
    "receive in all forms, discard_queued, and send, resume and send_verbatim in all forms";
const FREE: &str = "begin_transmit, begin_transmit_owned, the end of a session, as_fd, as_raw_fd, tap, into_tap, into_fd, created, \
    offload, receive_buffer_len, measure_time, use_host_offload, set_promiscuous, link_events";

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "received", rows: &[ROW], play: received },
    Scenario { name: "not-received", rows: &[ROW], play: not_received },
    Scenario { name: "received-behind-headers", rows: &[ROW], play: behind_headers },
    Scenario { name: "sent", rows: &[ROW], play: sent },
    Scenario { name: "not-sent", rows: &[ROW], play: not_sent },
    Scenario { name: "cut", rows: &[ROW], play: cut },
    Scenario { name: "free", rows: &[FREE], play: free },
];

pub(crate) fn backend(config: Config) -> Arc<Backend> {
    host::backend(config)
}

/// Waits until a frame can be read.
fn queued(backend: &Backend) {
    let mut fds = [PollFd::new(backend.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(1000_u16)), Ok(1));
}

fn received(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    let wire = PacketSocket::new("tap0");
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let raw = [RawSlice::new(buffer.as_mut_ptr(), buffer.len())];
    for round in 0..3 {
        wire.send(&host::frame(60, round));
        queued(&backend);
        let received = sandbox.within(|| match round {
            0 => backend.receive(&mut [IoSliceMut::new(&mut buffer)]),
            1 => {
                let (front, rest) = buffer.split_at_mut(20);
                backend.receive(&mut [IoSliceMut::new(front), IoSliceMut::new(rest)])
            }
            // SAFETY: the slice is all of `buffer`, 1500 bytes and more, which this function owns until its end and which
            // nothing refers to during the call.
            _ => unsafe { backend.receive_raw(&raw) },
        });
        assert_eq!(received.unwrap().unwrap().len, 60);
    }
}

fn not_received(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    let wire = PacketSocket::new("tap0");
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let mut receive =
        |room: usize| sandbox.within(|| backend.receive(&mut [IoSliceMut::new(&mut buffer[..room])]));
    assert!(receive(100).unwrap().is_none());
    let send = || {
        wire.send(&host::frame(1514, 0));
        queued(&backend);
    };
    send();
    assert!(matches!(receive(100), Err(ReceiveError::Truncated { .. })));
    send();
    send();
    assert_eq!(sandbox.within(|| backend.discard_queued()), 2);
    backend.set_link_state(LinkState::Down);
    send();
    assert!(receive(1515).unwrap().is_none());
    backend.set_link_state(LinkState::Up);
    ip("link del tap0");
    for _ in 0..2 {
        assert!(matches!(receive(1515), Err(ReceiveError::Gone)));
    }
}

fn behind_headers(sandbox: &Sandbox) {
    let backend = backend(Config::new().offload(Offload::ALL));
    let wire = PacketSocket::new("tap0");
    let mut buffer = vec![0; 12 + backend.receive_buffer_len()];
    for with in [true, false] {
        wire.send(&host::frame(60, 0));
        queued(&backend);
        let len = sandbox.within(|| {
            let mut room = [IoSliceMut::new(&mut buffer)];
            if with {
                backend.receive_with_header(&mut room).map(Option::unwrap)
            } else {
                backend.receive(&mut room).map(|received| received.unwrap().len)
            }
        });
        assert_eq!(len.unwrap(), if with { 72 } else { 60 });
    }
}

fn sent(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    let mut frame = host::frame(60, 0);
    let raw = [RawSlice::new(frame.as_mut_ptr(), 60)];
    let frame = &frame[..];
    let outcomes = sandbox.within(|| {
        let mut session = backend.begin_transmit().unwrap();
        [
            session.send(&Frame::new(&[IoSlice::new(frame)])),
            session.send(&Frame::new(&[IoSlice::new(&frame[..20]), IoSlice::new(&frame[20..])])),
            session.send_with_header(&[IoSlice::new(&[0; 12]), IoSlice::new(frame)], 12),
            // SAFETY: the slice is all of `frame`, 60 bytes which this function owns until its end and nobody writes to.
            unsafe { session.send_raw(&raw, None, Checksum::Complete) },
            session.resume(&Frame::new(&[IoSlice::new(frame)]), 0),
        ]
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let verbatim = sandbox.within(|| {
        [
            backend.send_verbatim(&[IoSlice::new(frame)]),
            backend.send_verbatim(&[IoSlice::new(&frame[..20]), IoSlice::new(&frame[20..])]),
            // SAFETY: as above.
            unsafe { backend.send_raw_verbatim(&raw) },
        ]
    });
    assert!(verbatim.iter().all(|written| matches!(written, Ok(60))), "{verbatim:?}");
}

fn not_sent(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    let long = vec![0; 70_000];
    let send = |frame: &[u8]| {
        sandbox
            .within(|| backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(frame)])))
            .unwrap_err()
    };
    assert!(matches!(send(&long[..10]), TransmitError::Runt { .. }));
    assert!(matches!(send(&long), TransmitError::Oversize { .. }));
    let (_, wrong) = Recipe::plain(GsoKind::Tcp4, 3000, 1000).build();
    let rejected = sandbox.within(|| {
        let frame = [IoSlice::new(&long[..60])];
        backend.begin_transmit().unwrap().send(&Frame::new(&frame).gso(wrong))
    });
    assert!(matches!(rejected, Err(TransmitError::Rejected(_))), "{rejected:?}");
    backend.set_link_state(LinkState::Down);
    assert!(matches!(send(&long[..60]), TransmitError::LinkDown));
    backend.set_link_state(LinkState::Up);
    ip("link set tap0 down");
    assert!(matches!(send(&long[..60]), TransmitError::InterfaceDown { .. }));
    ip("link del tap0");
    for _ in 0..2 {
        assert!(matches!(send(&long[..60]), TransmitError::Gone));
    }
}

/// By the host, and in software.
fn cut(sandbox: &Sandbox) {
    let (frame, gso) = Recipe::plain(GsoKind::Tcp4, 3000, 1000).build();
    for offload in [Offload::ALL, Offload::NONE] {
        let backend = backend(Config::new().offload(offload));
        let outcomes = sandbox.within(|| {
            let frame = [IoSlice::new(&frame)];
            let frame = Frame::new(&frame).gso(gso);
            let mut session = backend.begin_transmit().unwrap();
            [session.send(&frame), session.resume(&frame, 2)]
        });
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert!(backend.statistics().transmit.segments_sent >= 2);
    }
}

fn free(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    sandbox.within(|| {
        drop(backend.begin_transmit().unwrap());
        backend.measure_time(true);
        backend.use_host_offload(true);
        backend.set_promiscuous(true);
        drop(Arc::clone(&backend).begin_transmit_owned().unwrap());
        assert!(backend.link_events().is_none() && backend.tap().created());
        (backend.as_fd().as_raw_fd(), backend.tap().offload(), backend.receive_buffer_len())
    });
    // What a warning on the way of a frame says of the backend.
    let mut line = [0; 64];
    sandbox.within(|| write!(&mut line[..], "{backend:?}")).unwrap();
    assert!(line.starts_with(b"Backend { fd: "), "{}", line.escape_ascii());
    let frame = host::frame(60, 0);
    // The clock is read without a system call, where the kernel lets it be.
    assert!(backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)])).is_ok());
    let backend = Arc::into_inner(backend).unwrap();
    assert!(sandbox.within(|| backend.into_tap().into_fd()).is_ok());
}

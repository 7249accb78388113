//! Frames through the engine and the stream head: one read a frame, one write a frame, whatever is queued.

use std::io::{IoSlice, IoSliceMut};

use proptest::prelude::*;
use streams_model::{Errno, Machine, Message, MessageKind, Moment, Trouble};

use crate::Backend;
use crate::Frame;
use crate::bench::{assert_nothing_wrong, attach, calls, everything, named};
use crate::{ReceiveError, TransmitError};

/// A frame that tells its place in a row.
fn frame(len: usize, mark: u8) -> Vec<u8> {
    let mut frame = vec![mark; len];
    frame[..14].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, mark, 0x88, 0xb5]);
    frame
}

fn backend(name: &str) -> Backend {
    Backend::new(attach(named(name)))
}

fn send(backend: &Backend, frame: &[u8]) -> Result<(), TransmitError> {
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(frame)]))
}

fn receive(backend: &Backend, room: usize) -> Result<Option<Vec<u8>>, ReceiveError> {
    let mut buffer = vec![0; room];
    let received = backend.receive(&mut [IoSliceMut::new(&mut buffer)])?;
    Ok(received.map(|received| buffer[..received.len].to_vec()))
}

fn written(machine: &Machine) -> Vec<Vec<u8>> {
    machine.kernel(|kernel| kernel.traffic().written.iter().map(|(_, frame)| frame.clone()).collect())
}

/// Row hazard 30.
#[test]
fn queued_frames_are_not_run_together() {
    let machine = Machine::boot();
    let backend = backend("tap3");
    for (len, mark) in [(60, 1), (42, 2), (1514, 3)] {
        assert!(machine.inject_frame(3, &frame(len, mark)));
    }
    for (len, mark) in [(60, 1), (42, 2), (1514, 3)] {
        assert_eq!(receive(&backend, 16384).unwrap(), Some(frame(len, mark)));
    }
    assert_eq!(receive(&backend, 16384).unwrap(), None);
}

proptest! {
    /// Row invariant 9.
    #[test]
    fn k_frames_in_are_k_frames_out(
        lens in proptest::collection::vec(14_usize..=1514, 1..12),
        room in 1514_usize..4000,
        cuts in proptest::collection::vec(1_usize..1513, 0..3),
    ) {
        let machine = Machine::boot();
        let backend = backend("tap3");
        for (mark, len) in lens.iter().enumerate() {
            machine.inject_frame(3, &frame(*len, mark as u8));
        }
        for (mark, len) in lens.iter().enumerate() {
            let mut buffer = vec![0; room];
            let received = receive_scattered(&backend, &mut buffer, &cuts).unwrap();
            prop_assert_eq!(&buffer[..received.unwrap()], frame(*len, mark as u8));
        }
        prop_assert_eq!(receive(&backend, room).unwrap(), None);
        let statistics = backend.statistics().receive;
        prop_assert_eq!((statistics.frames_received, statistics.dropped()), (lens.len() as u64, 0));
    }

    /// Row invariant 9.
    #[test]
    fn what_is_sent_is_what_is_written(
        len in 21_usize..=2048,
        cuts in proptest::collection::vec(1_usize..2047, 0..4),
    ) {
        let machine = Machine::boot();
        let backend = backend("tap3");
        let whole = frame(len, 9);
        let mut slices = Vec::new();
        let mut rest = &whole[..];
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            slices.push(IoSlice::new(head));
            rest = tail;
        }
        slices.push(IoSlice::new(rest));
        let sent = backend.begin_transmit().unwrap().send(&Frame::new(&slices));
        // The validator wants the Ethernet header; how it is scattered does not matter.
        prop_assert!(sent.is_ok(), "{:?}", sent);
        prop_assert_eq!(written(&machine), [whole]);
        prop_assert_eq!(calls(&machine, "write").len() + calls(&machine, "writev").len(), 1);
    }
}

fn receive_scattered(
    backend: &Backend,
    mut rest: &mut [u8],
    cuts: &[usize],
) -> Result<Option<usize>, ReceiveError> {
    let mut slices = Vec::new();
    for cut in cuts {
        let (head, tail) = rest.split_at_mut(rest.len().min(*cut));
        slices.push(IoSliceMut::new(head));
        rest = tail;
    }
    slices.push(IoSliceMut::new(rest));
    Ok(backend.receive(&mut slices)?.map(|received| received.len))
}

/// Row invariant 9.
#[test]
fn a_frame_longer_than_the_buffer_is_told_and_leaves_no_tail() {
    let machine = Machine::boot();
    let backend = backend("tap3");
    machine.inject_frame(3, &frame(100, 1));
    machine.inject_frame(3, &frame(60, 2));
    assert!(matches!(receive(&backend, 99), Err(ReceiveError::Truncated { room: 99 })));
    assert_eq!(receive(&backend, 60).unwrap(), Some(frame(60, 2)), "a buffer that just fits");
    assert_eq!(backend.statistics().receive.truncated, 1);
}

/// Row hazard 31.
#[test]
fn lengths_the_driver_refuses_are_errors_of_their_own() {
    let machine = Machine::boot();
    let backend = backend("tap3");
    assert!(matches!(send(&backend, &frame(20, 1)), Err(TransmitError::Runt { len: 20, limit: 21 })));
    assert!(matches!(send(&backend, &frame(14, 1)), Err(TransmitError::Runt { len: 14, limit: 21 })));
    assert!(matches!(
        send(&backend, &frame(2049, 1)),
        Err(TransmitError::Oversize { len: 2049, limit: 2048 })
    ));
    assert!(matches!(
        send(&backend, &frame(9014, 1)),
        Err(TransmitError::Oversize { len: 9014, limit: 2048 })
    ));
    assert_eq!(written(&machine), [] as [Vec<u8>; 0]);
    for len in [21, 2048] {
        send(&backend, &frame(len, 2)).unwrap();
    }
    assert_eq!(written(&machine), [frame(21, 2), frame(2048, 2)]);
    let statistics = backend.statistics().transmit;
    assert_eq!((statistics.runt, statistics.oversize, statistics.frames_sent), (2, 2, 2));
}

/// Row hazard 31.
#[test]
fn each_errno_of_a_write_has_its_meaning() {
    let machine = Machine::boot();
    let backend = backend("tap3");
    let fail = |errno| {
        machine.fail_nth(1, |record| record.is("write"), Trouble::Errno(errno), Moment::Before);
        let outcome = send(&backend, &frame(60, 1));
        machine.kernel(streams_model::Kernel::clear_faults);
        outcome
    };
    assert!(matches!(fail(Errno::EAGAIN), Err(TransmitError::WouldBlock { sent: 0 })));
    assert!(matches!(fail(Errno::EINTR), Ok(())), "nothing was taken, so it is sent again");
    assert!(matches!(fail(Errno::ERANGE), Err(TransmitError::LengthRefused { len: 60, sent: 0 })));
    for errno in [Errno::ENOSR, Errno::ENOMEM, Errno::ENOBUFS] {
        assert!(matches!(fail(errno), Err(TransmitError::NoBufferSpace { sent: 0 })), "{errno}");
    }
    assert!(matches!(fail(Errno::ENETDOWN), Err(TransmitError::InterfaceDown { sent: 0 })));
    assert!(matches!(fail(Errno::EINVAL), Err(TransmitError::Io { .. })));
    assert!(matches!(fail(Errno::EIO), Err(TransmitError::Gone)));
    assert_nothing_wrong(&machine);
}

#[test]
fn every_errno_that_says_the_stream_is_dead_says_that_the_interface_is_gone() {
    for errno in [Errno::EIO, Errno::ENXIO, Errno::ENODEV] {
        let machine = Machine::boot();
        let backend = backend("tap3");
        machine.fail_nth(1, |record| record.is("write"), Trouble::Errno(errno), Moment::Before);
        assert!(matches!(send(&backend, &frame(60, 1)), Err(TransmitError::Gone)), "{errno}");
    }
    for errno in [Errno::EIO, Errno::ENXIO, Errno::ENODEV, Errno::ENOSR] {
        let machine = Machine::boot();
        let backend = backend("tap3");
        machine.fail_nth(1, |record| record.is("read"), Trouble::Errno(errno), Moment::Before);
        assert!(matches!(receive(&backend, 4096), Err(ReceiveError::Gone)), "{errno}");
    }
}

#[test]
fn a_read_that_is_interrupted_or_finds_nothing_is_no_error() {
    let machine = Machine::boot();
    let backend = backend("tap3");
    machine.inject_frame(3, &frame(60, 1));
    machine.fail_nth(1, |record| record.is("read"), Trouble::Errno(Errno::EINTR), Moment::Before);
    assert_eq!(receive(&backend, 4096).unwrap(), Some(frame(60, 1)));
    assert_eq!(receive(&backend, 4096).unwrap(), None);
}

#[test]
fn a_protocol_message_among_the_frames_is_an_error_that_keeps_the_errno() {
    let machine = Machine::boot();
    let backend = backend("tap3");
    let control = *machine.snapshot().descriptors.keys().last().unwrap();
    let message = Message::proto(MessageKind::PcProto, vec![6, 0, 0, 0, 0, 0, 0, 0]);
    machine.kernel(|kernel| kernel.inject_message(control, message)).unwrap();
    match receive(&backend, 4096) {
        Err(ReceiveError::Io { source }) => assert_eq!(source.raw_os_error(), Some(libc::EBADMSG)),
        other => panic!("{other:?}"),
    }
    assert_eq!(backend.statistics().receive.io_error, 1);
}

#[test]
fn the_end_of_the_stream_is_the_end_of_the_interface() {
    let machine = Machine::boot();
    let backend = backend("tap3");
    let control = *machine.snapshot().descriptors.keys().last().unwrap();
    machine.inject_frame(3, &frame(60, 1));
    machine.kernel(|kernel| kernel.hang_up(control)).unwrap();
    assert_eq!(receive(&backend, 4096).unwrap(), Some(frame(60, 1)), "what was queued before");
    assert!(matches!(receive(&backend, 4096), Err(ReceiveError::Gone)));
    assert!(matches!(send(&backend, &frame(60, 1)), Err(TransmitError::Gone)));
}

#[test]
fn the_mtu_decides_how_large_a_buffer_must_be() {
    let machine = Machine::boot();
    let backend = Backend::new(attach(everything("tap3")));
    assert!((1400 + 14 + 1..=1400 + 14 + 8 + 1).contains(&backend.receive_buffer_len()));
    machine.inject_frame(3, &frame(1414, 1));
    assert_eq!(receive(&backend, backend.receive_buffer_len()).unwrap(), Some(frame(1414, 1)));
    assert!(calls(&machine, "readv").is_empty(), "one buffer goes by read alone");
}

/// The whole machine: IP above the driver answers what a guest asks.
#[test]
fn a_guest_is_answered_through_the_plumbing() {
    let machine = Machine::boot();
    let backend = Backend::new(attach(everything("tap3")));
    machine.advance(std::time::Duration::from_secs(20));
    let announced = std::iter::from_fn(|| receive(&backend, 4096).unwrap()).collect::<Vec<_>>();
    assert_eq!(announced.len(), 8, "three probes and five announcements");
    assert!(announced.iter().all(|frame| frame.len() == 42 && frame[6..12] == [2, 0, 0, 0, 0, 3]));
    let mut request = frame(42, 0);
    request[12..].copy_from_slice(&[
        8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0, 10, 77, 0, 2, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1,
    ]);
    send(&backend, &request).unwrap();
    let reply = receive(&backend, 4096).unwrap().expect("ARP answers");
    assert_eq!(
        (&reply[20..22], &reply[22..28], &reply[28..32]),
        (&[0, 2][..], &[2, 0, 0, 0, 0, 3][..], &[10, 77, 0, 1][..])
    );
}

/// Row hazard 31.
#[test]
fn every_errno_has_one_meaning() {
    use crate::platform::illumos::{read_fault, write_fault};
    use crate::platform::{ReadFault, WriteFault};
    let reads = [
        (libc::EAGAIN, ReadFault::Empty),
        (libc::EINTR, ReadFault::Interrupted),
        (libc::ENXIO, ReadFault::Gone),
        (libc::EIO, ReadFault::Gone),
        (libc::ENODEV, ReadFault::Gone),
        (libc::ENOSR, ReadFault::Gone),
        (libc::EBADMSG, ReadFault::Other),
        (libc::EINVAL, ReadFault::Other),
    ];
    for (errno, meaning) in reads {
        assert_eq!(read_fault(errno), meaning, "read, errno {errno}");
    }
    let writes = [
        (libc::EAGAIN, WriteFault::WouldBlock),
        (libc::EINTR, WriteFault::Interrupted),
        (libc::ERANGE, WriteFault::BadLength),
        (libc::EMSGSIZE, WriteFault::BadLength),
        (libc::ENOSR, WriteFault::NoBufferSpace),
        (libc::ENOMEM, WriteFault::NoBufferSpace),
        (libc::ENOBUFS, WriteFault::NoBufferSpace),
        (libc::ENETDOWN, WriteFault::Down),
        (libc::EIO, WriteFault::Gone),
        (libc::ENXIO, WriteFault::Gone),
        (libc::ENODEV, WriteFault::Gone),
        (libc::EINVAL, WriteFault::Other),
    ];
    for (errno, meaning) in writes {
        assert_eq!(write_fault(errno), meaning, "write, errno {errno}");
    }
}

//! What single errnos mean.

use std::io::IoSliceMut;
use std::os::fd::AsFd;

use tap_plumb::{Offload, ReceiveError, TransmitError};

use crate::sample::{FORMS, Sample, assert_adds_up, backend};
use crate::trapped::{Call, with_answers};

/// Some hosts tell the end once, to whoever reads first.
/// Row X8.
#[test]
fn an_end_that_a_drain_meets_is_told_by_the_next_call() {
    for errno in [libc::ECONNRESET, libc::ENOTCONN] {
        let (backend, host) = backend(Offload::NONE);
        host.send(&[7; 60]).unwrap();
        let mut reads = 0;
        let once = move |_: &Call| {
            reads += 1;
            (reads == 2).then_some(errno)
        };
        let (result, _) = with_answers(&backend.as_fd(), once, || {
            assert_eq!(backend.discard_queued(), 1);
            backend.receive(&mut [IoSliceMut::new(&mut [0; 100])])
        });
        assert!(matches!(result, Err(ReceiveError::Gone)), "{result:?}");
    }
}

/// Row X10.
#[test]
fn a_length_that_the_host_refuses_is_told_without_a_limit_that_nobody_stated() {
    for form in FORMS {
        let (backend, _host) = backend(Offload::HEADER_12);
        let (sent, _) = with_answers(
            &backend.as_fd(),
            |_| Some(libc::EMSGSIZE),
            || Sample::whole().send(&mut backend.begin_transmit().unwrap(), form, None),
        );
        let Err(error @ TransmitError::LengthRefused { len: 154, sent: 0 }) = sent else {
            panic!("{sent:?}")
        };
        let numbers: Vec<String> =
            error.to_string().split(|c: char| !c.is_ascii_digit()).map(str::to_owned).collect();
        assert_eq!(numbers.concat(), "154", "{error}");
        let all = backend.statistics().transmit;
        assert_eq!(all.oversize, 1);
        assert_adds_up(&all);
    }
}

#[test]
fn a_read_that_a_signal_interrupts_is_made_again() {
    for (len, expected) in [(13, None), (14, Some(14)), (60, Some(60))] {
        let (backend, host) = backend(Offload::NONE);
        host.send(&vec![7; len]).unwrap();
        let mut reads = 0;
        let interrupted = move |_: &Call| {
            reads += 1;
            (reads <= 2).then_some(libc::EINTR)
        };
        let (result, calls) = with_answers(&backend.as_fd(), interrupted, || {
            backend.receive(&mut [IoSliceMut::new(&mut [0; 100])])
        });
        assert_eq!(calls.len(), 3);
        match expected {
            Some(len) => assert_eq!(result.unwrap().map(|received| received.len), Some(len)),
            None => assert!(matches!(result, Err(ReceiveError::Runt { len: 13 })), "{result:?}"),
        }
    }
}

/// A TAP takes a frame whose header finds no room, and says EINVAL; what says so of another room is an error.
#[test]
fn a_frame_whose_header_finds_no_room_is_counted() {
    for (room, truncated, errors) in [(10, 1, 0), (12, 1, 0), (100, 0, 1)] {
        let (backend, _host) = backend(Offload::HEADER_12);
        let mut memory = [0; 100];
        let (result, _) = with_answers(
            &backend.as_fd(),
            |_| Some(libc::EINVAL),
            || backend.receive_with_header(&mut [IoSliceMut::new(&mut memory[..room])]),
        );
        let all = backend.statistics().receive;
        assert_eq!((all.truncated, all.io_error), (truncated, errors), "{room} bytes: {result:?}");
    }
}

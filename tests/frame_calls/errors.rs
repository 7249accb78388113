//! What single errnos mean.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tap_plumb::{Checksum, Frontend, GsoKind, Offload, ReceiveError, Refused, Threads, TransmitError, Wait};

use crate::sample::{FORMS, Form, Sample, assert_adds_up, backend};
use crate::trapped::{Call, taken, with_answers};

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
        let (sent, calls) = with_answers(
            &backend.as_fd(),
            |_| Some(libc::EMSGSIZE),
            || Sample::whole().send(&mut backend.begin_transmit().unwrap(), form, None),
        );
        assert_eq!(calls.len(), 1, "it is asked once");
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

/// A kernel that takes a part of a frame takes none of it: what it says is an error.
#[test]
fn a_write_that_is_cut_short_is_an_error_and_no_success() {
    for form in FORMS {
        for (offload, before) in [(Offload::NONE, 0), (Offload::NONE, 1), (Offload::HEADER_12, 0)] {
            let (backend, _host) = backend(offload);
            let mut interruptions = before;
            let short = move |_: &Call| {
                interruptions -= 1;
                Some(if interruptions >= 0 { libc::EINTR } else { taken(100) })
            };
            let (sent, calls) = with_answers(&backend.as_fd(), short, || {
                Sample::whole().send(&mut backend.begin_transmit().unwrap(), form, None)
            });
            assert!(
                matches!(&sent, Err(TransmitError::Io { sent: 0, .. })),
                "{form:?} {offload:?}: {sent:?}"
            );
            assert_eq!(calls.len(), 1 + before as usize);
            let all = backend.statistics().transmit;
            assert_eq!((all.io_error, all.segments_sent), (1, 0));
            assert_adds_up(&all);
        }
    }
}

/// Counts the calls that say what is pending can be sent.
#[derive(Default)]
struct Pending(AtomicUsize);

impl Frontend for Pending {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        Wait::Interrupted
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        Err(Refused)
    }

    fn transmit_pending(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_host_that_had_no_room_is_asked_again_by_the_device() {
    for (errno, owed) in [(libc::ENOBUFS, true), (libc::EAGAIN, true), (libc::EIO, false)] {
        let (backend, _host) = backend(Offload::NONE);
        let pending = Arc::new(Pending::default());
        let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&pending) as _).unwrap();
        let (sent, _) = with_answers(
            &backend.as_fd(),
            |_| Some(errno),
            || Sample::whole().send(&mut backend.begin_transmit().unwrap(), Form::Slices, None),
        );
        sent.unwrap_err();
        let (start, limit) = (Instant::now(), Duration::from_millis(if owed { 5000 } else { 60 }));
        while pending.0.load(Ordering::SeqCst) == 0 && start.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(pending.0.load(Ordering::SeqCst) > 0, owed, "errno {errno}");
        threads.stop().unwrap();
    }
}

/// Software helps where the host cannot do what the header asks for, and where segments are shorter than their frame.
#[test]
fn a_frame_that_software_would_not_help_is_tried_once() {
    let oversized = || Sample::new(GsoKind::Tcp4, 300, 100);
    let cases: [(Sample, i32); 5] = [
        (Sample::whole(), libc::EINVAL),
        (Sample::whole(), libc::EIO),
        (Sample::partial(), libc::EIO),
        (Sample::partial(), libc::EMSGSIZE),
        (oversized(), libc::EIO),
    ];
    for (form, (sample, errno)) in
        FORMS.into_iter().flat_map(|form| cases.iter().map(move |case| (form, case)))
    {
        let (backend, _host) = backend(Offload::HEADER_12);
        let (sent, calls) = with_answers(
            &backend.as_fd(),
            |_| Some(*errno),
            || sample.send(&mut backend.begin_transmit().unwrap(), form, None),
        );
        assert!(
            matches!(
                &sent,
                Err(TransmitError::Io { sent: 0, .. } | TransmitError::LengthRefused { sent: 0, .. })
            ),
            "{form:?} {errno}: {sent:?}"
        );
        assert_eq!(calls.len(), 1, "{form:?} {errno}");
    }
}

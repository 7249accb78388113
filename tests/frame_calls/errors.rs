//! What errnos mean: what is lost, and what is done in software instead.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBuf;
use tap_plumb::{
    Backend, Checksum, Config, Frontend, GsoKind, Offload, ReceiveError, Refused, Threads, TransmitError,
    Wait,
};

use crate::sample::{FORMS, Form, Sample, assert_adds_up, backend, drain};
use crate::trapped::{Call, taken, with_answers};

// What single errnos mean.

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

/// What was written of a frame is no frame, and is not counted as one.
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

// What the host refuses that a header asks for is done in software.

/// Warnings of the crate, each with the backend's descriptor in it.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keeper;

impl log::Log for Keeper {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNINGS.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn warnings_of(backend: &Backend) -> usize {
    let fd = format!("{backend:?} refuses");
    WARNINGS.lock().unwrap().iter().filter(|text| text.contains(&fd)).count()
}

fn keep_warnings() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keeper).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
}

/// Row X1.
#[test]
fn what_the_host_refuses_is_done_in_software_from_then_on_and_said_once() {
    keep_warnings();
    let of = |kind| Sample::new(kind, 300, 100);
    let table = [
        ("TCP over IPv4", of(GsoKind::Tcp4), 1),
        ("TCP over IPv6", of(GsoKind::Tcp6), 4),
        ("UDP over IPv4", of(GsoKind::Udp4Datagrams), 5),
        ("UDP over IPv6", of(GsoKind::Udp6Datagrams), 5),
        ("a checksum", Sample::partial(), 0),
    ];
    for form in FORMS {
        for (what, sample, kind) in &table {
            let (backend, host) = backend(Offload::HEADER_12);
            let refuses = |call: &Call| {
                (call.name == "writev" && call.bytes[0] == 1 && call.bytes[1] == *kind)
                    .then_some(libc::EINVAL)
            };
            let (_, calls) = with_answers(&backend.as_fd(), refuses, || {
                let mut session = backend.begin_transmit().unwrap();
                for _ in 0..2 {
                    sample.send(&mut session, form, None).unwrap();
                }
            });
            let asked = calls.iter().filter(|call| call.bytes[..2] != [0, 0]).count();
            assert_eq!(asked, 1, "{what} {form:?}: the host is asked once");
            let expected = sample.segments(12);
            assert!(drain(&host) == [&expected[..], &expected].concat(), "{what} {form:?}");
            assert_eq!(warnings_of(&backend), 1, "{what} {form:?}: said once");
            let all = backend.statistics().transmit;
            assert_eq!((all.frames_sent, all.io_error, all.segments_sent), (2, 0, 2 * expected.len() as u64));
            assert_adds_up(&all);
            // Nothing else was learned by it.
            let other = Sample::new(if *kind == 1 { GsoKind::Tcp6 } else { GsoKind::Tcp4 }, 300, 100);
            other.send(&mut backend.begin_transmit().unwrap(), form, None).unwrap();
            assert_eq!(drain(&host).len(), 1, "{what} {form:?}: one write for the host to cut");
            WARNINGS.lock().unwrap().clear();
        }
    }
}

/// Row X1.
#[test]
fn an_einval_that_is_not_the_headers_is_an_error() {
    for form in FORMS {
        let (backend, host) = backend(Offload::HEADER_12);
        let (sent, _) = with_answers(
            &backend.as_fd(),
            |_| Some(libc::EINVAL),
            || Sample::whole().send(&mut backend.begin_transmit().unwrap(), form, None),
        );
        let Err(TransmitError::Io { sent: 0, source }) = sent else { panic!("{form:?}: {sent:?}") };
        assert_eq!(source.raw_os_error(), Some(libc::EINVAL));
        assert!(drain(&host).is_empty());
        assert_adds_up(&backend.statistics().transmit);
    }
}

/// Kernels since an update raise smaller sizes of TCP to 8, or drop the frame.
#[test]
fn tcp_segments_below_eight_bytes_are_cut_here() {
    for (size, by_host) in [(1, false), (7, false), (8, true), (9, true)] {
        for kind in [GsoKind::Tcp4, GsoKind::Tcp6] {
            for form in FORMS {
                let (backend, host) = backend(Offload::HEADER_12);
                let sample = Sample::new(kind, usize::from(size) * 3 - 1, size);
                sample.send(&mut backend.begin_transmit().unwrap(), form, None).unwrap();
                let writes = drain(&host);
                assert_eq!(writes.len() == 1, by_host, "{kind:?} {size} {form:?}");
                assert!(by_host || writes == sample.segments(12), "{kind:?} {size} {form:?}");
            }
        }
    }
}

/// Rows X4 and X10.
#[test]
fn a_frame_too_long_for_the_host_goes_out_in_segments_that_are_not() {
    for kind in [GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp4Datagrams] {
        for form in FORMS {
            let (ours, host) = UnixDatagram::pair().unwrap();
            host.set_nonblocking(true).unwrap();
            setsockopt(&ours, SndBuf, &4096).unwrap();
            let tap = Config::new().inherited(ours.into()).offload(Offload::HEADER_12).attach().unwrap();
            let backend = Backend::new(tap);
            let sample = Sample::new(kind, 9000, 1000);
            let expected = sample.segments(12);
            let mut sent = None;
            // So small a buffer is full after a few segments.
            let mut received = Vec::new();
            while let Err(error) = sample.send(&mut backend.begin_transmit().unwrap(), form, sent) {
                let TransmitError::WouldBlock { sent: so_far } = error else {
                    panic!("{kind:?} {form:?}: {error}")
                };
                received.extend(drain(&host));
                sent = Some(so_far);
            }
            received.extend(drain(&host));
            assert!(received == expected, "{kind:?} {form:?}");
            // The same where the limit is found out later.
            let (backend, host) = self::backend(Offload::HEADER_12);
            let refuses = |call: &Call| (call.bytes.len() > 4000).then_some(libc::EMSGSIZE);
            let (result, _) = with_answers(&backend.as_fd(), refuses, || {
                sample.send(&mut backend.begin_transmit().unwrap(), form, None)
            });
            result.unwrap();
            assert!(drain(&host) == expected, "{kind:?} {form:?}, found out later");
            assert_adds_up(&backend.statistics().transmit);
        }
    }
}

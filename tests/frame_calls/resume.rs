//! A train that stopped goes on behind the segments that went out.

use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use tap_plumb::{Backend, GsoKind, Offload, Session, TransmitError};

use crate::frames::KINDS;
use crate::sample::{FORMS, Form, Sample, assert_adds_up, backend, drain};
use crate::trapped::{Call, with_answers};

/// An error that tells how many segments went out: its name, the errno, and what it must be.
fn errors_that_carry_sent() -> [(&'static str, i32); 5] {
    [
        ("WouldBlock", libc::EAGAIN),
        ("NoBufferSpace", libc::ENOBUFS),
        // A TAP would mean that its interface is down.
        ("Io", libc::EIO),
        ("LengthRefused", libc::EMSGSIZE),
        ("Io", libc::EFAULT),
    ]
}

fn sent_of(error: &TransmitError) -> Option<u32> {
    match error {
        TransmitError::WouldBlock { sent }
        | TransmitError::NoBufferSpace { sent }
        | TransmitError::InterfaceDown { sent }
        | TransmitError::LengthRefused { sent, .. }
        | TransmitError::Io { sent, .. } => Some(*sent),
        _ => None,
    }
}

/// Sends `sample`, is refused at its segment `stop` by `errno`, and goes on.
fn stopped<B: Deref<Target = Backend>>(
    fd: &impl AsRawFd,
    begin: impl Fn() -> Session<B> + Sync + Send,
    sample: &Sample,
    (form, errno, stop): (Form, i32, usize),
) -> TransmitError {
    let mut calls = 0;
    let refuse = move |_: &Call| {
        calls += 1;
        (calls == stop + 1).then_some(errno)
    };
    let (error, _) = with_answers(fd, refuse, || {
        let mut session = begin();
        let error = sample.send(&mut session, form, None).unwrap_err();
        sample.send(&mut session, form, sent_of(&error)).unwrap();
        error
    });
    error
}

/// Row X7.
#[test]
fn every_form_goes_on_behind_the_segments_that_went_out() {
    let kinds = KINDS.into_iter().filter(|kind| !matches!(kind, GsoKind::Tcp6In4 | GsoKind::Udp6In4));
    for (kind, offload) in kinds.flat_map(|kind| [(kind, Offload::NONE), (kind, Offload::HEADER_12)]) {
        let sample = Sample::new(kind, 300, 104);
        let count = sample.segments(0).len();
        for form in FORMS {
            for (name, errno) in errors_that_carry_sent() {
                let (backend, host) = backend(offload);
                backend.use_host_offload(false);
                let (fd, stop) = (backend.as_fd(), 2);
                let owned = || Arc::clone(&backend).begin_transmit_owned().unwrap();
                let case = (form, errno, stop);
                let errors = [
                    stopped(&fd, || backend.begin_transmit().unwrap(), &sample, case),
                    stopped(&fd, owned, &sample, case),
                ];
                for error in errors {
                    assert!(format!("{error:?}").starts_with(name), "{kind:?} {form:?}: {error:?}");
                    assert_eq!(sent_of(&error), Some(2), "{kind:?} {form:?} {name}");
                }
                let expected = sample.segments(offload.header_len);
                assert!(drain(&host) == [&expected[..], &expected].concat(), "{kind:?} {form:?} {name}");
                let all = backend.statistics().transmit;
                assert_eq!((all.frames_offered, all.segments_sent), (4, 2 * count as u64));
                assert_adds_up(&all);
            }
        }
    }
}

/// Row X7.
#[test]
fn a_frame_without_segments_behind_those_sent_cannot_go_on() {
    for (offload, form) in [Offload::NONE, Offload::HEADER_12].into_iter().flat_map(|o| FORMS.map(|f| (o, f)))
    {
        let (backend, host) = backend(offload);
        let oversized = Sample::new(GsoKind::Tcp4, 300, 100);
        let table = [
            (Sample::whole(), 1, 1),
            (Sample::whole(), u32::MAX, 1),
            (Sample::partial(), 1, 1),
            (oversized, 3, 3),
            (Sample::new(GsoKind::Tcp4, 0, 100), 1, 1),
        ];
        for (sample, from, segments) in table {
            let result = sample.send(&mut backend.begin_transmit().unwrap(), form, Some(from));
            let Err(TransmitError::BadResume { sent, segments: of }) = result else {
                panic!("{offload:?} {form:?} {from}: {result:?}")
            };
            assert_eq!((sent, of), (from, segments));
        }
        assert!(drain(&host).is_empty(), "nothing is sent twice");
        let all = backend.statistics().transmit;
        assert_eq!((all.bad_resume, all.frames_sent), (5, 0));
        assert_adds_up(&all);
    }
}

/// Row X7.
#[test]
fn to_resume_a_frame_behind_no_segment_is_to_send_it() {
    for (offload, form) in [Offload::NONE, Offload::ALL].into_iter().flat_map(|o| FORMS.map(|f| (o, f))) {
        let (backend, host) = backend(offload);
        let oversized = Sample::new(GsoKind::Tcp4, 300, 100);
        for sample in [Sample::whole(), Sample::partial(), oversized] {
            let [sent, resumed] = [None, Some(0)].map(|from| {
                sample.send(&mut backend.begin_transmit().unwrap(), form, from).unwrap();
                drain(&host)
            });
            assert!(!sent.is_empty() && sent == resumed, "{offload:?} {form:?}");
        }
    }
}

//! How many slices a call has, and which call it is.

// UNSAFETY: the raw forms are among what is tested; each borrows its memory for the whole call.
#![expect(unsafe_code, reason = "the raw forms of send and receive")]

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;

use tap_plumb::{GsoKind, Offload, RawSlice};

use crate::sample::{Form, Sample, backend, drain};
use crate::trapped::{Call, calls};

/// By name and the lengths of the slices.
fn shapes(calls: &[Call]) -> Vec<(&'static str, Vec<usize>)> {
    calls.iter().map(|call| (call.name, call.slices.clone())).collect()
}

/// Row X13.
#[test]
fn one_slice_goes_by_write_and_several_by_writev() {
    let (bytes, header) = (vec![7; 60], [0; 12]);
    let one = [&header[..], &bytes].concat();
    let mut marked = one.clone();
    // The number of buffers, which is not sent on.
    marked[10] = 1;
    let write = |offload: Offload, slices: &[&[u8]], raw: bool| {
        let (backend, host) = backend(offload);
        let (_, calls) = calls(&backend.as_fd(), || {
            let mut session = backend.begin_transmit().unwrap();
            if raw {
                let slices: Vec<RawSlice> = slices
                    .iter()
                    .map(|slice| RawSlice::new(slice.as_ptr().cast_mut(), slice.len()))
                    .collect();
                // SAFETY: the slices are borrowed and not written to during the call.
                unsafe { session.send_raw_with_header(&slices, 12) }.unwrap();
            } else {
                let slices: Vec<IoSlice<'_>> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
                session.send_with_header(&slices, 12).unwrap();
            }
        });
        assert_eq!(drain(&host), [[&vec![0; offload.header_len], &bytes[..]].concat()]);
        shapes(&calls)
    };
    let (bare, behind) = (Offload::NONE, Offload::HEADER_12);
    for raw in [false, true] {
        assert_eq!(write(bare, &[&one], raw), [("write", vec![60])]);
        assert_eq!(write(bare, &[&header, &bytes], raw), [("write", vec![60])]);
        assert_eq!(write(bare, &[&header, &bytes[..20], &bytes[20..]], raw), [("writev", vec![20, 40])]);
        assert_eq!(write(behind, &[&header, &bytes], raw), [("writev", vec![12, 60])]);
        assert_eq!(
            write(behind, &[&marked], raw),
            [("writev", vec![12, 60])],
            "the header is not what is sent"
        );
    }
    assert_eq!(write(behind, &[&one], false), [("write", vec![72])], "it is what is to be sent");
    assert_eq!(write(behind, &[&one], true), [("writev", vec![12, 60])], "a guest may change its header");
}

/// Row X13.
#[test]
fn an_oversized_frame_with_right_headers_in_one_slice_goes_by_write() {
    let sample = Sample::new(GsoKind::Tcp4, 300, 100);
    let (backend, host) = backend(Offload::HEADER_12);
    let mut session = backend.begin_transmit().unwrap();
    sample.send(&mut session, Form::Slices, None).unwrap();
    let right = drain(&host).concat();
    let (_, calls) = calls(&backend.as_fd(), || {
        let slices = [IoSlice::new(&right)];
        session.send_with_header(&slices, 12).unwrap();
    });
    assert_eq!(shapes(&calls), [("write", vec![right.len()])]);
    assert_eq!(drain(&host), [right]);
}

/// Row X13.
#[test]
fn every_other_form_makes_as_few_slices_as_can_be() {
    let table = [
        (Offload::NONE, Sample::whole(), vec![("write", vec![154])]),
        (Offload::HEADER_12, Sample::whole(), vec![("writev", vec![12, 154])]),
        (Offload::HEADER_12, Sample::partial(), vec![("writev", vec![12, 154])]),
        (Offload::HEADER_12, Sample::new(GsoKind::Tcp4, 300, 100), vec![("writev", vec![66, 300])]),
        (Offload::NONE, Sample::new(GsoKind::Tcp4, 200, 100), vec![("writev", vec![54, 100]); 2]),
    ];
    for (offload, sample, expected) in table {
        for form in [Form::Slices, Form::Raw] {
            let (backend, _host) = backend(offload);
            let (sent, calls) =
                calls(&backend.as_fd(), || sample.send(&mut backend.begin_transmit().unwrap(), form, None));
            sent.unwrap();
            assert_eq!(shapes(&calls), expected, "{offload:?} {form:?}");
        }
    }
    let (backend, host) = backend(Offload::HEADER_12);
    let (_, calls) = calls(&backend.as_fd(), || {
        backend.send_verbatim(&[IoSlice::new(&[0; 72])]).unwrap();
        backend.send_verbatim(&[IoSlice::new(&[0; 12]), IoSlice::new(&[0; 60])]).unwrap();
    });
    assert_eq!(shapes(&calls), [("write", vec![72]), ("writev", vec![12, 60])]);
    assert_eq!(drain(&host).len(), 2);
}

/// Row X13. Room that every frame of Linux fits with a byte to spare, as hypervisors lend it, is read into as it is.
#[test]
fn room_for_the_usual_frames_is_read_into_as_it_is() {
    let table = [(12 + 65_550, ("read", vec![12 + 65_550])), (12 + 65_549, ("readv", vec![12 + 65_549, 1]))];
    for (room, read) in table {
        let (backend, host) = backend(Offload::ALL);
        host.send(&[0; 72]).unwrap();
        let mut buffer = vec![0; room];
        let (taken, calls) =
            calls(&backend.as_fd(), || backend.receive_with_header(&mut [IoSliceMut::new(&mut buffer)]));
        assert_eq!(taken.unwrap(), Some(72));
        assert_eq!(shapes(&calls), [read]);
    }
}

#[test]
fn nothing_but_data_calls_is_counted_here() {
    let (backend, host) = backend(Offload::NONE);
    host.send(&[7; 60]).unwrap();
    let mut buffer = [0; 100];
    let (_, calls) = calls(&backend.as_fd(), || {
        backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap();
        backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap()
    });
    let names: BTreeMap<&str, usize> = calls.iter().fold(BTreeMap::new(), |mut names, call| {
        *names.entry(call.name).or_default() += 1;
        names
    });
    assert_eq!(names, BTreeMap::from([("readv", 2)]));
}

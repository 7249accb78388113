//! Each frame in the log, at trace level, under a target of its own.

// UNSAFETY: the raw form is logged, too.
#![expect(unsafe_code, reason = "the raw form of receive")]

#[path = "support/datagrams.rs"]
mod datagrams;

use std::io::{IoSlice, IoSliceMut};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use tap_plumb::{Backend, Config, Frame, LinkState, Offload, RawSlice, Tap, TransmitError};

struct Lines(Mutex<Vec<String>>);

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target() == "tap_plumb::frame" {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

static LINES: Lines = Lines(Mutex::new(Vec::new()));

/// Row F45.
#[test]
fn frames_are_logged_with_the_time_since_the_last_one_and_a_dump() {
    log::set_logger(&LINES).unwrap();
    let (ours, host) = UnixDatagram::pair().unwrap();
    let backend = Backend::new(Tap::from_fd(ours.into()).unwrap());
    let frame = [0xab; 200];
    let round = |buffer: &mut [u8]| {
        backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)])).unwrap();
        host.send(&frame[..60]).unwrap();
        datagrams::wait_readable(&backend);
        backend.receive(&mut [IoSliceMut::new(buffer)]).unwrap().expect("a frame");
    };
    let mut buffer = vec![0; 2000];
    log::set_max_level(LevelFilter::Debug);
    round(&mut buffer);
    assert_eq!(LINES.0.lock().unwrap().len(), 0, "off at debug level");
    log::set_max_level(LevelFilter::Trace);
    round(&mut buffer);
    let lines = LINES.0.lock().unwrap();
    let [transmit, receive] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        transmit.starts_with("transmit 200 bytes, ")
            && transmit.ends_with(&format!("{}...", "ab".repeat(128)))
    );
    assert!(
        receive.starts_with("receive 60 bytes, ") && receive.ends_with(&format!(": {}", "ab".repeat(60))),
        "{receive}"
    );
    assert!(receive.contains(" ns after the last transmit, "), "{receive}");
    drop(lines);
    host.send(&frame[..60]).unwrap();
    let (front, back) = buffer.split_at_mut(10);
    let slices = [front, back].map(|slice| RawSlice::new(slice.as_mut_ptr(), slice.len()));
    datagrams::wait_readable(&backend);
    // SAFETY: the slices are `buffer`, which lives until the end and is not used during the call.
    unsafe { backend.receive_raw(&slices) }.unwrap().expect("a frame");
    let lines = LINES.0.lock().unwrap();
    assert!(lines.last().unwrap().ends_with(&format!(": {}", "ab".repeat(60))), "{lines:?}");
    // Two things that are unusual are not fewer than one.
    backend.set_link_state(LinkState::Down);
    let result = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]));
    assert!(matches!(result, Err(TransmitError::LinkDown)), "{result:?}");
    drop(lines);
    // The header before a frame is no part of it.
    let (ours, host) = UnixDatagram::pair().unwrap();
    let headed = Config::new().inherited(ours.into()).offload(Offload::with_header(12).unwrap());
    let backend = Backend::new(headed.attach().unwrap());
    host.send(&[&[0; 12][..], &frame[..60]].concat()).unwrap();
    datagrams::wait_readable(&backend);
    backend.receive(&mut [IoSliceMut::new(&mut vec![0xcd; 2000])]).unwrap().expect("a frame");
    assert_last(60, &"ab".repeat(60));
    // One that the caller asks for is shown with it.
    host.send(&[&[0; 12][..], &[0xef; 60]].concat()).unwrap();
    datagrams::wait_readable(&backend);
    backend.receive_with_header(&mut [IoSliceMut::new(&mut vec![0xcd; 2000])]).unwrap().expect("a frame");
    assert_last(72, &["00".repeat(12), "ef".repeat(60)].concat());
}

/// The last line tells of so many received bytes, and shows them.
fn assert_last(len: usize, shown: &str) {
    let lines = LINES.0.lock().unwrap();
    let last = lines.last().unwrap();
    assert!(
        last.starts_with(&format!("receive {len} bytes, ")) && last.ends_with(&format!(": {shown}")),
        "{last}"
    );
}

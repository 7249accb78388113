//! Counters and clocks.

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use tap_plumb::Frame;

use crate::pair;

/// Row F43.
#[test]
fn every_counter_has_a_name_and_none_is_missing_from_the_sums() {
    let (backend, _host) = pair::backend();
    let all = backend.statistics();
    let names =
        |entries: Vec<(&'static str, u64)>| entries.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let transmit = names(all.transmit.entries());
    for name in ["frames_offered", "frames_sent", "bytes_sent", "segments_sent", "would_block", "gone"] {
        assert!(transmit.contains(&name), "{name}");
    }
    assert!(names(all.receive.entries()).contains(&"truncated"));
}

/// Row B22.
#[test]
fn time_is_measured_only_when_asked_for() {
    let (backend, host) = pair::backend();
    let mut buffer = vec![0; 2000];
    let mut round = || {
        backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&pair::frame(60, 0))])).unwrap();
        pair::host_receive(&host);
        host.send(&pair::frame(60, 0)).unwrap();
        pair::take(&backend, &mut [IoSliceMut::new(&mut buffer)]).unwrap().expect("a frame");
        let all = backend.statistics();
        (all.transmit_time, all.receive_time)
    };
    assert_eq!(round(), (Duration::ZERO, Duration::ZERO));
    backend.measure_time(true);
    let (transmit, receive) = round();
    assert!(transmit > Duration::ZERO && receive > Duration::ZERO);
    backend.measure_time(false);
    assert_eq!(round(), (transmit, receive));
}

/// Rows B21 and F35.
#[test]
fn statistics_outlive_everything_that_is_counted() {
    let (backend, host) = pair::backend();
    let device = std::sync::Arc::new(crate::device::Device::default());
    let threads = tap_plumb::Threads::spawn(std::sync::Arc::clone(&backend), device).unwrap();
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_until("the frame", || backend.statistics().receive.frames_delivered == 1);
    drop(threads);
    drop(host);
    assert_eq!(backend.statistics().receive.frames_delivered, 1);
}

//! Counters and clocks, and that they hold under random calls from many threads.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tap_plumb::{Frame, LinkState, Resume, Threads};

use crate::device::Device;
use crate::pair;

// Counters and clocks.

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
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), device).unwrap();
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_until("the frame", || backend.statistics().receive.frames_delivered == 1);
    drop(threads);
    drop(host);
    assert_eq!(backend.statistics().receive.frames_delivered, 1);
}

// Random calls from many threads: 2 s, or as many as `TAP_PLUMB_STRESS_SECONDS` says.

/// Runs `act` with changing numbers until `stop`.
fn again(stop: &AtomicBool, seed: u64, mut act: impl FnMut(u64)) {
    let mut random = seed;
    while !stop.load(Ordering::Relaxed) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        act(random >> 33);
    }
}

/// Row S3.
#[test]
fn random_calls_from_many_threads_neither_hang_nor_lose_count() {
    let seconds =
        std::env::var("TAP_PLUMB_STRESS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (backend, host) = pair::backend();
    host.set_nonblocking(true).unwrap();
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let stop = AtomicBool::new(false);
    let frame = pair::frame(200, 5);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (backend, stop, frame) = (&backend, &stop, &frame);
            scope.spawn(move || {
                again(stop, seed, |_| {
                    if let Some(mut session) = backend.begin_transmit() {
                        let _ = session.send(&Frame::new(&[IoSlice::new(frame)]));
                    }
                });
            });
        }
        scope.spawn(|| {
            let mut buffer = [0; 300];
            again(&stop, 7, |_| {
                let _ = host.send(&frame);
                let _ = host.recv(&mut buffer);
            });
        });
        for seed in 10..12 {
            let (threads, backend, device, stop) = (&threads, &backend, &device, &stop);
            scope.spawn(move || {
                again(stop, seed, |random| match random % 9 {
                    0 => threads.suspend().unwrap(),
                    1 => threads.resume(Resume::Normal).unwrap(),
                    2 => threads.resume(Resume::HostSleep).unwrap(),
                    3 => threads.reset(),
                    4 => backend.set_link_state(LinkState::Down),
                    5 => backend.set_link_state(LinkState::Up),
                    6 => device.set_buffers(false),
                    7 => device.set_buffers(true),
                    _ => std::thread::sleep(Duration::from_micros(200)),
                });
            });
        }
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let start = Instant::now();
    threads.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    let all = backend.statistics();
    assert!(all.transmit.frames_sent > 0 && all.receive.frames_received > 0, "{all:?}");
    pair::assert_adds_up(&backend);
}

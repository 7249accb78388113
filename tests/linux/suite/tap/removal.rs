//! The interface is removed under the backend, and bound again.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tap_plumb::{Backend, Config, Frame, ReceiveError, Threads, TransmitError};

use super::device::Device;
use super::host::{self, PacketSocket, ip, wait_until};

fn send(backend: &Backend, mark: u64) -> Result<(), TransmitError> {
    let frame = host::frame(60, mark);
    let Some(mut session) = backend.begin_transmit() else { return Ok(()) };
    session.send(&Frame::new(&[IoSlice::new(&frame)]))
}

/// Rows F21, F22, S6, B17.
pub(crate) fn removal_is_one_event_without_spinning() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    ip("link del tap0");
    wait_until("the event", || device.gone.load(Ordering::SeqCst) == 1);
    let wakeups = backend.statistics().receive.wakeups;
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(device.gone.load(Ordering::SeqCst), 1);
    assert!(backend.statistics().receive.wakeups <= wakeups + 1, "nothing is polled any more");
    assert!(matches!(send(&backend, 0), Err(TransmitError::Gone)));
    threads.stop().unwrap();
    host::assert_adds_up(&backend);
}

/// Row S6.
pub(crate) fn reattach_binds_the_same_descriptor_and_counters_survive() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let number = backend.as_fd().as_raw_fd();
    for round in 1..=5 {
        let host = PacketSocket::new("tap0");
        host.send(&host::frame(60, round));
        wait_until("the frame", || device.count() == round as usize);
        send(&backend, round).unwrap();
        drop(host);
        ip("link del tap0");
        wait_until("the event", || device.gone.load(Ordering::SeqCst) == round as usize);
        let changed = backend.reattach(&Config::new().name("tap0").up()).unwrap();
        assert!(!changed);
        assert_eq!(backend.as_fd().as_raw_fd(), number);
        wait_until("the link flap", || device.flaps.load(Ordering::SeqCst) == round as usize);
    }
    threads.stop().unwrap();
    let all = backend.statistics();
    assert_eq!((all.transmit.frames_sent, all.receive.frames_delivered), (5, 5));
    host::assert_adds_up(&backend);
}

/// Row S6.
pub(crate) fn reattach_under_traffic_both_ways() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let _ = send(&backend, 7);
            }
        });
        for _ in 0..10 {
            let host = PacketSocket::new("tap0");
            let before = device.count();
            for number in 0..50 {
                host.send(&host::frame(60, number));
            }
            wait_until("frames", || device.count() >= before + 50);
            let gone = device.gone.load(Ordering::SeqCst);
            ip("link del tap0");
            wait_until("the event", || device.gone.load(Ordering::SeqCst) == gone + 1);
            backend.reattach(&Config::new().name("tap0").up()).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
    threads.stop().unwrap();
    assert!(backend.statistics().transmit.frames_sent > 0);
    host::assert_adds_up(&backend);
}

/// Row S6.
pub(crate) fn in_a_loop_of_your_own_removal_is_an_outcome() {
    let backend = host::backend(Config::new());
    ip("link del tap0");
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let mut receive = || backend.receive(&mut [IoSliceMut::new(&mut buffer)]);
    assert!(matches!(receive(), Err(ReceiveError::Gone)));
    assert!(matches!(receive(), Err(ReceiveError::Gone)));
    backend.reattach(&Config::new().name("tap0").up()).unwrap();
    assert!(matches!(receive(), Ok(None)));
    backend.reattach(&Config::new().name("tap0")).expect("what is bound already stays bound");
}

pub(crate) fn a_frame_that_waited_when_the_interface_went_is_asked_for_after_the_reattach() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    for round in 1..=5 {
        backend.tap().set_up(false).unwrap();
        assert!(matches!(send(&backend, round), Err(TransmitError::InterfaceDown { .. })));
        std::thread::sleep(Duration::from_millis(20));
        let before = device.pending.load(Ordering::SeqCst);
        ip("link del tap0");
        wait_until("the event", || device.gone.load(Ordering::SeqCst) == round as usize);
        std::thread::sleep(Duration::from_millis(20));
        backend.reattach(&Config::new().name("tap0").up()).unwrap();
        wait_until("the call", || device.pending.load(Ordering::SeqCst) > before);
    }
    threads.stop().unwrap();
    host::assert_adds_up(&backend);
}

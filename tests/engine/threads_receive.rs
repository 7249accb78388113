//! The receive thread waits for guest buffers, delivers in order, and ends when it is told to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::device::Device;
use crate::pair;
use tap_plumb::{Resume, Threads, ThreadsError};

/// Row F20.
#[test]
fn frames_are_delivered_in_order() {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    for mark in 0..200 {
        host.send(&pair::frame(60, mark)).unwrap();
    }
    pair::wait_until("200 frames", || device.count() == 200);
    threads.stop().unwrap();
    let marks: Vec<u8> = device.frames.lock().unwrap().iter().map(|frame| frame[20]).collect();
    assert_eq!(marks, (0..200).collect::<Vec<u8>>());
    pair::assert_adds_up(&backend);
}

/// Row F19.
#[test]
fn frames_wait_while_the_guest_has_no_buffers() {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    device.set_buffers(false);
    let _threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    for mark in 0..3 {
        host.send(&pair::frame(60, mark)).unwrap();
    }
    pair::wait_until("the wait", || device.waits.load(Ordering::SeqCst) > 2);
    assert_eq!(
        (device.count(), backend.statistics().receive.frames_received),
        (0, 1),
        "the others wait in the host's queue"
    );
    device.set_buffers(true);
    pair::wait_until("3 frames", || device.count() == 3);
}

/// Row B15.
#[test]
fn refused_delivery_is_counted_as_such() {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    device.refuses.store(true, Ordering::SeqCst);
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_until("the refusal", || backend.statistics().receive.refused == 1);
    threads.stop().unwrap();
    assert_eq!(backend.statistics().receive.frames_delivered, 0);
    pair::assert_adds_up(&backend);
}

/// Rows F25, F34, B20, S3.
#[test]
fn stop_wakes_and_joins_within_100_ms() {
    for buffers in [true, false] {
        let (backend, host) = pair::backend();
        let device = Arc::new(Device::default());
        device.set_buffers(buffers);
        let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
        host.send(&pair::frame(60, 0)).unwrap();
        pair::wait_until("the frame", || device.waits.load(Ordering::SeqCst) > 0);
        let start = Instant::now();
        threads.stop().unwrap();
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
        assert_eq!(Arc::strong_count(&device), 2, "the threads are gone, the handle is left");
        drop(threads);
        assert_eq!((Arc::strong_count(&device), Arc::strong_count(&backend)), (1, 1));
        pair::assert_adds_up(&backend);
    }
}

#[test]
fn frontend_that_panics_ends_the_threads_and_is_reported() {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    device.panics.store(true, Ordering::SeqCst);
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_until("the panic", || threads.resume(Resume::Normal).is_err());
    assert!(matches!(threads.stop(), Err(ThreadsError::Panicked { thread: "receive" })));
    drop(threads);
    assert_eq!((Arc::strong_count(&device), Arc::strong_count(&backend)), (1, 1));
}

#[test]
fn one_backend_is_driven_once_at_a_time() {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    let first = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let second = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _);
    assert!(matches!(second, Err(ThreadsError::AlreadyDriven)));
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_until("the frame", || device.count() == 1);
    first.stop().unwrap();
    let third = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_until("the frame", || device.count() == 2);
    // Stopped already, it must not take the others' place away.
    drop(first);
    let session = backend.begin_transmit();
    assert!(backend.begin_transmit().is_none());
    drop(session);
    pair::wait_until("the call", || device.pending.load(Ordering::SeqCst) == 1);
    third.stop().unwrap();
}

/// Row B12.
#[test]
fn turned_away_device_is_called_from_the_transmit_thread() {
    let (backend, _host) = pair::backend();
    let device = Arc::new(Device::default());
    device.set_buffers(false);
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    for round in 1..=3 {
        let session = backend.begin_transmit();
        assert!(backend.begin_transmit().is_none());
        drop(session);
        pair::wait_until("the call", || device.pending.load(Ordering::SeqCst) == round);
    }
    threads.stop().unwrap();
    assert_eq!(device.pending.load(Ordering::SeqCst), 3);
}

/// Row F16.
#[test]
fn idle_threads_do_not_wake_up() {
    let (backend, _host) = pair::backend();
    let device = Arc::new(Device::default());
    let _threads = Threads::spawn(Arc::clone(&backend), device).unwrap();
    // On a machine under load the threads' start comes late. A thread that wakes up by itself leaves no second quiet.
    let quiet_second = || {
        let before = backend.statistics().receive.wakeups;
        std::thread::sleep(Duration::from_secs(1));
        backend.statistics().receive.wakeups == before
    };
    assert!((0..5).any(|_| quiet_second()), "{:?}", backend.statistics().receive);
}

/// Rows F15 and F17.
#[test]
fn suspended_threads_neither_read_nor_deliver() {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    for round in 1..=20 {
        threads.suspend().unwrap();
        host.send(&pair::frame(60, 0)).unwrap();
        pair::wait_readable(&backend);
        std::thread::sleep(Duration::from_millis(2));
        let all = backend.statistics().receive;
        assert_eq!(all.frames_received, 2 * (round - 1), "read while suspended");
        threads.resume(Resume::Normal).unwrap();
        host.send(&pair::frame(60, 1)).unwrap();
        pair::wait_until("the frame", || device.count() == round as usize);
    }
    threads.stop().unwrap();
    assert_eq!(backend.statistics().receive.stale, 20);
    assert!(device.frames.lock().unwrap().iter().all(|frame| frame[20] == 1));
    pair::assert_adds_up(&backend);
}

/// Rows F23 and B19.
#[test]
fn any_number_of_wake_ups_is_one_and_postpones_no_frame() {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    device.set_buffers(false);
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    host.send(&pair::frame(60, 0)).unwrap();
    pair::wait_until("the wait", || device.waits.load(Ordering::SeqCst) > 0);
    for _ in 0..100_000 {
        backend.set_link_state(tap_plumb::LinkState::Up);
    }
    let before = backend.statistics().receive.wakeups;
    host.send(&pair::frame(60, 1)).unwrap();
    device.set_buffers(true);
    pair::wait_until("the frames", || device.count() == 2);
    assert!(backend.statistics().receive.wakeups <= before + 3);
    threads.stop().unwrap();
}

/// Rows F24 and B18.
#[cfg(target_os = "linux")]
#[test]
fn signals_do_not_disturb_the_threads() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    // Signals come to any thread of the process, and would wake those of other tests: this one has a process of its own.
    const ALONE: &str = "TAP_PLUMB_SIGNALS_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // An emulated program cannot be started as it is: its emulator is, with the words before its own.
        let emulator = std::env::var("TAP_PLUMB_EMULATOR").unwrap_or_default();
        let this = std::env::current_exe().unwrap().into_os_string();
        let mut words = emulator.split_whitespace().map(Into::into).chain([this]);
        let mut test = std::process::Command::new(words.next().unwrap());
        test.args(words);
        let name = "threads_receive::signals_do_not_disturb_the_threads";
        let output = test.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
        return;
    }
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let flag = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let id = signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&flag)).unwrap();
    for mark in 0..100 {
        kill(Pid::this(), Signal::SIGUSR1).unwrap();
        host.send(&pair::frame(60, mark)).unwrap();
    }
    pair::wait_until("100 frames", || device.count() == 100);
    // Another thread may have got the signal, and not have run yet.
    pair::wait_until("the signal", || flag.load(Ordering::SeqCst));
    signal_hook::low_level::unregister(id);
    threads.stop().unwrap();
    pair::assert_adds_up(&backend);
}

/// Row F26.
#[cfg(target_os = "linux")]
#[test]
fn threads_have_names() {
    let (backend, _host) = pair::backend();
    let _threads = Threads::spawn(Arc::clone(&backend), Arc::new(Device::default())).unwrap();
    let has = |name: &str| {
        let mut tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks.any(|task| {
            std::fs::read_to_string(task.unwrap().path().join("comm")).is_ok_and(|comm| comm == name)
        })
    };
    // A thread takes its name once it runs, which may be after spawn has returned.
    for name in ["tap-receive\n", "tap-transmit\n"] {
        pair::wait_until(name, || has(name));
    }
}

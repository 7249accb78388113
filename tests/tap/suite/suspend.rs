//! Suspend, resume, reset, stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tap_plumb::{Config, LinkState, Resume, Threads};

use super::device::Device;
use super::host::{self, PacketSocket, wait_until};

/// Rows S1 and B24.
pub(crate) fn queued_frames_are_dropped_on_resume_and_counted() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let host = PacketSocket::new("tap0");
    threads.suspend().unwrap();
    for number in 0..300 {
        host.send(&host::frame(60, number));
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(
        (device.count(), backend.statistics().receive.frames_received),
        (0, 0),
        "neither read nor delivered"
    );
    threads.resume(Resume::HostSleep).unwrap();
    host.send(&host::frame(60, 300));
    wait_until("the frame after the pause", || device.count() == 1);
    assert_eq!(device.frames.lock().unwrap()[0], host::frame(60, 300));
    threads.stop().unwrap();
    assert_eq!(backend.statistics().receive.stale, 300);
    assert_eq!(device.flaps.load(Ordering::SeqCst), 1, "after the host slept, the guest's link flaps");
    host::assert_adds_up(&backend);
}

/// Row S5.
pub(crate) fn migration_announces_the_guest() {
    let backend = host::backend(Config::new().guest_address([2, 0, 0, 0, 0, 7]));
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let host = PacketSocket::new("tap0");
    threads.suspend().unwrap();
    threads.resume(Resume::Migrated).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(host.receive(&mut buffer), Some(60));
    assert_eq!((&buffer[..6], &buffer[6..12]), (&[0xff; 6][..], &[2, 0, 0, 0, 0, 7][..]));
    assert_eq!(host.receive(&mut buffer), None, "one announcement");
    assert_eq!(device.flaps.load(Ordering::SeqCst), 0);
}

/// Row S3.
pub(crate) fn every_call_is_legal_in_every_state() {
    type Act = fn(&Threads, &tap_plumb::Backend);
    let states: [(&str, Act); 3] = [
        ("running", |_, _| {}),
        ("suspended", |threads, _| threads.suspend().unwrap()),
        ("stopped", |threads, _| threads.stop().unwrap()),
    ];
    let calls: [(&str, Act); 8] = [
        ("suspend", |threads, _| threads.suspend().unwrap()),
        ("resume", |threads, _| threads.resume(Resume::Normal).unwrap()),
        ("resume after host sleep", |threads, _| threads.resume(Resume::HostSleep).unwrap()),
        ("resume after migration", |threads, _| threads.resume(Resume::Migrated).unwrap()),
        ("reset", |threads, _| threads.reset()),
        ("stop", |threads, _| threads.stop().unwrap()),
        ("link down", |_, backend| backend.set_link_state(LinkState::Down)),
        ("link up", |_, backend| backend.set_link_state(LinkState::Up)),
    ];
    let backend = host::backend(Config::new());
    let host = PacketSocket::new("tap0");
    for (state, enter) in states {
        for (call, act) in calls {
            let device = Arc::new(Device::default());
            let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
            enter(&threads, &backend);
            act(&threads, &backend);
            act(&threads, &backend);
            backend.set_link_state(LinkState::Up);
            threads.resume(Resume::Normal).unwrap();
            host.send(&host::frame(60, 1));
            let delivers = state != "stopped" && call != "stop";
            if delivers {
                wait_until(&format!("a frame after {call} while {state}"), || device.count() == 1);
            }
            threads.stop().unwrap();
            assert_eq!(device.count(), usize::from(delivers), "{call} while {state}");
            backend.discard_queued();
        }
    }
    host::assert_adds_up(&backend);
}

/// Row S4.
pub(crate) fn reset_drops_the_pending_frame_and_keeps_running() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    device.set_buffers(false);
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let host = PacketSocket::new("tap0");
    host.send(&host::frame(60, 1));
    wait_until("the wait", || device.waits.load(Ordering::SeqCst) > 0);
    threads.reset();
    wait_until("the drop", || backend.statistics().receive.reset == 1);
    device.set_buffers(true);
    host.send(&host::frame(60, 2));
    wait_until("the next frame", || device.count() == 1);
    assert_eq!(device.frames.lock().unwrap()[0], host::frame(60, 2));
    threads.stop().unwrap();
    host::assert_adds_up(&backend);
}

//! The guest's side goes down and comes up: its link, and the guest itself.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tap_plumb::{Config, Frame, LinkState, Resume, Threads, TransmitError};

use super::device::Device;
use super::host::{self, PacketSocket, ip, wait_for_carrier, wait_until};

// The guest's link and the host's interface go down and up.

/// Rows S2 and B23.
pub(crate) fn carrier_follows_the_guests_link_and_frames_stop() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let host = PacketSocket::new("tap0");
    wait_for_carrier("tap0", true);
    backend.set_link_state(LinkState::Down);
    wait_for_carrier("tap0", false);
    let wakeups = backend.statistics().receive.wakeups;
    for number in 0..100 {
        host.send(&host::frame(60, number));
    }
    let refused = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&host::frame(60, 0))]));
    assert!(matches!(refused, Err(TransmitError::LinkDown)));
    std::thread::sleep(Duration::from_millis(100));
    assert!(backend.statistics().receive.wakeups <= wakeups + 1, "the device is not polled meanwhile");
    backend.set_link_state(LinkState::Up);
    wait_for_carrier("tap0", true);
    host.send(&host::frame(60, 100));
    wait_until("the frame after the link", || device.count() == 1);
    assert_eq!(device.frames.lock().unwrap()[0], host::frame(60, 100));
    threads.stop().unwrap();
    host::assert_adds_up(&backend);
}

pub(crate) fn an_interface_that_is_bound_again_shows_the_guests_link() {
    let backend = host::backend(Config::new());
    for state in [LinkState::Down, LinkState::Up] {
        backend.set_link_state(state);
        ip("link del tap0");
        backend.reattach(&Config::new().name("tap0").up()).unwrap();
        wait_for_carrier("tap0", state == LinkState::Up);
    }
}

/// Row B6.
pub(crate) fn interface_down_parks_transmission_until_it_is_up() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let _threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let send = || {
        let frame = host::frame(60, 0);
        backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]))
    };
    for round in 1..=3 {
        ip("link set tap0 down");
        assert!(matches!(send(), Err(TransmitError::InterfaceDown { sent: 0 })));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(device.pending.load(Ordering::SeqCst), round - 1, "parked while down");
        ip("link set tap0 up");
        wait_until("the call", || device.pending.load(Ordering::SeqCst) == round);
        send().unwrap();
    }
    assert_eq!(device.gone.load(Ordering::SeqCst), 0);
    assert_eq!(backend.statistics().transmit.interface_down, 3);
    host::assert_adds_up(&backend);
}

/// Row S6.
pub(crate) fn rename_and_another_namespace_do_not_disturb_traffic() {
    let backend = host::backend(Config::new());
    let device = Arc::new(Device::default());
    let _threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let host = PacketSocket::new("tap0");
    host.send(&host::frame(60, 1));
    wait_until("a frame", || device.count() == 1);
    host::rename("tap0", "other0");
    // Had the interface to go down for it, the old socket would say so once.
    let host = PacketSocket::new("other0");
    assert_eq!(backend.tap().name().unwrap().as_str(), Some("other0"));
    host.send(&host::frame(60, 2));
    wait_until("a frame under the other name", || device.count() == 2);
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&host::frame(60, 3))])).unwrap();
    // The namespace of a process that only sleeps in it.
    let mut holder = std::process::Command::new("unshare").args(["-n", "sleep", "30"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    ip(&format!("link set other0 netns {}", holder.id()));
    let result = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&host::frame(60, 4))]));
    assert!(
        matches!(result, Err(TransmitError::InterfaceDown { .. })),
        "moving took it down, it is still there: {result:?}"
    );
    assert_eq!(device.gone.load(Ordering::SeqCst), 0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("the end of the namespace", || device.gone.load(Ordering::SeqCst) == 1);
}

// Suspend, resume, reset, stop.

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

#![cfg(target_os = "linux")]
//! A final error that the host reports once is never lost, whichever call finds it.

use std::io::IoSlice;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tap_plumb::{Backend, Frame, LinkState, ReceiveError, Resume, Threads};

use crate::device::Device;
use crate::pair;

/// What is done between the end of the peer and the event.
type Act = fn(&Backend, &Threads);

/// The peer turns to somebody else with a frame of ours unread: the next read answers ECONNRESET, once.
fn turn_away(host: &UnixDatagram) {
    let name = std::env::temp_dir().join(format!("tap-plumb-{}-{:p}", std::process::id(), host));
    let _ = std::fs::remove_file(&name);
    let other = UnixDatagram::bind(&name).unwrap();
    host.connect(&name).unwrap();
    drop(other);
    std::fs::remove_file(&name).unwrap();
}

/// Makes the threads look away, lets the peer end, and waits for the event after `act`.
fn assert_gone_after(look_away: Act, act: Act) {
    let (backend, host) = pair::backend();
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    let frame = pair::frame(60, 9);
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)])).unwrap();
    look_away(&backend, &threads);
    // Until they do, and sleep.
    std::thread::sleep(Duration::from_millis(100));
    for mark in 0..3 {
        host.send(&pair::frame(60, mark)).unwrap();
    }
    turn_away(&host);
    assert_eq!(device.gone.load(Ordering::SeqCst), 0);
    act(&backend, &threads);
    pair::wait_until("the event", || device.gone.load(Ordering::SeqCst) == 1);
    assert!(matches!(backend.receive(&mut []), Err(ReceiveError::Gone)));
    threads.stop().unwrap();
    pair::assert_adds_up(&backend);
}

#[test]
fn a_final_error_met_while_frames_are_dropped_is_the_end_of_the_interface() {
    let suspend: Act = |_, threads| threads.suspend().unwrap();
    let link_down: Act = |backend, _| backend.set_link_state(LinkState::Down);
    assert_gone_after(suspend, |_, threads| threads.resume(Resume::Normal).unwrap());
    assert_gone_after(link_down, |backend, _| backend.set_link_state(LinkState::Up));
    // A reader of one's own, beside the threads, that drops what comes while the link is down.
    assert_gone_after(link_down, |backend, _| {
        assert!(matches!(backend.receive(&mut []), Err(ReceiveError::Gone)));
    });
    assert_gone_after(link_down, |backend, _| assert!(backend.discard_queued() <= 3));
}

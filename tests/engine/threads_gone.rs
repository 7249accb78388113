#![cfg(target_os = "linux")]
//! A final error that the host reports once is never lost, whichever call finds it.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, send as send_packet, shutdown, socketpair,
};
use tap_plumb::{
    Backend, Checksum, Frame, Frontend, LinkState, ReceiveError, Refused, Resume, Tap, Threads, Wait,
};

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

/// An answer that an earlier datagram reached nobody says nothing about the next one.
#[test]
fn a_peer_over_the_internet_protocol_that_is_away_for_a_while_is_not_the_end() {
    let host = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = host.local_addr().unwrap();
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    ours.connect(address).unwrap();
    let our_address = ours.local_addr().unwrap();
    let backend = Arc::new(Backend::new(Tap::from_fd(ours.into()).unwrap()));
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    // A peer that hears itself alone is away, and keeps its port from other tests.
    host.connect(address).unwrap();
    let frame = pair::frame(60, 9);
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)])).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    host.connect(our_address).unwrap();
    host.send(&frame).unwrap();
    pair::wait_until("a frame or an end", || device.count() == 1 || device.gone.load(Ordering::SeqCst) == 1);
    assert_eq!(device.gone.load(Ordering::SeqCst), 0, "the peer is there again");
    threads.stop().unwrap();
    pair::assert_adds_up(&backend);
}

/// Lets the host send and close at the one moment when the receive thread has something else to look at.
#[derive(Default)]
struct Flapper {
    device: Device,
    host: Mutex<Option<OwnedFd>>,
    threads: Mutex<Option<Arc<Threads>>>,
}

impl Frontend for Flapper {
    fn wait_receive_available(&self, timeout: Duration) -> Wait {
        self.device.wait_receive_available(timeout)
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, frame: &[IoSlice<'_>], checksum: Checksum) -> Result<(), Refused> {
        self.device.receive(frame, checksum)
    }

    fn device_gone(&self) {
        self.device.device_gone();
    }

    fn flap_link(&self) {
        let Some(host) = self.host.lock().unwrap().take() else { return };
        for mark in 0..3 {
            send_packet(host.as_raw_fd(), &pair::frame(60, mark), MsgFlags::empty()).unwrap();
        }
        drop(host);
        self.threads.lock().unwrap().as_ref().unwrap().reset();
    }
}

#[test]
fn what_is_queued_before_the_end_is_delivered_whatever_else_draws_attention() {
    let (ours, host) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let backend = Arc::new(Backend::new(Tap::from_fd(ours).unwrap()));
    let flapper = Arc::new(Flapper { host: Mutex::new(Some(host)), ..Flapper::default() });
    let threads = Arc::new(Threads::spawn(Arc::clone(&backend), Arc::clone(&flapper) as _).unwrap());
    *flapper.threads.lock().unwrap() = Some(Arc::clone(&threads));
    threads.suspend().unwrap();
    threads.resume(Resume::HostSleep).unwrap();
    pair::wait_until("the event", || flapper.device.gone.load(Ordering::SeqCst) == 1);
    assert_eq!(flapper.device.count(), 3);
    threads.stop().unwrap();
    flapper.threads.lock().unwrap().take();
    pair::assert_adds_up(&backend);
}

/// Row T1.
#[test]
fn a_socket_that_is_shut_down_for_reading_wakes_nobody_all_the_time() {
    let udp = || {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.connect(ours.local_addr().unwrap()).unwrap();
        OwnedFd::from(ours)
    };
    for ours in [OwnedFd::from(UnixDatagram::pair().unwrap().0), udp()] {
        let copy = ours.try_clone().unwrap();
        let backend = Arc::new(Backend::new(Tap::from_fd(ours).unwrap()));
        let device = Arc::new(Device::default());
        let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
        shutdown(copy.as_raw_fd(), Shutdown::Read).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let before = backend.statistics().receive.wakeups;
        std::thread::sleep(Duration::from_millis(500));
        let wakeups = backend.statistics().receive.wakeups - before;
        assert!(wakeups < 20, "{wakeups} wake-ups in 500 ms");
        threads.stop().unwrap();
    }
}

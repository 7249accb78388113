//! Frames, threads and a removal in a root that holds `/dev/net/tun` and nothing else.

use std::io::{IoSlice, IoSliceMut, Read, stdin};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};
use tap_plumb::{
    Backend, Checksum, Config, Frontend, LinkState, Offload, ReceiveError, Refused, Threads, TransmitError,
    Wait,
};

use super::host::ip;
use super::{jail, process};

pub(crate) fn frames_flow_and_a_removed_interface_comes_back_without_proc() {
    let mut child = process::start("jailed-traffic", "");
    ip("link del jail2");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

pub(crate) fn frames_flow_without_proc_and_without_a_right() {
    ip("tuntap add ready2 mode tap user 0");
    ip("addr add 10.3.0.1/24 dev ready2");
    ip("link set ready2 up");
    process::run("jailed-traffic-unprivileged", "");
}

pub(crate) fn jailed_traffic() {
    jail::enter(true);
    let config = || Config::new().name("jail2").address([10, 3, 0, 1].into(), 24).up().offload(Offload::ALL);
    let backend = Arc::new(Backend::new(config().attach().unwrap()));
    serve(&backend);
    println!("ready");
    let _ = stdin().read(&mut [0]);
    assert!(matches!(receive(&backend), Err(ReceiveError::Gone)));
    assert!(matches!(send(&backend), Err(TransmitError::Gone)));
    backend.reattach(&config()).unwrap();
    serve(&backend);
}

pub(crate) fn jailed_traffic_unprivileged() {
    jail::enter(false);
    for _ in 0..2 {
        let config = Config::new().name("ready2").must_exist().up().offload(Offload::ALL);
        let backend = Arc::new(Backend::new(config.attach().unwrap()));
        serve(&backend);
    }
}

/// A frame each way, by a loop of our own and by threads; offloads and link change; everything is counted.
fn serve(backend: &Arc<Backend>) {
    exchange(backend);
    backend.set_offload(Offload::with_header(12).unwrap()).unwrap();
    backend.set_link_state(LinkState::Down);
    assert!(matches!(send(backend), Err(TransmitError::LinkDown)));
    backend.set_link_state(LinkState::Up);
    let before = backend.statistics().receive.frames_delivered;
    let threads = Threads::spawn(Arc::clone(backend), Arc::new(Device)).unwrap();
    while backend.statistics().receive.frames_delivered == before {
        ask_for_a_neighbour();
        std::thread::sleep(Duration::from_millis(10));
    }
    threads.stop().unwrap();
    let all = backend.statistics();
    assert_eq!(all.receive.frames_received, all.receive.frames_delivered + all.receive.dropped());
    assert_eq!(all.transmit.frames_offered, all.transmit.frames_sent + all.transmit.dropped());
}

fn exchange(backend: &Backend) {
    send(backend).unwrap();
    ask_for_a_neighbour();
    let mut fds = [PollFd::new(backend.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, 1000_u16), Ok(1));
    assert!(receive(backend).unwrap().is_some_and(|len| len >= 12 + 42));
    backend.discard_queued();
}

/// The host sends ARP for an address that it does not know.
fn ask_for_a_neighbour() {
    let socket = UdpSocket::bind("10.3.0.1:0").unwrap();
    socket.send_to(b"payload", "10.3.0.2:7000").unwrap();
}

fn receive(backend: &Backend) -> Result<Option<usize>, ReceiveError> {
    let mut buffer = vec![0; 12 + backend.receive_buffer_len()];
    backend.receive_with_header(&mut [IoSliceMut::new(&mut buffer)])
}

fn send(backend: &Backend) -> Result<(), TransmitError> {
    let frame = [&[0; 12][..], &[0xff; 6], &[2, 0, 0, 0, 0, 2], &[0x88, 0xb5], &[0; 46]].concat();
    backend.begin_transmit().unwrap().send_with_header(&[IoSlice::new(&frame)], 12)
}

/// A device that takes everything.
struct Device;

impl Frontend for Device {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        Wait::Available
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        Ok(())
    }

    fn transmit_pending(&self) {}

    fn device_gone(&self) {}
}

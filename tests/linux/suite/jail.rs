//! The crate in a root that holds `/dev/net/tun` and nothing else, from the attach to the removal.

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read, stdin};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot};
use tap_plumb::{
    AttachError, Backend, Checksum, Config, Frontend, LinkState, Offload, ReceiveError, Refused, Tap,
    Threads, TransmitError, Wait,
};

use super::host::ip;
use super::process;
use super::raw_tap::{self, BARE, TAP};

// The whole crate in a root that holds `/dev/net/tun` and nothing else: no `/proc`, no `/sys`.

pub(crate) fn everything_works_without_proc() {
    process::run("jailed", "");
}

pub(crate) fn what_is_ready_is_used_without_proc_and_without_a_right() {
    ip("tuntap add ready0 mode tap user 0");
    ip("addr add 10.3.0.1/24 dev ready0");
    ip("link set ready0 mtu 1400 up");
    process::run("jailed-unprivileged", "");
}

/// Makes the root and enters it, with the rights over the network or without any.
pub(super) fn enter(rights: bool) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let root = Path::new("/tmp");
    mount(Some("none"), root, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    fs::create_dir_all(root.join("dev/net")).unwrap();
    fs::write(root.join("dev/net/tun"), "").unwrap();
    mount(Some("/dev/net/tun"), &root.join("dev/net/tun"), none, MsFlags::MS_BIND, none).unwrap();
    if !rights {
        // A process that is in another root already may not do it any more.
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    }
    chroot(root).unwrap();
    chdir("/").unwrap();
    assert!(!Path::new("/proc").exists() && !Path::new("/sys").exists());
}

fn address() -> IpAddr {
    [10, 3, 0, 1].into()
}

pub(crate) fn jailed() {
    enter(true);
    let config = || Config::new().name("jail0").mtu(1400).address(address(), 24).up().offload(Offload::ALL);
    let taps = config().address("fd03::1".parse().unwrap(), 64).attach_queues(2).unwrap();
    for tap in &taps {
        assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1400, true));
    }
    drop(taps);
    let tap = config().attach().unwrap();
    tap.set_up(false).unwrap();
    tap.set_mtu(1500).unwrap();
    tap.set_address([10, 4, 0, 1].into(), 24).unwrap();
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1500, false));
    let busy = config().busy_timeout(Duration::ZERO).attach().unwrap_err();
    assert!(matches!(&busy, AttachError::Busy { holder, .. } if holder.is_empty()), "{busy}");
    let backend = Backend::new(tap);
    // Some kernels have a word to say to the network as soon as it is up.
    assert!(backend.statistics().dropped_by_host.is_some());
    backend.into_tap().detach().unwrap();
    let adopted = Tap::from_fd(raw_tap::tap("jail1", TAP | BARE)).unwrap();
    adopted.set_up(true).unwrap();
    assert!(adopted.is_up().unwrap());
    let refused = Tap::from_fd(raw_tap::open()).unwrap_err();
    assert!(refused.found.contains("bound to no interface"), "{refused}");
}

pub(crate) fn jailed_unprivileged() {
    enter(false);
    let tap =
        Config::new().name("ready0").must_exist().mtu(1400).address(address(), 24).up().attach().unwrap();
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1400, true));
    assert_eq!(tap.set_mtu(1500).unwrap_err().raw_os_error(), Some(libc::EPERM));
    assert_eq!(Backend::new(tap).statistics().dropped_by_host, Some(0));
}

// Frames, threads and a removal in a root that holds `/dev/net/tun` and nothing else.

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
    enter(true);
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
    enter(false);
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

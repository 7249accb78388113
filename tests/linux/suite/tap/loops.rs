//! Event loops of the hypervisor's own, and what their pollers are told.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tap_plumb::{Backend, Config, Frame, Threads, TransmitError};

use super::device::Device;
use super::host::{self, PacketSocket, ip};

// Event loops of the hypervisor's own, and many TAPs.

fn drain(backend: &Backend) -> usize {
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let mut count = 0;
    while backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap().is_some() {
        count += 1;
    }
    count
}

pub(crate) fn level_edge_and_one_shot_pollers_see_every_frame() {
    let backend = host::backend(Config::new());
    let host = PacketSocket::new("tap0");
    for kind in [EpollFlags::empty(), EpollFlags::EPOLLET, EpollFlags::EPOLLONESHOT] {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let event = EpollEvent::new(EpollFlags::EPOLLIN | kind, 1);
        epoll.add(backend.as_fd(), event).unwrap();
        for round in 1..20 {
            for number in 0..round {
                host.send(&host::frame(60, number));
            }
            let mut events = [EpollEvent::empty()];
            assert_eq!(
                epoll.wait(&mut events, EpollTimeout::from(1000_u16)).unwrap(),
                1,
                "{kind:?} round {round}"
            );
            assert_eq!(drain(&backend), round as usize);
            if kind == EpollFlags::EPOLLONESHOT {
                epoll.modify(backend.as_fd(), &mut event.clone()).unwrap();
            }
        }
    }
    host::assert_adds_up(&backend);
}

fn many() -> Vec<Arc<Backend>> {
    host::quiet();
    let attach = |number| Config::new().name(format!("tap{number}")).up().attach().expect("attach");
    (0..64).map(|number| Arc::new(Backend::new(attach(number)))).collect()
}

/// Row F27.
pub(crate) fn sixty_four_taps_on_one_thread() {
    let backends = many();
    let hosts: Vec<_> = (0..64).map(|number| PacketSocket::new(&format!("tap{number}"))).collect();
    for _ in 0..10 {
        for host in &hosts {
            for number in 0..16 {
                host.send(&host::frame(60, number));
            }
        }
        let mut fds: Vec<_> =
            backends.iter().map(|backend| PollFd::new(backend.as_fd(), PollFlags::POLLIN)).collect();
        assert_eq!(poll(&mut fds, PollTimeout::from(1000_u16)).unwrap(), 64);
        assert!(backends.iter().all(|backend| drain(backend) == 16));
    }
}

pub(crate) fn sixty_four_quiet_taps_do_not_wake_anybody() {
    let driven: Vec<_> = many()
        .into_iter()
        .map(|backend| {
            let threads = Threads::spawn(Arc::clone(&backend), Arc::new(Device::default())).unwrap();
            (backend, threads)
        })
        .collect();
    let count = || driven.iter().map(|(backend, _)| backend.statistics().receive.wakeups).sum::<u64>();
    // On a machine under load the start of 128 threads takes its time. One that wakes up by itself leaves no time quiet.
    let quiet = || {
        let before = count();
        std::thread::sleep(Duration::from_secs(2));
        count() == before
    };
    assert!((0..5).any(|_| quiet()), "{} wake-ups", count());
}

// What an edge-triggered poller is told of an interface that goes down and comes up, in a namespace where the host sends
// nothing of its own accord: a frame that comes in would tell it more.

const BOTH: EpollFlags = EpollFlags::EPOLLIN.union(EpollFlags::EPOLLOUT);

fn edges(fd: impl AsFd, interest: EpollFlags) -> Epoll {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(fd, EpollEvent::new(interest | EpollFlags::EPOLLET, 1)).unwrap();
    epoll
}

/// What there is to tell within `time` ms.
fn told(epoll: &Epoll, time: u16) -> EpollFlags {
    let mut events = [EpollEvent::empty()];
    let count = epoll.wait(&mut events, EpollTimeout::from(time)).unwrap();
    events[..count].iter().fold(EpollFlags::empty(), |all, event| all | event.events())
}

fn ask(backend: &Backend) -> bool {
    poll(&mut [PollFd::new(backend.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO).unwrap() > 0
}

/// Takes the interface down, and finds that out by a frame.
fn refused(backend: &Backend) {
    ip("link set tap0 down");
    let frame = host::frame(60, 0);
    let refused = backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)]));
    assert!(matches!(refused, Err(TransmitError::InterfaceDown { sent: 0 })), "{refused:?}");
}

pub(crate) fn an_edge_poller_is_told_of_an_interface_that_comes_up_once_it_has_asked_by_poll() {
    let backend = host::backend(Config::new());
    for interest in [EpollFlags::EPOLLOUT, BOTH] {
        for asked in [false, true] {
            let epoll = edges(backend.as_fd(), interest);
            assert_eq!(told(&epoll, 0), EpollFlags::EPOLLOUT, "it is up at first");
            refused(&backend);
            if asked {
                assert!(!ask(&backend));
            }
            ip("link set tap0 up");
            let expected = if asked { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            assert_eq!(told(&epoll, 200), expected, "{interest:?}, asked: {asked}");
        }
    }
}

/// Why the missing question shows seldom.
pub(crate) fn a_frame_that_comes_in_tells_an_edge_poller_of_writability_too() {
    let backend = host::backend(Config::new());
    let epoll = edges(backend.as_fd(), BOTH);
    assert_eq!(told(&epoll, 0), EpollFlags::EPOLLOUT);
    refused(&backend);
    ip("link set tap0 up");
    assert_eq!(told(&epoll, 100), EpollFlags::empty());
    PacketSocket::new("tap0").send(&host::frame(60, 1));
    assert_eq!(told(&epoll, 1000), BOTH);
}

pub(crate) fn a_duplicate_takes_a_second_interest() {
    let backend = host::backend(Config::new());
    let wire = PacketSocket::new("tap0");
    let copy = backend.duplicate_fd().unwrap();
    assert_eq!(fcntl(&copy, FcntlArg::F_GETFD), Ok(FdFlag::FD_CLOEXEC.bits()));
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(backend.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, 1)).unwrap();
    epoll.add(&copy, EpollEvent::new(EpollFlags::EPOLLOUT, 2)).unwrap();
    wire.send(&host::frame(60, 1));
    let mut events = [EpollEvent::empty(); 4];
    let count = epoll.wait(&mut events, EpollTimeout::from(1000_u16)).unwrap();
    let mut seen: Vec<_> = events[..count].iter().map(|event| (event.data(), event.events())).collect();
    seen.sort_by_key(|(number, _)| *number);
    assert_eq!(seen, [(1, EpollFlags::EPOLLIN), (2, EpollFlags::EPOLLOUT)]);
}

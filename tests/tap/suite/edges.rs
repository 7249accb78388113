//! What an edge-triggered poller is told of an interface that goes down and comes up, in a namespace where the host sends
//! nothing of its own accord: a frame that comes in would tell it more.

use std::io::IoSlice;
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tap_plumb::{Backend, Config, Frame, TransmitError};

use super::host::{self, PacketSocket, ip};

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

//! Event loops of the hypervisor's own, and many TAPs.

use std::io::IoSliceMut;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tap_plumb::{Backend, Config, Threads};

use super::device::Device;
use super::host::{self, PacketSocket};

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

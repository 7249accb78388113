//! The interface is removed under its owner.

use std::os::fd::{AsFd, AsRawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tap_plumb::{AttachError, Backend, Config, Offload, Tap};

use super::host::{exists, ip, is_root_of_the_machine, vanishes};

fn events(fd: impl AsFd) -> PollFlags {
    let mut set = [PollFd::new(fd.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
    poll(&mut set, PollTimeout::ZERO).unwrap();
    set[0].revents().unwrap()
}

pub(crate) fn the_same_descriptor_is_bound_again() {
    let config = || Config::new().name("again0").offload(Offload::ALL).mtu(1400).up();
    let backend = Backend::new(config().attach().unwrap());
    let number = backend.as_fd().as_raw_fd();
    for _ in 0..3 {
        ip("link del again0");
        assert_eq!(events(&backend), PollFlags::POLLERR);
        assert!(!backend.reattach(&config()).unwrap(), "a poller need not register it anew");
        assert_eq!(events(&backend) & PollFlags::POLLOUT, PollFlags::POLLOUT);
        assert_eq!(backend.as_fd().as_raw_fd(), number);
        assert!(ip("link show again0").contains("mtu 1400"));
    }
    let less = Offload::with_header(12).unwrap();
    backend.reattach(&config().offload(less)).unwrap();
    assert_eq!(backend.tap().offload(), less);
    drop(backend);
    vanishes("again0");
}

pub(crate) fn a_failed_reattach_can_be_tried_again() {
    let backend = Backend::new(Config::new().name("again0").attach().unwrap());
    ip("link del again0");
    let error = backend.reattach(&Config::new().name("again0").must_exist()).unwrap_err();
    assert!(matches!(error, AttachError::Missing { .. }), "{error}");
    // This one is bound before it fails.
    let error = backend.reattach(&Config::new().name("again0").mtu(1)).unwrap_err();
    assert!(matches!(error, AttachError::Request { request: "MTU", .. }), "{error}");
    backend.reattach(&Config::new().name("again0").up()).unwrap();
    assert_eq!(events(&backend) & PollFlags::POLLOUT, PollFlags::POLLOUT);
}

pub(crate) fn a_reattach_does_not_take_one_interface_for_another() {
    let backend = Backend::new(Config::new().name("again0").attach().unwrap());
    let error = backend.reattach(&Config::new().name("other0")).unwrap_err();
    assert!(matches!(&error, AttachError::Mismatch { found, .. } if found == "again0"), "{error}");
    // What is attached still only gets its settings.
    backend.reattach(&Config::new().name("again0").mtu(1300)).unwrap();
    backend.reattach(&Config::new().mtu(1301)).unwrap();
    assert!(ip("link show again0").contains("mtu 1301"));
}

pub(crate) fn a_reattach_cannot_change_the_header() {
    let backend = Backend::new(Config::new().name("again0").attach().unwrap());
    let error = backend.reattach(&Config::new().name("again0").offload(Offload::ALL)).unwrap_err();
    assert!(matches!(&error, AttachError::BadOption { option, .. } if option == "offload"), "{error}");
}

pub(crate) fn several_queues_come_back_as_one_interface() {
    let config = || Config::new().name("many0").up();
    let queues: Vec<_> = config().attach_queues(3).unwrap().into_iter().map(Backend::new).collect();
    ip("link del many0");
    for queue in &queues {
        // The first makes the interface; that it exists then is no reason to turn the others away.
        queue.reattach(&config().create_exclusive()).unwrap();
    }
    for queue in &queues {
        assert_eq!(events(queue) & PollFlags::POLLOUT, PollFlags::POLLOUT);
    }
    let (last, others) = {
        let mut queues = queues;
        (queues.pop().unwrap(), queues)
    };
    drop(others);
    assert!(exists("many0"));
    drop(last);
    vanishes("many0");
}

pub(crate) fn a_socket_cannot_be_bound_again() {
    let (ours, _theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let backend = Backend::new(Tap::from_fd(ours.into()).unwrap());
    let error = backend.reattach(&Config::new()).unwrap_err();
    assert!(matches!(error, AttachError::Unsupported { .. }), "{error}");
}

pub(crate) fn an_interface_that_is_bound_again_outlives_its_descriptors_where_that_is_asked_for() {
    // In a user namespace there are no others.
    let (user, shown_as) = if is_root_of_the_machine() { (1234, "user 1234") } else { (0, "user root") };
    let config = || Config::new().name("again0").persistent(Some(user), None);
    let backend = Backend::new(config().attach().unwrap());
    ip("link del again0");
    backend.reattach(&config()).unwrap();
    drop(backend);
    let shown = ip("-d link show again0");
    assert!(shown.contains("persist on") && shown.contains(shown_as), "{shown}");
    ip("link del again0");
}

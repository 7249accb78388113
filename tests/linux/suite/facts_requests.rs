//! Facts about the requests of the TUN driver.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use libc::{EBADFD, EBUSY, EEXIST, EINVAL, ENOTTY, EPERM};
use nix::unistd::{read, write};

use super::facts::{Facts, errno};
use super::host::{ip, try_ip};
use super::process;
use super::raw_tap::{self, BARE, HEADER, MULTI_QUEUE, TAP};

pub(crate) fn an_unbound_descriptor_can_do_nothing() {
    let mut facts = Facts::default();
    let fd = raw_tap::open();
    facts.check("read", errno(read(&fd, &mut [0; 100])), EBADFD);
    facts.check("write", errno(write(&fd, &[0; 100])), EBADFD);
    facts.check("TUNGETIFF", errno(raw_tap::bound(&fd)), EBADFD);
    facts.check("TUNSETOFFLOAD", errno(raw_tap::value(&fd, libc::TUNSETOFFLOAD, 0)), EBADFD);
    let features = raw_tap::int(&fd, libc::TUNGETFEATURES, 0).unwrap();
    let needed = TAP | BARE | HEADER | MULTI_QUEUE;
    facts.check("TUNGETFEATURES", features & needed, needed);
    facts.check("neither TUN nor TAP", errno(raw_tap::bind(&fd, b"", BARE)), EINVAL);
}

pub(crate) fn other_descriptors_do_not_know_the_requests() {
    let mut facts = Facts::default();
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let pipe: OwnedFd = std::io::pipe().unwrap().0.into();
    let socket: OwnedFd = UnixDatagram::unbound().unwrap().into();
    for (name, fd) in [("null", null), ("pipe", pipe), ("socket", socket)] {
        facts.check(name, errno(raw_tap::bound(&fd)), ENOTTY);
    }
}

pub(crate) fn binding() {
    let mut facts = Facts::default();
    let fd = raw_tap::open();
    facts.check(
        "long name",
        raw_tap::bind(&fd, b"a2345678901234567", TAP | BARE).ok(),
        Some("a23456789012345".into()),
    );
    facts.check("twice", errno(raw_tap::bind(&fd, b"x0", TAP | BARE)), EEXIST);
    facts.check("second owner", errno(raw_tap::bind(raw_tap::open(), b"a23456789012345", TAP | BARE)), EBUSY);
    let exclusive = TAP | BARE | libc::IFF_TUN_EXCL;
    facts.check("exclusive", errno(raw_tap::bind(raw_tap::open(), b"a23456789012345", exclusive)), EBUSY);
    facts.check(
        "other queue mode",
        errno(raw_tap::bind(raw_tap::open(), b"a23456789012345", TAP | MULTI_QUEUE)),
        EINVAL,
    );
    ip("link del a23456789012345");
    facts.check("removed", errno(raw_tap::bound(&fd)), EBADFD);
    facts.check("bound again", raw_tap::bind(&fd, b"x1", TAP | BARE).ok(), Some("x1".into()));
    // Finding: no socket filter sets the bit of IFF_NO_PI.
    let info = raw_tap::tap("x2", TAP);
    facts.check("IFF_NO_PI of a TAP with packet-info", raw_tap::bound(&info).unwrap().1 & BARE, BARE);
    let first = raw_tap::tap("x3", TAP | BARE | MULTI_QUEUE | HEADER);
    let second = raw_tap::tap("x3", TAP | BARE | MULTI_QUEUE);
    facts.check("header of a second queue", raw_tap::bound(&second).unwrap().1 & HEADER, HEADER);
    drop(first);
}

pub(crate) fn numbers_that_are_refused() {
    let mut facts = Facts::default();
    let fd = raw_tap::tap("num0", TAP | BARE | HEADER);
    for (len, answer) in [(0, EINVAL), (9, EINVAL), (10, 0), (12, 0), (65535, 0)] {
        facts.check(
            &format!("header of {len}"),
            errno(raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, len)),
            answer,
        );
    }
    for (size, answer) in [(0, EINVAL), (-1, EINVAL), (1, 0), (i32::MAX, 0)] {
        facts.check(
            &format!("send buffer of {size}"),
            errno(raw_tap::int(&fd, libc::TUNSETSNDBUF, size)),
            answer,
        );
    }
    facts.check("TUNSETIFINDEX", errno(raw_tap::int(&fd, libc::TUNSETIFINDEX, 77)), EPERM);
}

pub(crate) fn offloads_that_are_refused() {
    let mut facts = Facts::default();
    let fd = raw_tap::tap("num0", TAP | BARE | HEADER);
    let answer = |bits| errno(raw_tap::value(&fd, libc::TUNSETOFFLOAD, bits));
    // CSUM 1, TSO4 2, TSO6 4, ECN 8, USO4 0x20, USO6 0x40.
    for (bits, expected) in [
        (0, 0),
        (1, 0),
        (2, EINVAL),
        (3, 0),
        (8 | 1, EINVAL),
        (8 | 3, 0),
        (0x20 | 1, EINVAL),
        (0x40 | 1, EINVAL),
        (1 << 20, EINVAL),
    ] {
        facts.check(&format!("offload {bits:#x}"), answer(bits), expected);
    }
    for bits in [0x60 | 1, 0x6f] {
        facts.check_since((6, 2), &format!("offload {bits:#x}"), answer(bits), (EINVAL, 0));
    }
    let bare = raw_tap::tap("num1", TAP | BARE);
    facts.check("offload without header", errno(raw_tap::value(&bare, libc::TUNSETOFFLOAD, 7)), 0);
}

pub(crate) fn an_interface_that_is_up_is_renamed() {
    let mut facts = Facts::default();
    let _tap = raw_tap::tap("name0", TAP | BARE);
    ip("link set name0 up");
    let renamed = try_ip("link set name0 name name1").is_ok();
    facts.check_since((6, 2), "renamed while up", renamed, (false, true));
}

pub(crate) fn a_persistent_tap_of_nobody() {
    let mut facts = Facts::default();
    ip("tuntap add nobodys0 mode tap");
    ip("tuntap add owned0 mode tap user 0");
    let claimed = |name| process::answer("claim", name).parse().expect("an errno");
    facts.check_any(
        "claim of a persistent TAP without owner and group",
        claimed("nobodys0"),
        &[(0, "most kernels"), (EPERM, "6.12.117, 6.12.118 and 7.3.4")],
    );
    facts.check("claim of one's own", claimed("owned0"), 0);
}

pub(crate) fn queues_are_detached_once() {
    let mut facts = Facts::default();
    let single = raw_tap::tap("one0", TAP | BARE);
    let detach = |fd: &OwnedFd| errno(raw_tap::set_queue(fd.as_fd(), libc::IFF_DETACH_QUEUE));
    let attach = |fd: &OwnedFd| errno(raw_tap::set_queue(fd.as_fd(), libc::IFF_ATTACH_QUEUE));
    facts.check("single queue", detach(&single), EINVAL);
    let _first = raw_tap::tap("many0", TAP | BARE | MULTI_QUEUE);
    let second = raw_tap::tap("many0", TAP | BARE | MULTI_QUEUE);
    facts.check("attached twice", attach(&second), EINVAL);
    facts.check("detached", detach(&second), 0);
    facts.check("detached twice", detach(&second), EINVAL);
    facts.check(
        "IFF_DETACH_QUEUE",
        raw_tap::bound(&second).unwrap().1 & libc::IFF_DETACH_QUEUE,
        libc::IFF_DETACH_QUEUE,
    );
    facts.check("attached again", attach(&second), 0);
    ip("link del many0");
    facts.check("after removal", detach(&second), EINVAL);
}

/// The orders of closing, detaching and removing of the kernel's own self-test (`tools/testing/selftests/net/tun.c`).
pub(crate) fn orders_of_undoing() {
    let mut facts = Facts::default();
    for order in [
        "detach delete close",
        "delete detach close",
        "detach close delete",
        "detach attach delete close",
        "detach attach close delete",
    ] {
        let first = raw_tap::tap("order0", TAP | BARE | MULTI_QUEUE);
        let mut second = Some(raw_tap::tap("order0", TAP | BARE | MULTI_QUEUE));
        for step in order.split(' ') {
            let queue = |flag| second.as_ref().map_or(0, |fd| errno(raw_tap::set_queue(fd, flag)));
            match step {
                "detach" => {
                    let answer = if order.starts_with("delete") { EINVAL } else { 0 };
                    facts.check(order, queue(libc::IFF_DETACH_QUEUE), answer);
                }
                "attach" => facts.check(order, queue(libc::IFF_ATTACH_QUEUE), 0),
                "delete" => drop(ip("link del order0")),
                _ => second = None,
            }
        }
        drop(first);
        super::host::vanishes("order0");
    }
}

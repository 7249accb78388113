//! The attach to an existing data link, and what is left after it.

use std::os::fd::{AsFd, AsRawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use streams_model::{Errno, Machine, Message, MessageKind, Moment, Record, Trouble, When};

use crate::bench::quiet_lines;
use crate::bench::{address, assert_nothing_wrong, assert_unchanged, attach, errno_of, host, named, refused};
use crate::datalink_bench::*;
use crate::{AttachError, Config};

#[track_caller]
fn deletable(machine: &Machine) {
    assert_eq!(machine.kernel(|kernel| kernel.delete_link("vnic0")), Ok(()));
}

/// Row link 1.
#[test]
fn the_link_tells_its_name_address_and_mtu() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let tap = attach(link());
    assert_eq!(tap.name().unwrap().as_str(), Some("vnic0"));
    assert_eq!(tap.hardware_address().unwrap(), OWN);
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap(), tap.created()), (1500, true, false));
    assert!(tap.set_mtu(1400).is_err() && tap.set_up(false).is_err() && tap.addresses().is_err());
    tap.detach().unwrap();
    assert_unchanged(&machine, &before);
    deletable(&machine);
}

/// Row link 1.
#[test]
fn the_calls_of_an_attach_are_those_checked_in() {
    let machine = alone();
    let tap = attach(link().share_datalink());
    let attached = machine.calls();
    drop(tap);
    let lines = quiet_lines(&machine);
    let expected = include_str!("datalink.trace");
    let closes = expected.lines().filter(|line| line.starts_with("close(")).count();
    let (attach, detach) = (expected.trim().lines().count() - closes, machine.calls() - attached);
    // `ci/bench` reads this line.
    println!("\nstreams.datalink {attached} {attach} {detach} {closes}");
    assert_eq!(lines.join("\n").trim(), expected.trim());
}

/// Row link 1.
#[test]
fn what_is_no_link_is_told_with_a_remedy() {
    let machine = alone();
    let text = |config| refused(&machine, config).to_string();
    let missing = text(Config::new().datalink("vnic7"));
    assert!(missing.contains("/dev/net/vnic7") && missing.contains("dladm show-link"), "{missing}");
    for name in ["", "../tap", "net/vnic0", "0vnic", "vnic 0", "a1234567890123456789012345678901", "vnic0\0"]
    {
        let error = refused(&machine, Config::new().datalink(name));
        assert!(matches!(error, AttachError::BadName { .. }), "{name:?}: {error}");
    }
    let opening = |record: &Record| record.is_about("open", "/dev/net/vnic0");
    machine.fail_nth(1, opening, Trouble::Errno(Errno::EACCES), Moment::Before);
    let forbidden = text(link());
    assert!(forbidden.contains("PRIV_NET_RAWACCESS"), "{forbidden}");
}

/// Row link 1.
#[test]
fn each_refusal_tells_its_own_remedy() {
    let cases = [
        ("open", "/dev/net/vnic0", Errno::EPERM, "PRIV_NET_RAWACCESS"),
        ("open", "/dev/net/vnic0", Errno::EMFILE, "ulimit -n"),
        ("I_PUSH", "bufmod", Errno::EPERM, "PRIV_NET_RAWACCESS"),
        ("I_PUSH", "bufmod", Errno::EINVAL, "has no module bufmod"),
        ("I_STR", "SBIOCSCHUNK", Errno::EINVAL, "another one than expected"),
        ("I_STR", "DLIOCRAW", Errno::EINVAL, "GLDv3"),
    ];
    let machine = alone();
    for (operation, subject, errno, words) in cases {
        let hit = move |record: &Record| record.is_about(operation, subject);
        machine.fail_nth(1, hit, Trouble::Errno(errno), Moment::Before);
        let error = refused(&machine, link().datalink_buffer(65536));
        machine.kernel(streams_model::Kernel::clear_faults);
        assert!(error.to_string().contains(words), "{subject} {errno}: {error}");
    }
    machine.fail_nth(3, put("DL_PROMISCON_REQ"), Trouble::Refuse { error: 4, unix: 48 }, Moment::Before);
    let error = refused(&machine, link());
    assert!(error.to_string().contains("the NIC below refuses to receive all multicast groups"), "{error}");
    let error = refused(&machine, link().hardware_address([2, 8, 0x20, 0, 0, 1]));
    assert!(error.to_string().contains("the NIC below has this one"), "{error}");
    drop(machine);
    let taken = refused(&with_neighbour(), link().hardware_address(OTHER)).to_string();
    assert!(taken.contains("another link over the same NIC has that address"), "{taken}");
}

/// Row link 1.
#[test]
fn what_carries_no_ethernet_is_refused() {
    for (word, value) in [(4, 9), (3, 6), (6, 3), (7, 2), (13, 0x501)] {
        let machine = alone();
        machine.fail_nth(1, put("DL_INFO_REQ"), Trouble::Reply(info_with(&[(word, value)])), Moment::Before);
        let error = refused(&machine, link());
        assert!(matches!(error, AttachError::WrongKind { .. }), "word {word}: {error}");
        assert_eq!(error.to_string().contains("no Ethernet frames"), word == 4, "{error}");
    }
}

/// Row link 3.
#[test]
fn a_link_that_viona_has_is_busy() {
    let machine = alone();
    admin(&machine, |kernel| kernel.take_link("vnic0"));
    let error = refused(&machine, link());
    let AttachError::Busy { name, holder, source } = &error else { panic!("{error:?}") };
    assert_eq!((name.as_str(), source.raw_os_error()), ("vnic0", Some(libc::EBUSY)));
    assert!(holder.contains("viona"), "{holder}");
    let error = refused(&machine, link().hardware_address(NEW));
    assert!(matches!(error, AttachError::Busy { .. }), "{error:?}");
    admin(&machine, |kernel| kernel.release_link("vnic0"));
    let tap = attach(link());
    assert_eq!(machine.kernel(|kernel| kernel.take_link("vnic0")), Err(Errno::EBUSY));
    drop(tap);
    admin(&machine, |kernel| kernel.take_link("vnic0"));
}

/// Row link 1.
#[test]
fn a_link_with_the_hosts_ip_is_refused_unless_it_is_to_be_shared() {
    let machine = alone();
    machine.kernel(|kernel| kernel.plumb_elsewhere("vnic0"));
    let error = refused(&machine, link());
    assert!(matches!(error, AttachError::WrongKind { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("IP is plumbed") && text.contains("share_datalink"), "{text}");
    drop(attach(link().share_datalink()));
    drop(machine);
    // Of one that has IPv6 alone.
    let machine = alone();
    let _host = attach(named("vnic0").address(address("fd00::1"), 64));
    machine.fail_nth(1, |record| record.is("SIOCGLIFFLAGS"), Trouble::Errno(Errno::ENXIO), Moment::Before);
    assert!(matches!(refused(&machine, link()), AttachError::WrongKind { .. }));
}

/// Row link 1.
#[test]
fn options_that_contradict_a_data_link_are_refused_before_any_call() {
    let machine = alone();
    let none: [fn(Config) -> Config; 13] = [
        |config| config.create_exclusive(),
        |config| config.persistent(None, None),
        |config| config.replace_stale(),
        |config| config.external_plumbing(),
        |config| config.address("10.0.0.1".parse().unwrap(), 24),
        |config| config.keep_state(),
        |config| config.mtu(1400),
        |config| config.up(),
        |config| config.queue_length(10),
        |config| config.datalink_buffer(16 * 1024 - 1),
        |config| config.datalink_buffer(64 * 1024 * 1024 + 1),
        |config| config.hardware_address([0; 6]),
        |config| config.hardware_address(GROUP),
    ];
    for (place, change) in none.into_iter().enumerate() {
        let error = refused(&machine, change(link()));
        assert!(matches!(error, AttachError::BadOption { .. }), "{place}: {error:?}");
    }
    assert!(matches!(link().attach_queues(2), Err(AttachError::BadOption { .. })));
    for config in [Config::new().datalink_buffer(65536), Config::new().name("tap3").share_datalink()] {
        assert!(matches!(refused(&machine, config), AttachError::BadOption { .. }));
    }
    assert_eq!(machine.calls(), 0);
    drop(attach(link().must_exist()));
}

/// Row link 15.
#[test]
fn a_close_in_any_state_leaves_nothing() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let tap = attach(link());
    (0..50).for_each(|_| neighbour(&machine, &frame(OWN, OTHER, IPV4, 1514, 0)));
    drop(tap);
    assert_unchanged(&machine, &before);
    // An answer that never comes, at each request.
    for name in ["DL_NOTIFY_REQ", "DL_BIND_REQ"] {
        machine.fail_nth(1, put(name), Trouble::NoAnswer, Moment::Before);
        let error = link().attach().unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(error.raw_os_error(), host(Errno::ETIME), "{error}");
        assert_unchanged(&machine, &before);
    }
    deletable(&machine);
}

/// Row link 15.
#[test]
fn a_hundred_cycles_are_alike() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let mut cycles = (0..100).map(|_| {
        let first = machine.calls();
        let tap = attach(link().hardware_address(NEW));
        assert_eq!(address_of(&machine, "vnic0"), NEW);
        drop(tap);
        assert_unchanged(&machine, &before);
        machine.calls() - first
    });
    let calls = cycles.next().unwrap();
    assert!(cycles.all(|other| other == calls));
}

/// Row link 15.
#[test]
fn a_second_process_may_open_it() {
    let machine = with_neighbour();
    let (first, second) = (crate::Backend::new(attach(link())), crate::Backend::new(attach(link())));
    neighbour(&machine, &frame(OWN, OTHER, IPV4, 100, 0));
    assert_eq!((received(&first).len(), received(&second).len()), (1, 1));
    drop(first);
    neighbour(&machine, &frame(OWN, OTHER, IPV4, 100, 0));
    assert_eq!(received(&second).len(), 1);
}

/// Row link 18.
#[test]
fn bufmod_failing_at_each_call_costs_room_and_nothing_else() {
    let pick: [(&str, Option<&str>); 4] = [
        ("I_PUSH", Some("bufmod")),
        ("I_STR", Some("SBIOCSFLAGS")),
        ("I_STR", Some("SBIOCSCHUNK")),
        ("I_STR", Some("SBIOCSTIME")),
    ];
    for (operation, subject) in pick {
        for moment in [Moment::Before, Moment::After] {
            let hit = move |record: &Record| record.is(operation) && record.subject.as_deref() == subject;
            let machine = with_neighbour();
            let before = machine.snapshot();
            machine.fail_nth(1, hit, Trouble::Errno(Errno::EINVAL), moment);
            let backend = crate::Backend::new(attach(link()));
            neighbour(&machine, &frame(OWN, OTHER, IPV4, 60, 0));
            assert_eq!(received(&backend).len(), 1, "{subject:?} {moment:?}: held back");
            drop(backend);
            assert_unchanged(&machine, &before);
            machine.fail_nth(1, hit, Trouble::Errno(Errno::EINVAL), moment);
            let error = refused(&machine, link().datalink_buffer(65536)).to_string();
            assert!(error.contains(subject.unwrap_or(operation)) || error.contains(operation), "{error}");
            assert!(error.contains("datalink_buffer"), "{error}");
        }
    }
    let machine = with_neighbour();
    let half = |record: &Record| record.is_about("I_STR", "SBIOCSTIME");
    machine.fail_nth(1, half, Trouble::Errno(Errno::EINVAL), Moment::Before);
    machine.fail_nth(1, |record| record.is("I_POP"), Trouble::Errno(Errno::EINVAL), Moment::Before);
    let error = refused(&machine, link()).to_string();
    assert!(error.contains("I_POP"), "a bufmod that cannot be removed would hold frames back: {error}");
}

/// Row link 19.
#[test]
fn an_answer_that_is_none_is_an_error() {
    let wrong: [&'static [u8]; 5] =
        [&[], &[6, 0, 0, 0], &[6, 0, 0, 0, 0x99, 0, 0, 0], &[5, 0, 0, 0], &[0xff; 40]];
    for name in ["DL_INFO_REQ", "DL_NOTIFY_REQ", "DL_PROMISCON_REQ", "DL_BIND_REQ"] {
        for reply in wrong {
            let machine = with_neighbour();
            machine.fail_nth(1, put(name), Trouble::Reply(reply), Moment::Before);
            let error = refused(&machine, link()).to_string();
            assert!(error.contains(name) && error.contains("/dev/net/vnic0"), "{reply:?} to {name}: {error}");
        }
    }
}

/// Row link 19.
#[test]
fn a_late_answer_is_not_taken_for_the_next() {
    let machine = with_neighbour();
    let tap = attach(link());
    // The request goes out, and its answer is left behind.
    machine.fail_nth(1, put("DL_PHYS_ADDR_REQ"), Trouble::Errno(Errno::EINTR), Moment::After);
    assert!(tap.hardware_address().is_err());
    assert_eq!(tap.mtu().unwrap(), 1500);
    assert_eq!(tap.hardware_address().unwrap(), OWN);
    // The same, and the answer that comes is out of date before the next is asked for.
    machine.fail_nth(1, put("DL_PHYS_ADDR_REQ"), Trouble::Errno(Errno::EINTR), Moment::After);
    assert!(tap.hardware_address().is_err());
    let news = tap.news_fd().unwrap();
    assert_eq!(poll(&mut [PollFd::new(news, PollFlags::POLLPRI)], PollTimeout::ZERO), Ok(1));
    admin(&machine, |kernel| kernel.set_link_address("vnic0", FOREIGN));
    assert_eq!(tap.hardware_address().unwrap(), FOREIGN);
    // The last of them comes when the next request is on its way.
    let number = tap.news_fd().unwrap().as_raw_fd();
    machine.kernel(|kernel| {
        kernel.before(When::Nth(1, Box::new(put("DL_INFO_REQ"))), move |kernel| {
            let late = [6_u32, 0x33].iter().flat_map(|word| word.to_ne_bytes()).collect();
            kernel.inject_message(number, Message::proto(MessageKind::PcProto, late)).unwrap();
        });
    });
    assert_eq!(tap.mtu().unwrap(), 1500);
    assert_nothing_wrong(&machine);
}

/// Row link 15.
#[test]
fn descriptors_are_close_on_exec_and_above_the_standard_streams() {
    let machine = alone();
    let tap = attach(link());
    assert!(tap.as_fd().as_raw_fd() > 2);
    let opened: Vec<_> = machine.trace().into_iter().filter(|record| record.is("open")).collect();
    assert!(opened.iter().all(|record| record.arguments.contains("O_CLOEXEC")), "{opened:?}");
    let tap = tap.into_fd().expect_err("its address depends on more than the descriptor");
    assert!(matches!(tap.add_queues(1), Err(AttachError::Unsupported { .. })));
    assert!(matches!(tap.reattach(&link()), Err(AttachError::Unsupported { .. })));
}

/// Row link 8.
#[test]
fn a_system_without_rx_only_gets_along_without_it() {
    let machine = with_neighbour();
    let unknown = Trouble::Refuse { error: 0x12, unix: 0 };
    machine.fail_nth(1, put("DL_PROMISCON_REQ"), unknown, Moment::Before);
    let backend = crate::Backend::new(attach(link()));
    neighbour(&machine, &frame(EVERYBODY, OTHER, IPV4, 100, 0));
    assert_eq!(received(&backend).len(), 1);
    assert_nothing_wrong(&machine);
    // Of the other two it is an error.
    for nth in [2, 3] {
        machine.fail_nth(nth, put("DL_PROMISCON_REQ"), unknown, Moment::Before);
        assert!(link().attach().is_err());
        machine.kernel(streams_model::Kernel::clear_faults);
    }
}

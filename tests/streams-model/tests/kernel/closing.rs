//! The ends of an interface, in every order, and the calls that never return.

use std::time::Duration;

use streams_model::abi::{I_LINK, I_PLINK, I_UNLINK, IFF_IPV4};
use streams_model::{Call, Errno, Outcome, Place, Service, abi};

use crate::caller::{Caller, lifreq};
use crate::{HOST, done, failed, up_and_quiet};

#[test]
fn closing_the_mux_takes_the_interface_and_leaves_the_ppa() {
    let (mut caller, plumbed) = up_and_quiet();
    assert_eq!(caller.close(plumbed.mux), done(0));
    let state = caller.kernel.snapshot();
    assert_eq!((state.interfaces.len(), state.links.len(), state.streams, state.ppas), (0, 0, 1, vec![0]));
    assert_eq!(caller.close(plumbed.control), done(0));
    assert_eq!(caller.kernel.snapshot(), Default::default());
}

#[test]
fn closing_the_control_stream_first_leaves_a_dead_interface() {
    let (mut caller, plumbed) = up_and_quiet();
    assert_eq!(caller.close(plumbed.control), done(0));
    assert!(caller.kernel.interface_states()[0].is_up());
    caller.kernel.host_pings([10, 77, 0, 2], 1, &[0; 8]);
    assert_eq!(
        caller.kernel.take_console(),
        ["arl_dlpi_pending unsolicited ack for DL_UNITDATA_REQ on tap0"]
    );
    assert_eq!(caller.set_up(plumbed.mux, "tap0", false), done(0));
    assert_eq!(caller.set_up(plumbed.mux, "tap0", true), failed(Errno::ENXIO));
    let again = caller.control(0);
    assert_eq!(
        caller.set_up(plumbed.mux, "tap0", true),
        failed(Errno::ENXIO),
        "the old streams stay detached"
    );
    for id in [2, 1] {
        assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, id), done(0));
    }
    caller.close(plumbed.mux);
    caller.close(again);
    assert_eq!(caller.kernel.snapshot(), Default::default());
}

#[test]
fn the_end_of_the_process_cleans_up_in_either_order_of_numbers() {
    for control_first in [false, true] {
        let mut caller = Caller::default();
        let early = control_first.then(|| caller.control(0));
        let mux = caller.must_open("/dev/udp");
        early.unwrap_or_else(|| caller.control(0));
        for fd in [caller.ip_stream("tap0", 0, IFF_IPV4), caller.arp_stream("tap0", 0)] {
            assert!(caller.ioctl(mux, I_LINK, i64::from(fd)).result().is_ok());
        }
        caller.set_address(mux, "tap0", HOST);
        caller.set_up(mux, "tap0", true);
        assert!(caller.kernel.exit().iter().all(|outcome| *outcome == done(0)));
        assert_eq!(caller.kernel.snapshot(), Default::default());
    }
}

#[test]
fn persistent_links_survive_the_process() {
    let mut caller = Caller::default();
    caller.plumb("tap0", 0, I_PLINK);
    caller.kernel.exit();
    let state = caller.kernel.snapshot();
    assert_eq!((state.descriptors.len(), state.links.len(), state.interfaces.len()), (0, 2, 1));
}

#[test]
fn a_lower_descriptor_left_open_keeps_the_interface() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux = caller.must_open("/dev/udp");
    let ip = caller.ip_stream("tap0", 0, IFF_IPV4);
    let arp = caller.arp_stream("tap0", 0);
    for fd in [ip, arp] {
        caller.ioctl(mux, I_LINK, i64::from(fd));
    }
    for id in [2, 1] {
        assert_eq!(caller.ioctl(mux, I_UNLINK, id), done(0));
    }
    assert_eq!(caller.set_up(mux, "tap0", true), done(0), "it works unlinked");
    caller.close(mux);
    assert_eq!(caller.kernel.interface_states().len(), 1);
    caller.close(ip);
    assert_eq!(caller.kernel.interface_states().len(), 0);
}

#[test]
fn only_the_last_duplicate_counts() {
    let (mut caller, plumbed) = up_and_quiet();
    let twins = [plumbed.mux, plumbed.control].map(|fd| {
        let outcome = caller.call(Call::Dup { fd, close_on_exec: true, place: Place::Lowest(0) });
        caller.close(fd);
        crate::caller::fd_of(&outcome)
    });
    assert_eq!(caller.kernel.interface_states().len(), 1);
    let probe = caller.must_open("/dev/tap");
    assert_eq!(caller.new_ppa(probe, 0), failed(Errno::EEXIST));
    assert_eq!(twins.map(|fd| caller.close(fd)), [done(0), done(0)]);
    assert_eq!(caller.new_ppa(probe, 0), done(0));
}

#[test]
fn a_hundred_rounds_give_the_same_numbers_and_rising_ids() {
    let mut caller = Caller::default();
    for round in 0..100 {
        let plumbed = caller.plumb("tap0", 0, I_LINK);
        assert_eq!((plumbed.mux, plumbed.control), (3, 4));
        assert_eq!(plumbed.muxids, [2 * round + 1, 2 * round + 2]);
        caller.close(plumbed.mux);
        caller.close(plumbed.control);
    }
    assert_eq!(caller.kernel.snapshot(), Default::default());
}

#[test]
fn frames_stay_readable_when_the_interface_is_gone() {
    let (mut caller, plumbed) = up_and_quiet();
    caller.kernel.host_pings([10, 77, 0, 2], 1, &[0; 8]);
    caller.close(plumbed.mux);
    assert_eq!(caller.drain(plumbed.control).len(), 1);
}

#[test]
fn going_down_then_mux_then_control_is_safe() {
    let (mut caller, plumbed) = up_and_quiet();
    assert_eq!(caller.set_up(plumbed.mux, "tap0", false), done(0));
    assert_eq!(caller.close(plumbed.mux), done(0));
    assert_eq!(caller.close(plumbed.control), done(0));
    caller.kernel.advance(Duration::from_secs(1));
    assert_eq!(caller.kernel.snapshot(), Default::default());
}

#[test]
fn down_then_control_then_mux_never_returns() {
    let (mut caller, plumbed) = up_and_quiet();
    assert_eq!(caller.set_up(plumbed.mux, "tap0", false), done(0));
    assert_eq!(caller.close(plumbed.control), done(0));
    let outcome = caller.close(plumbed.mux);
    assert!(matches!(&outcome, Outcome::Hang(hang) if !hang.interruptible), "{outcome:?}");
    assert_eq!(caller.kernel.interface_states()[0].name, "tap0", "its name stays taken");
    assert_eq!(caller.kernel.open_streams(), 3);
    assert_eq!(caller.kernel.snapshot().descriptors.len(), 0, "the descriptors are gone");
}

#[test]
fn time_for_the_driver_makes_the_same_order_safe() {
    let (mut caller, plumbed) = up_and_quiet();
    caller.set_up(plumbed.mux, "tap0", false);
    caller.kernel.advance(Duration::from_millis(1));
    caller.close(plumbed.control);
    assert_eq!(caller.close(plumbed.mux), done(0));
}

#[test]
fn unlinking_hangs_on_the_same_loss() {
    let (mut caller, plumbed) = up_and_quiet();
    caller.set_up(plumbed.mux, "tap0", false);
    caller.close(plumbed.control);
    assert!(caller.ioctl(plumbed.mux, I_UNLINK, 2).hung());
    assert!(caller.ioctl(plumbed.mux, I_UNLINK, -1).hung());
}

#[test]
fn an_unlink_waits_for_its_answer_and_loses_it() {
    for (muxid, flags) in [(2, "hang"), (1, "unknown")] {
        let (mut caller, plumbed) = up_and_quiet();
        caller.kernel.set_service(Service::Held);
        let Outcome::Asleep(ticket) = caller.ioctl(plumbed.mux, I_UNLINK, muxid) else { panic!("it sleeps") };
        assert_eq!(caller.kernel.end_of(ticket), None);
        caller.close(plumbed.control);
        caller.kernel.advance(Duration::from_secs(300));
        assert!(caller.kernel.end_of(ticket).is_some_and(|outcome| outcome.hung()));
        let other = caller.must_open("/dev/udp");
        let set = caller.lif(other, abi::SIOCSLIFFLAGS, &lifreq("tap0", 0, 1)).0;
        assert_eq!(if set.hung() { "hang" } else { "unknown" }, flags);
        if flags == "unknown" {
            assert_eq!(set, failed(Errno::ENXIO));
        }
    }
}

#[test]
fn a_sleeping_close_goes_on_when_the_driver_serves() {
    let (mut caller, plumbed) = up_and_quiet();
    caller.kernel.set_service(Service::Held);
    let Outcome::Asleep(ticket) = caller.close(plumbed.mux) else { panic!("it sleeps") };
    caller.kernel.advance(Duration::from_secs(1));
    assert_eq!(caller.kernel.end_of(ticket), Some(done(0)));
    caller.close(plumbed.control);
    assert_eq!(caller.kernel.snapshot(), Default::default());
}

#[test]
fn a_lost_bring_up_wedges_even_the_questions() {
    let (mut caller, plumbed) = up_and_quiet();
    caller.set_up(plumbed.mux, "tap0", false);
    caller.kernel.advance(Duration::from_secs(1));
    caller.kernel.set_service(Service::Held);
    let Outcome::Asleep(ticket) = caller.set_up(plumbed.mux, "tap0", true) else { panic!("it sleeps") };
    caller.close(plumbed.control);
    assert_eq!(caller.kernel.signal(ticket), Some(failed(Errno::EINTR)));
    assert!(caller.lif(plumbed.mux, abi::SIOCGLIFFLAGS, &lifreq("tap0", 0, 0)).0.hung());
    assert!(caller.close(plumbed.mux).hung());
}

#[test]
fn pushes_whose_answer_something_else_takes() {
    for (path, below, module, closes) in [
        ("/dev/udp", &["arp"][..], "arp", true),
        ("/dev/tap", &["arp"], "arp", true),
        ("/dev/tap", &["ip"], "ip", false),
        ("/dev/udp", &[], "ip", false),
        ("/dev/tap", &["arp"], "ip", false),
    ] {
        let mut caller = Caller::default();
        let fd = caller.must_open(path);
        below.iter().for_each(|module| assert_eq!(caller.push(fd, module), done(0)));
        let modules = caller.list(fd).1.len();
        let Outcome::Hang(hang) = caller.push(fd, module) else { panic!("{path} {below:?} {module}") };
        assert!(hang.interruptible);
        let ticket = hang.ticket.expect("can be signalled");
        assert_eq!(caller.kernel.signal(ticket), Some(failed(Errno::EINTR)));
        assert_eq!(caller.list(fd).1.len(), modules + usize::from(!closes), "an interrupted ip stays");
        assert_eq!(caller.close(fd).hung(), !closes);
    }
}

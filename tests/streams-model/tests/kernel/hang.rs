//! Calls that never return.

use std::time::Duration;

use streams_model::abi::{self, I_UNLINK};
use streams_model::{Errno, Outcome, Service};

use crate::caller::{Caller, lifreq};
use crate::{done, failed, up_and_quiet};

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

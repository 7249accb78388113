//! An interface that another process holds, or held a moment ago.

use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use tap_plumb::{AttachError, Config};

use super::host::vanishes;
use super::process;
use super::raw_tap::{self, BARE, MULTI_QUEUE, TAP, TUN};

pub(crate) fn the_holder_is_named_after_the_deadline() {
    let child = process::start("hold", "held0");
    let start = Instant::now();
    let error = Config::new().name("held0").busy_timeout(Duration::from_millis(120)).attach().unwrap_err();
    let waited = start.elapsed();
    assert!((120..1000).contains(&waited.as_millis()), "{waited:?}");
    let AttachError::Busy { name, holder, source } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), source.raw_os_error()), ("held0", Some(libc::EBUSY)));
    assert!(holder.starts_with(&format!("process {} (", child.id())), "{holder}");
    end(child);
}

pub(crate) fn the_holder_of_a_namesake_elsewhere_is_not_named() {
    let elsewhere = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        process::start("hold", "held0")
    });
    let (stranger, holder) = (elsewhere.join().unwrap(), process::start("hold", "held0"));
    let error = Config::new().name("held0").busy_timeout(Duration::ZERO).attach().unwrap_err();
    let AttachError::Busy { holder: named, .. } = &error else { panic!("{error}") };
    assert!(named.starts_with(&format!("process {} (", holder.id())) && !named.contains(" and "), "{named}");
    end(stranger);
    end(holder);
}

pub(crate) fn this_process_is_named_too_and_without_waiting_when_told_so() {
    let held = raw_tap::tap("mine0", TAP | BARE);
    let refused_at_once = || {
        let start = Instant::now();
        let error = Config::new().name("mine0").busy_timeout(Duration::ZERO).attach().unwrap_err();
        assert_eq!(error.to_string().split(':').next(), Some("mine0 is in use by this process"));
        start.elapsed() < Duration::from_millis(100)
    };
    // On a machine under load one try may take long; an attach that waits takes 250 ms every time.
    assert!((0..10).any(|_| refused_at_once()));
    drop(held);
    // A process that another test is starting may hold a copy for a moment.
    drop(Config::new().name("mine0").busy_timeout(Duration::from_secs(5)).attach().unwrap());
}

pub(crate) fn a_killed_owner_is_waited_for() {
    for round in 0..15 {
        let mut child = process::start("hold", "dead0");
        child.kill().unwrap();
        // Nobody has waited for the process yet: the kernel may still be taking it apart, longer on a machine under load.
        let tap = Config::new().name("dead0").busy_timeout(Duration::from_secs(5)).attach();
        assert!(tap.is_ok(), "round {round}: {:?}", tap.err());
        drop(tap);
        child.wait().unwrap();
    }
    vanishes("dead0");
}

/// Row L20.
pub(crate) fn an_owner_of_another_kind_is_waited_for() {
    for kind in [TUN | BARE, TAP | BARE | MULTI_QUEUE] {
        let held = raw_tap::tap("going0", kind);
        let owner = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(60));
            drop(held);
        });
        let tap = Config::new().name("going0").busy_timeout(Duration::from_secs(5)).attach();
        assert!(tap.is_ok(), "{kind:#x}: {:?}", tap.err());
        owner.join().unwrap();
        drop(tap);
        // A program that another test starts has its descriptor until the exec.
        vanishes("going0");
    }
}

fn end(mut child: std::process::Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

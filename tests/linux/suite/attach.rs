//! The interface's name, by which an attach finds or makes it.

use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tap_plumb::{AttachError, Config, Offload, Tap};

use super::host::{exists, ip, vanishes};
use super::offload;
use super::raw_tap::{self, BARE, TAP};

// Attaching by name, by template and by the kernel's choice.

pub(crate) fn by_name_settings_are_applied_and_read_back() {
    let mac = [0x02, 0, 0, 0, 0, 7];
    let config = Config::new().name("tap3").mtu(9000).hardware_address(mac).offload(Offload::ALL).up();
    let tap = config.address(Ipv4Addr::new(10, 0, 3, 1).into(), 24).attach().unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("tap3"));
    assert_eq!(tap.mtu().unwrap(), 9000);
    assert_eq!(tap.hardware_address().unwrap(), mac);
    assert!(tap.is_up().unwrap());
    assert_eq!(tap.offload(), offload::all());
    tap.set_up(false).unwrap();
    assert!(!tap.is_up().unwrap());
}

/// Row B30.
pub(crate) fn the_descriptor_is_non_blocking_and_close_on_exec() {
    for tap in Config::new().name("flag0").attach_queues(2).unwrap() {
        let status = OFlag::from_bits_retain(fcntl(&tap, FcntlArg::F_GETFL).unwrap());
        assert!(status.contains(OFlag::O_NONBLOCK | OFlag::O_RDWR), "{status:?}");
        assert_eq!(fcntl(&tap, FcntlArg::F_GETFD).unwrap(), FdFlag::FD_CLOEXEC.bits());
    }
}

pub(crate) fn the_kernel_chooses_a_name_or_a_number() {
    let first = Config::new().name("vm%d").attach().unwrap();
    let second = Config::new().name("vm%d").attach().unwrap();
    let third = Config::new().attach().unwrap();
    let names = [&first, &second, &third].map(|tap| tap.name().unwrap().to_string());
    assert_eq!(names, ["vm0", "vm1", "tap0"]);
}

pub(crate) fn a_socket_pair_is_a_tap_without_a_name() {
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    let tap = Tap::from_fd(ours.into()).unwrap();
    assert!(tap.name().is_err());
    assert_eq!(tap.offload(), Offload::NONE);
}

// Whether the interface may, must or must not exist before.

pub(crate) fn either_takes_what_is_there_and_makes_what_is_not() {
    ip("tuntap add old0 mode tap");
    let old = Config::new().name("old0").attach().unwrap();
    let new = Config::new().name("new0").attach().unwrap();
    drop((old, new));
    assert!(exists("old0"), "a persistent interface outlives its descriptor");
    vanishes("new0");
}

pub(crate) fn must_exist_makes_nothing() {
    let error = Config::new().name("none0").must_exist().attach().unwrap_err();
    assert!(matches!(&error, AttachError::Missing { name } if name == "none0"), "{error}");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
    assert!(!exists("none0"));
    ip("tuntap add old0 mode tap");
    let tap = Config::new().name("old0").must_exist().attach().unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("old0"));
}

pub(crate) fn must_exist_needs_the_name_of_one_interface() {
    for config in [Config::new(), Config::new().name("tap%d")] {
        let error = config.must_exist().attach().unwrap_err();
        assert!(matches!(&error, AttachError::BadOption { option, .. } if option == "must_exist"), "{error}");
    }
}

pub(crate) fn exclusive_takes_nothing_that_is_there() {
    ip("tuntap add old0 mode tap");
    for name in ["old0", "lo"] {
        let error = Config::new().name(name).create_exclusive().attach().unwrap_err();
        assert!(matches!(error, AttachError::Exists { .. }), "{error}");
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
        let text = error.to_string();
        let error = std::io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (std::io::ErrorKind::ResourceBusy, text));
        let within = error.get_ref().and_then(|within| within.downcast_ref::<AttachError>());
        assert_eq!(within.and_then(AttachError::raw_os_error), Some(libc::EBUSY));
    }
    let queues = Config::new().name("new0").create_exclusive().attach_queues(3).unwrap();
    assert_eq!(queues.len(), 3);
    let any = Config::new().create_exclusive().attach().unwrap();
    assert_eq!(any.name().unwrap().as_str(), Some("tap0"));
}

// The rule for names is the kernel's own: what passes it is accepted, what breaks it would be refused or cut.

/// Row B30.
pub(crate) fn the_rule_for_names_is_the_kernels() {
    // Each is two attaches, of 16 ms.
    let cases = ProptestConfig::default().cases / 4;
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..Default::default() });
    // Few letters and many troublemakers, so that most names are near an edge of the rule.
    let name = proptest::collection::vec(
        prop_oneof![
            3 => "[a-z0-9]{1,5}".prop_map(String::from),
            2 => proptest::sample::select(vec![".", "/", ":", " ", "%", "%d", "%s", "\t", "\u{b}", "\n", "-", "é", "à"]).prop_map(String::from),
            1 => any::<char>().prop_map(|letter| letter.to_string()),
        ],
        0..5,
    );
    runner
        .run(&name.prop_map(|parts| parts.concat()), |name| {
            compare(&name);
            Ok(())
        })
        .unwrap();
}

/// Row B30.
pub(crate) fn names_the_kernel_keeps_for_itself() {
    for name in [".", "..", "all", "default", "lo", "a23456789012345", "a234567890123456", "%d", "x%d%d"] {
        compare(name);
    }
}

fn compare(name: &str) {
    let ours = Config::new().name(name).attach();
    if ours.is_ok() {
        drop(ours);
        let kernels = raw_tap::bind_patiently(raw_tap::open(), name.as_bytes(), TAP | BARE);
        let cut = kernels.as_ref().is_ok_and(|given| !name.contains("%d") && given != name);
        assert!(kernels.is_ok() && !cut, "{name:?}: {kernels:?}");
        return;
    }
    if let Err(AttachError::BadName { .. }) = ours {
        // An empty name is the kernel's choice, which has a method of its own here; a NUL ends the name.
        if name.is_empty() || name.contains('\0') {
            return;
        }
        let kernels = raw_tap::bind_patiently(raw_tap::open(), name.as_bytes(), TAP | BARE);
        // A name that was cut inside U+FFFD looks the same when it is shown.
        let cut = name.len() > 15;
        assert!(kernels.as_ref().map_or(true, |given| cut || given != name), "{name:?}: {kernels:?}");
        return;
    }
    // What exists and is no TAP is told apart later.
    assert_eq!(name, "lo", "{ours:?}");
}

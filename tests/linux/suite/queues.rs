//! Several descriptors of one interface.

use std::os::fd::{AsFd, AsRawFd};

use tap_plumb::{AttachError, Config, Offload};

use super::host::{exists, ip, vanishes};
use super::offload;
use super::raw_tap::{self, BARE, HEADER, MULTI_QUEUE, TAP};

pub(crate) fn all_queues_are_of_one_interface_which_goes_with_the_last() {
    let queues = Config::new().name("many%d").offload(Offload::ALL).mtu(1400).up().attach_queues(4).unwrap();
    for queue in &queues {
        assert_eq!(queue.name().unwrap().as_str(), Some("many0"));
        assert_eq!(queue.offload(), offload::all());
        assert_eq!(raw_tap::int(queue, libc::TUNGETVNETHDRSZ, 0).unwrap(), 12);
    }
    assert!(ip("-d link show many0").contains("numtxqueues") && ip("link show many0").contains("mtu 1400"));
    let mut queues = queues.into_iter();
    let last = queues.next().unwrap();
    queues.for_each(drop);
    assert!(exists("many0"));
    drop(last);
    vanishes("many0");
}

pub(crate) fn a_further_queue_of_another_mode_is_refused() {
    // The kernel would let the second opener believe that it got what it asked for.
    let first = raw_tap::tap("many0", TAP | BARE | MULTI_QUEUE | HEADER);
    let error = Config::new().name("many0").attach_queues(2).unwrap_err();
    assert!(matches!(error, AttachError::Mismatch { .. }), "{error}");
    let held = raw_tap::tap("info0", TAP | MULTI_QUEUE);
    let error = Config::new().name("info0").attach_queues(2).unwrap_err();
    assert!(error.to_string().contains("packet-info"), "{error}");
    drop((first, held));
    vanishes("info0");
    Config::new().name("info0").attach_queues(2).unwrap();
}

pub(crate) fn too_many_queues_are_refused_by_the_kernel_and_undone() {
    let error = Config::new().name("many0").attach_queues(257).unwrap_err();
    let AttachError::Request { request: "TUNSETIFF", source, remedy, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(libc::E2BIG));
    assert!(!remedy.is_empty());
    vanishes("many0");
}

pub(crate) fn a_queue_is_detached_and_attached_at_run_time() {
    let queues = Config::new().name("many0").attach_queues(2).unwrap();
    let detached = || raw_tap::bound(&queues[1]).unwrap().1 & libc::IFF_DETACH_QUEUE != 0;
    for enabled in [true, false, false, true, true] {
        // Twice the same is no error, though the kernel would say EINVAL.
        queues[1].set_queue_enabled(enabled).unwrap();
        assert_eq!(detached(), !enabled);
    }
    let single = Config::new().name("one0").attach().unwrap();
    assert_eq!(single.set_queue_enabled(false).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    single.set_queue_enabled(true).unwrap();
}

pub(crate) fn several_inherited_descriptors_are_queues_of_one_interface() {
    let open = |name: &str| raw_tap::tap(name, TAP | BARE | MULTI_QUEUE);
    let fds = vec![open("mine0"), open("mine0"), open("mine0")];
    let numbers: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let taps = Config::new().inherited_queues(fds).mtu(1400).up().attach_queues(3).unwrap();
    assert_eq!(taps.iter().map(|tap| tap.as_fd().as_raw_fd()).collect::<Vec<_>>(), numbers);
    assert!(taps.iter().all(|tap| tap.mtu().unwrap() == 1400 && tap.is_up().unwrap()));
    taps[1].set_queue_enabled(false).unwrap();
    drop(taps);
    vanishes("mine0");

    let error =
        Config::new().inherited_queues(vec![open("one0"), open("two0")]).attach_queues(2).unwrap_err();
    assert!(
        matches!(&error, AttachError::Mismatch { wanted, found, .. } if wanted == "one0" && found == "two0")
    );
    vanishes("one0");
    let refused = raw_tap::open();
    let number = refused.as_raw_fd();
    let error = Config::new().inherited_queues(vec![open("one0"), refused]).attach_queues(2).unwrap_err();
    let AttachError::Adopt(error) = error else { panic!("{error}") };
    assert_eq!(error.fd.as_raw_fd(), number);
}

/// Row L10.
pub(crate) fn what_one_interface_lacks_is_not_said_of_the_system() {
    let error = Config::new().name("one0").attach().unwrap().add_queues(1).unwrap_err();
    assert!(matches!(error, AttachError::Unsupported { .. }), "{error}");
    assert!(!error.to_string().contains("operating system"), "{error}");
}

pub(crate) fn a_queue_of_an_interface_that_is_elsewhere_is_no_interface_here() {
    let queues = Config::new().name("away0").attach_queues(2).unwrap();
    let mut child = std::process::Command::new("unshare").args(["-n", "sleep", "20"]).spawn().unwrap();
    super::host::wait_until("the other namespace", || {
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        of(&child.id().to_string()) != of("thread-self")
    });
    ip(&format!("link set away0 netns {}", child.id()));
    let added = queues[0].add_queues(1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(added.is_err(), "{added:?}");
    assert!(!exists("away0"));
}

/// Row L10.
pub(crate) fn a_duplicate_is_no_second_queue_of_an_interface_with_a_single_one() {
    let fd = raw_tap::tap("one0", TAP | BARE);
    let copy = nix::unistd::dup(&fd).unwrap();
    let error = Config::new().inherited_queues(vec![fd, copy]).attach_queues(2).unwrap_err();
    assert!(
        error.to_string().contains("a further queue of an interface in the mode of a single queue"),
        "{error}"
    );
}

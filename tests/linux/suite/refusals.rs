//! What an attach is refused, and how that is told.

use std::fs;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tap_plumb::{AttachError, Config, Offload};

use super::host::{ip, is_root_of_the_machine, vanishes};
use super::raw_tap::{self, BARE, TAP};
use super::{addresses, process, seccomp};

// Each reason for which the kernel refuses an attach is an error of its own, with what to do about it.

/// Names the found thing and the remedy of a `WrongKind`.
fn wrong_kind(error: &AttachError) -> (&'static str, &'static str) {
    let AttachError::WrongKind { found, remedy, source, .. } = error else { panic!("{error}") };
    assert_eq!(source.as_ref().and_then(std::io::Error::raw_os_error), Some(libc::EINVAL));
    (found, remedy)
}

/// Row F41.
pub(crate) fn what_is_no_tap_is_named() {
    ip("tuntap add tun0 mode tun");
    ip("link add bridge0 type bridge");
    ip("tuntap add one0 mode tap");
    ip("tuntap add many0 mode tap multi_queue");
    let attach = |name: &str| Config::new().name(name).attach().unwrap_err();
    assert!(wrong_kind(&attach("tun0")).0.starts_with("a TUN device"));
    assert!(wrong_kind(&attach("lo")).0.contains("no TAP"));
    assert!(wrong_kind(&attach("bridge0")).0.contains("no TAP"));
    assert_eq!(wrong_kind(&attach("many0")).0, "a TAP with several queues");
    let error = Config::new().name("one0").attach_queues(2).unwrap_err();
    assert_eq!(wrong_kind(&error).0, "a TAP with a single queue");
    assert!(wrong_kind(&error).1.contains("multi_queue"));
}

/// Row F41.
pub(crate) fn the_node_cannot_be_opened() {
    let remedies = [
        (libc::EACCES, "chmod 0666"),
        (libc::EPERM, "DeviceAllow"),
        (libc::ENODEV, "modprobe"),
        (libc::ENXIO, "modprobe"),
        (libc::EMFILE, "ulimit"),
        (libc::ENFILE, "fs.file-max"),
        (libc::EIO, ""),
    ];
    for (errno, remedy) in remedies {
        let error =
            seccomp::with_refused(libc::SYS_openat, None, errno, || Config::new().attach().unwrap_err());
        let AttachError::Open { path, remedy: given, source } = &error else { panic!("{error}") };
        assert_eq!((path.to_str(), source.raw_os_error()), (Some("/dev/net/tun"), Some(errno)));
        assert!(given.contains(remedy) && given.is_empty() == remedy.is_empty(), "{error}");
    }
}

pub(crate) fn a_node_on_a_nodev_mount_is_told_apart_from_a_closed_one() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("/dev/net/tun"), "/dev/net/tun", none, MsFlags::MS_BIND, none).unwrap();
    // Of another user namespace's mount every restriction must stay.
    let restrict = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NODEV;
    let restricted = [MsFlags::empty(), MsFlags::MS_NOSUID, MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC]
        .iter()
        .any(|more| mount(none, "/dev/net/tun", none, restrict | *more, none).is_ok());
    assert!(restricted);
    let error = Config::new().attach().unwrap_err();
    let AttachError::Open { remedy, source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(libc::EACCES));
    assert!(remedy.contains("nodev") && !remedy.contains("0666"), "{error}");
}

/// Row F41.
pub(crate) fn there_is_no_node() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("none"), "/dev/net", Some("tmpfs"), MsFlags::empty(), none).unwrap();
    let error = Config::new().attach().unwrap_err();
    assert!(matches!(&error, AttachError::Open { remedy, .. } if remedy.contains("mknod")), "{error}");
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    fs::write("/dev/net/tun", "").unwrap();
    let error = Config::new().attach().unwrap_err();
    assert!(matches!(&error, AttachError::WrongKind { name, .. } if name == "/dev/net/tun"), "{error}");
    assert!(error.to_string().contains("mknod"), "{error}");
}

pub(crate) fn options_that_contradict_are_refused_before_anything_is_asked() {
    let bad = |config: Config| {
        let error = seccomp::with_refused(libc::SYS_openat, None, libc::EIO, || config.attach().unwrap_err());
        let AttachError::BadOption { option, .. } = error else { panic!("{error}") };
        option
    };
    let mut no_header = Offload::ALL;
    no_header.header_len = 0;
    let mut odd_header = Offload::ALL;
    odd_header.header_len = 11;
    assert_eq!(bad(Config::new().offload(no_header)), "offload");
    assert_eq!(bad(Config::new().offload(odd_header)), "offload");
    assert_eq!(bad(Config::new().address([10, 0, 0, 1].into(), 33)), "address");
    assert_eq!(bad(Config::new().address([0_u8; 16].into(), 129)), "address");
    assert!(matches!(Config::new().attach_queues(0).unwrap_err(), AttachError::BadOption { .. }));
}

pub(crate) fn settings_that_the_kernel_refuses_name_the_step() {
    for (config, step) in [
        (Config::new().mtu(67), "MTU"),
        (Config::new().mtu(65522), "MTU"),
        (Config::new().mtu(u32::MAX), "MTU"),
        (Config::new().hardware_address([1, 0, 0, 0, 0, 1]), "hardware address"),
        (Config::new().address(std::net::Ipv6Addr::LOCALHOST.into(), 128), "address"),
    ] {
        let error = config.name("bad0").attach().unwrap_err();
        let AttachError::Request { request, object, source, .. } = &error else { panic!("{error}") };
        assert_eq!((*request, object.as_str()), (step, "bad0"), "{error}");
        assert!(source.raw_os_error().is_some());
        vanishes("bad0");
    }
}

fn remedy_of(config: Config, errno: i32) -> String {
    let error = config.attach().unwrap_err();
    let AttachError::Request { remedy, source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(errno), "{error}");
    (*remedy).to_owned()
}

pub(crate) fn what_a_setting_lacks_is_named() {
    let v6 = |config: Config| config.address("fd00::1".parse().unwrap(), 64);
    for mtu in [0, 67, 65522] {
        assert!(remedy_of(Config::new().mtu(mtu), libc::EINVAL).contains("68 to 65521"));
    }
    assert!(remedy_of(v6(Config::new().mtu(1279)), libc::EINVAL).contains("1280"));
    drop(v6(Config::new().mtu(1280)).attach().unwrap());
    ip("tuntap add off0 mode tap");
    let path = "/proc/sys/net/ipv6/conf/off0/disable_ipv6";
    // What `/proc/sys/net` shows is the namespace of whoever looks, which is this thread's.
    fs::write(path, "1").unwrap();
    let remedy = remedy_of(v6(Config::new().name("off0")), libc::EACCES);
    assert!(remedy.contains("disable_ipv6") && !remedy.contains("privilege"), "{remedy}");
    assert!(remedy_of(Config::new().hardware_address([1; 6]), libc::EADDRNOTAVAIL).contains("unicast"));
}

pub(crate) fn somebody_elses_tap_is_told_apart_from_a_new_one() {
    if !is_root_of_the_machine() {
        return eprintln!("skipped: a user namespace has no other user");
    }
    ip("tuntap add their0 mode tap user 12345");
    process::run("unprivileged-claim", "");
}

/// In a process without any right.
pub(crate) fn unprivileged_claim() {
    assert!(remedy_of(Config::new().name("their0"), libc::EPERM).contains("not made for this user"));
    assert!(remedy_of(Config::new().name("new0"), libc::EPERM).contains("or a persistent TAP"));
}

/// Row L8. A filter of system calls is such a policy, and so are Landlock and SELinux.
pub(crate) fn a_policy_that_closes_an_open_node_is_thought_of() {
    let open = || Config::new().attach().unwrap_err();
    let error = seccomp::with_refused(libc::SYS_openat, None, libc::EACCES, open);
    assert!(error.to_string().contains("a policy forbids it"), "{error}");
}

// What a process without any right over the network may do.

/// Row F41.
pub(crate) fn an_unprivileged_process_is_told_what_it_lacks() {
    // By number: this process is root in its own eyes, whoever it is outside.
    ip("tuntap add open0 mode tap user 0");
    ip("link set open0 mtu 1400 up");
    for address in ["10.0.0.1/24", "10.0.1.1/24", "fd00::1/64"] {
        ip(&format!("addr add {address} dev open0"));
    }
    process::run("unprivileged", "");
}

/// Runs in a process of its own, which has given up its rights.
pub(crate) fn without_any() {
    claim_is_refused();
    let tap = ready_made_is_used();
    addresses::what_is_there_needs_no_right(&tap);
    let refused = [tap.set_mtu(1300), tap.set_up(false)].map(|result| result.unwrap_err().raw_os_error());
    assert_eq!(refused, [Some(libc::EPERM); 2]);
    let error = Config::new().inherited(tap.into_fd().unwrap()).mtu(1300).attach().unwrap_err();
    assert!(
        matches!(&error, AttachError::Request { request: "MTU", remedy, .. } if remedy.contains("administrator"))
    );
}

fn claim_is_refused() {
    assert_eq!(
        raw_tap::bind(raw_tap::open(), b"new0", TAP | BARE).unwrap_err().raw_os_error(),
        Some(libc::EPERM)
    );
    let error = Config::new().name("new0").attach().unwrap_err();
    let AttachError::Request { request: "TUNSETIFF", object, remedy, source } = &error else {
        panic!("{error}")
    };
    assert_eq!((object.as_str(), source.raw_os_error()), ("new0", Some(libc::EPERM)));
    assert!(remedy.contains("CAP_NET_ADMIN") && remedy.contains("ip tuntap add"), "{remedy}");
}

/// A persistent TAP is its owner's, and setters that change nothing need no right.
fn ready_made_is_used() -> tap_plumb::Tap {
    let tap = Config::new().name("open0").must_exist().mtu(1400).up().attach().unwrap();
    tap.set_mtu(1400).unwrap();
    tap.set_up(true).unwrap();
    tap.set_carrier(false).unwrap();
    // The descriptor itself takes the hardware address.
    tap.set_hardware_address([2, 0, 0, 0, 0, 9]).unwrap();
    assert_eq!(tap.hardware_address().unwrap(), [2, 0, 0, 0, 0, 9]);
    tap
}

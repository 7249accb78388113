//! The whole crate in a root that holds `/dev/net/tun` and nothing else: no `/proc`, no `/sys`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot};
use tap_plumb::{AttachError, Backend, Config, Offload, Tap};

use super::host::ip;
use super::process;
use super::raw_tap::{self, BARE, TAP};

pub(crate) fn everything_works_without_proc() {
    process::run("jailed", "");
}

pub(crate) fn what_is_ready_is_used_without_proc_and_without_a_right() {
    ip("tuntap add ready0 mode tap user 0");
    ip("addr add 10.3.0.1/24 dev ready0");
    ip("link set ready0 mtu 1400 up");
    process::run("jailed-unprivileged", "");
}

/// Makes the root and enters it, with the rights over the network or without any.
pub(super) fn enter(rights: bool) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let root = Path::new("/tmp");
    mount(Some("none"), root, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    fs::create_dir_all(root.join("dev/net")).unwrap();
    fs::write(root.join("dev/net/tun"), "").unwrap();
    mount(Some("/dev/net/tun"), &root.join("dev/net/tun"), none, MsFlags::MS_BIND, none).unwrap();
    if !rights {
        // A process that is in another root already may not do it any more.
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    }
    chroot(root).unwrap();
    chdir("/").unwrap();
    assert!(!Path::new("/proc").exists() && !Path::new("/sys").exists());
}

fn address() -> IpAddr {
    [10, 3, 0, 1].into()
}

pub(crate) fn jailed() {
    enter(true);
    let config = || Config::new().name("jail0").mtu(1400).address(address(), 24).up().offload(Offload::ALL);
    let taps = config().address("fd03::1".parse().unwrap(), 64).attach_queues(2).unwrap();
    for tap in &taps {
        assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1400, true));
    }
    drop(taps);
    let tap = config().attach().unwrap();
    tap.set_up(false).unwrap();
    tap.set_mtu(1500).unwrap();
    tap.set_address([10, 4, 0, 1].into(), 24).unwrap();
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1500, false));
    let busy = config().busy_timeout(std::time::Duration::ZERO).attach().unwrap_err();
    assert!(matches!(&busy, AttachError::Busy { holder, .. } if holder.is_empty()), "{busy}");
    let backend = Backend::new(tap);
    // Some kernels have a word to say to the network as soon as it is up.
    assert!(backend.statistics().dropped_by_host.is_some());
    backend.into_tap().detach().unwrap();
    let adopted = Tap::from_fd(raw_tap::tap("jail1", TAP | BARE)).unwrap();
    adopted.set_up(true).unwrap();
    assert!(adopted.is_up().unwrap());
    let refused = Tap::from_fd(raw_tap::open()).unwrap_err();
    assert!(refused.found.contains("bound to no interface"), "{refused}");
}

pub(crate) fn jailed_unprivileged() {
    enter(false);
    let tap =
        Config::new().name("ready0").must_exist().mtu(1400).address(address(), 24).up().attach().unwrap();
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1400, true));
    assert_eq!(tap.set_mtu(1500).unwrap_err().raw_os_error(), Some(libc::EPERM));
    assert_eq!(Backend::new(tap).statistics().dropped_by_host, Some(0));
}

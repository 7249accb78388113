//! Macvtaps of a test's own, and their nodes.

use std::fs;
use std::path::PathBuf;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};

use super::host::{ip, is_root_of_the_machine, try_ip};

/// Makes macvtaps, where the kernel has any and this process may make nodes for them. Where not, the test shows nothing, which CI
/// does not accept of root.
pub(crate) fn macvtaps(names: &[&str]) -> bool {
    if !is_root_of_the_machine() {
        eprintln!("skipped: only root makes nodes");
        return false;
    }
    ip("link add veth0 type veth peer name veth1");
    ip("link set veth0 up");
    ip("link set veth1 up");
    for name in names {
        if let Err(error) = try_ip(&format!("link add link veth0 name {name} type macvtap mode bridge")) {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no macvtap: {error}");
            eprintln!("skipped: this kernel makes no macvtap: {}", error.trim());
            return false;
        }
        ip(&format!("link set {name} up"));
    }
    true
}

/// Nobody makes nodes in a fresh `/dev` of this thread's own.
pub(crate) fn empty_dev() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("none"), "/dev", Some("tmpfs"), MsFlags::empty(), none).unwrap();
    mount(Some("none"), "/sys", Some("sysfs"), MsFlags::empty(), none).unwrap();
}

/// Makes the node as the error says, by the number that the kernel tells.
pub(crate) fn make_node(name: &str) -> PathBuf {
    let index = fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).unwrap();
    let tap = format!("tap{}", index.trim());
    let number = fs::read_to_string(format!("/sys/class/net/{name}/{tap}/dev")).unwrap();
    let (first, second) = number.trim().split_once(':').unwrap();
    let device = makedev(first.parse().unwrap(), second.parse().unwrap());
    assert_eq!((major(device), minor(device)), (first.parse().unwrap(), second.parse().unwrap()));
    let node = PathBuf::from("/dev").join(tap);
    mknod(&node, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), device).unwrap();
    node
}

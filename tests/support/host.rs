//! The host beside a test: its interfaces, its datagrams, and what it says of this process.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};

// The host's side of a test: the command `ip`, and what procfs says of this process.

/// Runs `ip` with these words in the calling thread's namespace; its failure fails the test.
pub(crate) fn ip(words: &str) -> String {
    try_ip(words).unwrap_or_else(|errors| panic!("ip {words}: {errors}"))
}

/// As [`ip`], where the kernel may refuse.
pub(crate) fn try_ip(words: &str) -> Result<String, String> {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Waits until the interface shows carrier or not: some kernels take up to a second.
pub(crate) fn wait_for_carrier(name: &str, carrier: bool) {
    let what = format!("carrier {carrier} on {name}");
    wait_until(&what, || ip(&format!("link show {name}")).contains("NO-CARRIER") != carrier);
}

/// Tells whether there is an interface of this name in the calling thread's namespace.
pub(crate) fn exists(name: &str) -> bool {
    Command::new("ip").args(["link", "show", "dev", name]).output().unwrap().status.success()
}

/// Waits until there is no interface of this name: where other tests start processes, those hold a copy of every descriptor
/// for a moment.
pub(crate) fn vanishes(name: &str) {
    wait_until(&format!("the end of {name}"), || !exists(name));
}

/// Counts the open descriptors of this process. Only a process without other tests can compare two counts.
pub(crate) fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Whether this process has the rights of the machine's root, and not those over a user namespace of its own alone.
pub(crate) fn is_root_of_the_machine() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    nix::unistd::geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Waits until `condition` holds; a test that would wait for ever fails after five seconds.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what} never came true");
        std::thread::sleep(Duration::from_millis(1));
    }
}

// Macvtaps of a test's own, and their nodes.

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

// Frames from the host to the guest: UDP datagrams to a neighbour that is said to be there.

/// Bytes before a datagram's payload: Ethernet, IPv4 and UDP headers.
pub(crate) const HEADERS: usize = 14 + 20 + 8;

/// The destination address of every frame.
pub(crate) const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub(crate) struct Host(UdpSocket);

impl Host {
    /// Brings the interface up with an address. The MTU is below what IPv6 needs, so that the kernel announces nothing.
    pub(crate) fn on(name: &str) -> Self {
        ip(&format!("link set {name} mtu 1200"));
        ip(&format!("link set {name} up"));
        ip(&format!("addr add 10.9.0.1/24 dev {name}"));
        ip(&format!("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev {name}"));
        let socket = UdpSocket::bind("10.9.0.1:7000").unwrap();
        socket.connect("10.9.0.2:7001").unwrap();
        Self(socket)
    }

    /// Sends a frame with `payload`, which is readable when this returns.
    pub(crate) fn send(&self, payload: &[u8]) {
        assert_eq!(self.0.send(payload).unwrap(), payload.len());
    }
}

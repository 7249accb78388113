//! A macvtap, whose end no call on frames tells.

use std::fs::{self, OpenOptions};
use std::io::{IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tap_plumb::{Backend, Config, Frame, ReceiveError, Threads, TransmitError};

use super::device::Device;
use super::host::{self, ip};

/// A macvtap of its own, or why there cannot be one here.
fn macvtap(name: &str) -> Result<Backend, String> {
    let numbers = format!("/sys/class/net/{name}/macvtap");
    let index = ip(&format!("-o link show {name}")).split(':').next().unwrap().to_owned();
    // In another network namespace's /sys the interface is not shown.
    let sys = fs::read_to_string(format!("{numbers}/tap{index}/dev"));
    let device =
        sys.or_else(|_| number_in_own_sys(name, &index)).map_err(|error| format!("{numbers}: {error}"))?;
    let (major, minor) = device.trim().split_once(':').unwrap();
    let node = std::env::temp_dir().join(format!("tap-plumb-{}-{name}", std::process::id()));
    let made =
        mknod(&node, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(major.parse().unwrap(), minor.parse().unwrap()));
    made.map_err(|error| format!("mknod {}: {error}", node.display()))?;
    let opened = OpenOptions::new().read(true).write(true).open(&node);
    fs::remove_file(&node).unwrap();
    let fd = opened.map_err(|error| format!("the macvtap's node: {error}"))?;
    Ok(Backend::new(Config::new().inherited(fd.into()).attach().unwrap()))
}

/// Mounts a /sys of this network namespace in a mount namespace of this thread.
fn number_in_own_sys(name: &str, index: &str) -> std::io::Result<String> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>)?;
    fs::read_to_string(Path::new("/sys/class/net").join(name).join("macvtap").join(format!("tap{index}/dev")))
}

/// Row X12.
pub(crate) fn the_end_of_a_macvtap_is_found() {
    host::quiet();
    ip("link add below0 type veth peer name peer0");
    for name in ["below0", "peer0"] {
        ip(&format!("link set {name} up"));
    }
    for name in ["loop0", "threads0"] {
        ip(&format!("link add link below0 name {name} type macvtap mode bridge"));
        ip(&format!("link set {name} up"));
    }
    let backends = macvtap("loop0").and_then(|first| Ok((first, macvtap("threads0")?)));
    let (own, driven) = match backends {
        Ok(backends) => backends,
        Err(reason) => {
            let needed =
                host::is_root_of_the_machine() && std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!needed, "{reason}");
            return eprintln!("x12 skipped: {reason}");
        }
    };
    let send = |backend: &Backend| {
        backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&vec![0; 12 + 60][12..])]))
    };
    assert!(!own.check_gone());
    send(&own).unwrap();
    ip("link del loop0");
    assert!(send(&own).is_ok(), "a send does not tell");
    let room = &mut vec![0; 70_000];
    while own.receive(&mut [IoSliceMut::new(room)]).unwrap().is_some() {}
    assert!(own.check_gone());
    assert!(matches!(send(&own), Err(TransmitError::Gone)));
    assert!(matches!(own.receive(&mut [IoSliceMut::new(room)]), Err(ReceiveError::Gone)));
    found_by_threads(Arc::new(driven));
}

fn found_by_threads(backend: Arc<Backend>) {
    let device = Arc::new(Device::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let before = backend.statistics().receive.wakeups;
    std::thread::sleep(Duration::from_millis(2200));
    let wakeups = backend.statistics().receive.wakeups - before;
    assert!(wakeups <= 3, "{wakeups} wake-ups in 2.2 s");
    ip("link del threads0");
    let start = Instant::now();
    while device.gone.load(Ordering::SeqCst) == 0 {
        assert!(start.elapsed() < Duration::from_secs(4), "the end was not found");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() < Duration::from_millis(2500), "found after {:?}", start.elapsed());
    threads.stop().unwrap();
    assert_eq!(device.gone.load(Ordering::SeqCst), 1);
    host::assert_adds_up(&backend);
}

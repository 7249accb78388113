//! A macvtap by its name.

use std::fs;
use std::io::{IoSlice, IoSliceMut};

use nix::mount::{MsFlags, mount};
use tap_plumb::{AttachError, Backend, Config, Frame, Offload};

use super::host::wait_until;
use super::host::{GUEST, Host};
use super::host::{empty_dev, macvtaps, make_node};
use super::raw_tap::{self, BARE, TAP};

pub(crate) fn what_is_no_macvtap_is_named() {
    let refused = |name: &str| Config::new().datalink(name).attach().unwrap_err();
    assert!(matches!(refused("mv0"), AttachError::Missing { name } if name == "mv0"));
    for name in ["mv%d", "a/b", ""] {
        assert!(matches!(refused(name), AttachError::BadName { .. }), "{name:?}");
    }
    let _tap = raw_tap::tap("tap0", TAP | BARE);
    let error = refused("tap0").to_string();
    assert!(error.contains("Config::name"), "{error}");
    let error = refused("lo").to_string();
    assert!(error.contains("no macvtap") && error.contains("ip link add"), "{error}");
    let mut without_header = Offload::ALL;
    without_header.header_len = 0;
    for config in [
        Config::new().datalink("mv0").create_exclusive(),
        Config::new().datalink("mv0").persistent(None, None),
        Config::new().datalink("mv0").address([10, 0, 0, 1].into(), 24),
        Config::new().datalink("mv0").keep_state(),
        Config::new().name("tap0").datalink_buffer(65536),
        Config::new().datalink("mv0").offload(without_header),
    ] {
        assert!(matches!(config.attach(), Err(AttachError::BadOption { .. })));
    }
}

/// Row L9.
pub(crate) fn a_macvtap_is_opened_by_its_name() {
    if !macvtaps(&["mv0", "mv1"]) {
        return;
    }
    let error = Config::new().name("mv0").attach().unwrap_err().to_string();
    assert!(error.contains("a macvtap") && error.contains("Config::datalink"), "{error}");
    empty_dev();
    let error = Config::new().datalink("mv0").attach().unwrap_err();
    assert!(matches!(&error, AttachError::Open { remedy, .. } if remedy.contains("mknod")), "{error}");
    let nodes = ["mv0", "mv1"].map(make_node);
    let tap = Config::new().datalink("mv0").offload(Offload::ALL).mtu(1400).attach().unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("mv0"));
    assert_eq!((tap.mtu().unwrap(), tap.offload().header_len), (1400, 12));
    let (one, other) = (Backend::new(tap), Backend::new(Config::new().datalink("mv1").attach().unwrap()));
    assert_eq!(other.tap().offload(), Offload::NONE);
    let (from, to) = (one.tap().hardware_address().unwrap(), other.tap().hardware_address().unwrap());
    let sent = [&to[..], &from, &[0x88, 0xb5], &[7; 46]].concat();
    one.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&sent)])).unwrap();
    wait_until("the frame", || {
        let mut buffer = vec![0; 2000];
        let received = other.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap();
        received.is_some_and(|received| buffer[..received.len] == sent)
    });
    drop((one, other));
    // The node of another link under this one's number.
    fs::rename(&nodes[1], &nodes[0]).unwrap();
    let error = Config::new().datalink("mv0").attach().unwrap_err();
    assert!(matches!(error, AttachError::Mismatch { .. }), "{error}");
    assert!(fs::exists("/sys/class/net/mv0").unwrap());
}

/// Row L8.
pub(crate) fn the_node_of_a_macvtap_on_a_nodev_mount_is_told_apart_from_a_closed_one() {
    if !macvtaps(&["mv0"]) {
        return;
    }
    empty_dev();
    make_node("mv0");
    let none = None::<&str>;
    let restrict = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NODEV;
    mount(none, "/dev", none, restrict, none).unwrap();
    let error = Config::new().datalink("mv0").attach().unwrap_err();
    let AttachError::Open { remedy, source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(libc::EACCES));
    assert!(remedy.contains("nodev") && !remedy.contains("chmod"), "{error}");
}

/// Row L9.
pub(crate) fn an_mtu_above_the_nics_has_a_remedy_that_is_true_of_a_macvtap() {
    if !macvtaps(&["mv0"]) {
        return;
    }
    empty_dev();
    make_node("mv0");
    let error = Config::new().datalink("mv0").mtu(9000).attach().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    assert!(error.to_string().contains("no more than the NIC below it"), "{error}");
}

pub(crate) fn a_queue_of_a_macvtap_is_detached_and_attached_at_run_time() {
    if !macvtaps(&["mv0"]) {
        return;
    }
    let host = Host::on("veth1");
    empty_dev();
    make_node("mv0");
    let backend = Backend::new(Config::new().datalink("mv0").hardware_address(GUEST).attach().unwrap());
    for enabled in [true, false, false, true, true, false, true] {
        backend.tap().set_queue_enabled(enabled).unwrap();
        backend.discard_queued();
        host.send(&[7; 46]);
        if enabled {
            // The other end of the veth hands a frame on when it comes to it.
            wait_until("a frame for a queue that is attached", || backend.discard_queued() > 0);
        } else {
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(backend.discard_queued(), 0, "a detached queue has a frame");
        }
    }
}

pub(crate) fn several_descriptors_of_a_macvtap_are_its_queues() {
    if !macvtaps(&["mv0"]) {
        return;
    }
    empty_dev();
    let node = make_node("mv0");
    let open = || fs::OpenOptions::new().read(true).write(true).open(&node).unwrap().into();
    let taps = Config::new().inherited(open()).inherited(open()).attach_queues(2).unwrap();
    assert!(taps.iter().all(|tap| tap.name().unwrap().as_str() == Some("mv0")));
}

//! Attaching by name, by template and by the kernel's choice.

use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use tap_plumb::{Config, Offload, Tap};

use super::offload;

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

//! The interface of an attached TAP: its settings at run time, and the host's counter.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use tap_plumb::{Backend, Config, Tap};

use super::host::Host;
use super::host::{ip, wait_for_carrier};
use super::raw_tap::{self, BARE, TAP};

// Settings of the interface at run time.

pub(crate) fn up_and_down_change_no_other_flag() {
    let tap = Config::new().name("flag0").attach().unwrap();
    ip("link set flag0 promisc on arp off");
    tap.set_up(true).unwrap();
    let up = ip("link show flag0");
    assert!(up.contains("NOARP") && up.contains("PROMISC") && up.contains(",UP"), "{up}");
    tap.set_up(false).unwrap();
    let down = ip("link show flag0");
    assert!(down.contains("NOARP") && down.contains("PROMISC") && !down.contains(",UP"), "{down}");
}

/// Row B29.
pub(crate) fn a_renamed_interface_is_followed() {
    let tap = Config::new().name("first0").attach().unwrap();
    ip("link set first0 name second0");
    let _other = raw_tap::tap("first0", TAP | BARE);
    assert_eq!(tap.name().unwrap().as_str(), Some("second0"));
    tap.set_mtu(1234).unwrap();
    assert!(ip("link show second0").contains("mtu 1234"));
    assert!(ip("link show first0").contains("mtu 1500"), "the new bearer of the old name is left alone");
    assert!(format!("{tap:?}").contains("second0"));
}

pub(crate) fn an_interface_elsewhere_is_not_mistaken_for_a_namesake() {
    let tap = Config::new().name("same0").attach().unwrap();
    // A second namespace, held open by a process of ours.
    let mut other = Command::new("sleep");
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        other.arg("60").spawn().unwrap()
    });
    let mut holder = thread.join().unwrap();
    ip(&format!("link set same0 netns {}", holder.id()));
    let namesake = Config::new().name("same0").attach().unwrap();
    let refused = [tap.set_mtu(1300).map(drop), tap.set_up(true), tap.mtu().map(drop)];
    for result in refused {
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
    assert_eq!((namesake.mtu().unwrap(), namesake.is_up().unwrap()), (1500, false));
    // Whoever changes something looks closer than at the hardware address.
    let own = namesake.hardware_address().unwrap();
    namesake.set_hardware_address(tap.hardware_address().unwrap()).unwrap();
    for result in [tap.set_mtu(1300), tap.set_up(true), tap.set_address([10, 9, 0, 1].into(), 24)] {
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
    namesake.set_hardware_address(own).unwrap();
    // The descriptor itself still reaches it.
    assert_eq!(tap.name().unwrap().as_str(), Some("same0"));
    tap.set_hardware_address([2, 0, 0, 0, 0, 3]).unwrap();
    assert_eq!(tap.hardware_address().unwrap(), [2, 0, 0, 0, 0, 3]);
    assert_eq!(Backend::new(tap).statistics().dropped_by_host, None, "the namesake's count is not its own");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

pub(crate) fn addresses_of_both_kinds() {
    for (address, prefix, shown) in [
        ("10.1.2.3", 24, "inet 10.1.2.3/24"),
        ("10.1.2.3", 32, "inet 10.1.2.3/32"),
        ("10.1.2.3", 0, "inet 10.1.2.3/0"),
        ("fd00::5", 64, "inet6 fd00::5/64"),
    ] {
        let config = || Config::new().name("addr0").address(address.parse().unwrap(), prefix).up();
        ip("tuntap add addr0 mode tap");
        for _ in 0..2 {
            // The second attach finds the address there.
            drop(config().attach().unwrap());
            assert!(ip("addr show addr0").contains(shown), "{}", ip("addr show addr0"));
        }
        ip("tuntap del addr0 mode tap");
    }
}

pub(crate) fn addresses_are_given_later_too() {
    let tap = Config::new().name("addr1").attach().unwrap();
    for _ in 0..2 {
        tap.set_address("10.1.2.3".parse().unwrap(), 24).unwrap();
        tap.set_address("fd00::5".parse().unwrap(), 64).unwrap();
    }
    let shown = ip("addr show addr1");
    assert!(shown.contains("inet 10.1.2.3/24") && shown.contains("inet6 fd00::5/64"), "{shown}");
    let error = tap.set_address("10.1.2.3".parse().unwrap(), 33).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

pub(crate) fn carrier_is_a_signal_to_the_host() {
    let tap = Config::new().name("car0").up().attach().unwrap();
    for carrier in [false, true] {
        tap.set_carrier(carrier).unwrap();
        wait_for_carrier("car0", carrier);
    }
    let (ours, _theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let socket = Tap::from_fd(ours.into()).unwrap();
    assert_eq!(socket.set_carrier(true).unwrap_err().kind(), std::io::ErrorKind::Unsupported);
}

// The host's count of frames that nobody read in time.

pub(crate) fn what_did_not_fit_in_the_queue_is_counted() {
    let backend = Backend::new(Config::new().name("drop0").attach().unwrap());
    assert_eq!(backend.statistics().dropped_by_host, Some(0));
    ip("link set drop0 txqueuelen 10");
    let host = Host::on("drop0");
    for _ in 0..50 {
        host.send(&[7; 10]);
    }
    assert_eq!(backend.statistics().dropped_by_host, Some(40));
    // Before Linux 6.2 an interface that is up has to keep its name.
    ip("link set drop0 down");
    ip("link set drop0 name other0");
    assert_eq!(backend.statistics().dropped_by_host, Some(40), "by its present name");
    ip("link del other0");
    assert_eq!(backend.statistics().dropped_by_host, None);
}

//! What a process without any right over the network may do.

use tap_plumb::{AttachError, Config};

use super::addresses;
use super::host::ip;
use super::process;
use super::raw_tap::{self, BARE, TAP};

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

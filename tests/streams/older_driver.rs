//! Version 1.3.3 of the driver, which illumos distributions package: it does not tell the number of a stream's device.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;

use streams_model::{DEFAULT_MAC, Tuntap};

use crate::AttachError;
use crate::Backend;
use crate::Config;
use crate::Tap;
use crate::bench::{
    address, assert_nothing_wrong, assert_unchanged, attach, calls_about, impatient, named, older_driver,
};

/// Row O3.
#[test]
fn a_device_of_our_own_keeps_the_number_that_it_was_given() {
    let machine = older_driver();
    let before = machine.snapshot();
    let _zero = attach(named("tap0"));
    let tap = attach(impatient().external_plumbing());
    assert_eq!(tap.name().unwrap().as_str(), Some("tap1"));
    assert_eq!(tap.hardware_address().unwrap(), DEFAULT_MAC);
    tap.set_hardware_address([2, 0, 0, 0, 0, 9]).unwrap();
    assert_eq!(tap.hardware_address().unwrap(), [2, 0, 0, 0, 0, 9]);
    assert_eq!(calls_about(&machine, "I_STR", "TUNGETPPA").len(), 0, "it is not asked for");
    drop((tap, _zero));
    assert_unchanged(&machine, &before);
}

/// Row O3.
#[test]
fn the_interface_that_somebody_plumbs_over_it_can_be_set() {
    let machine = older_driver();
    let tap = attach(named("tap3").external_plumbing());
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    tap.set_mtu(1300).unwrap();
    tap.set_address(address("10.1.1.1"), 8).unwrap();
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1300, false));
}

/// Row O3.
#[test]
fn a_device_that_is_made_again_keeps_its_number() {
    let machine = older_driver();
    let zero = attach(named("tap0"));
    let config = || impatient().external_plumbing();
    let backend = Backend::new(attach(config()));
    drop(zero);
    backend.reattach(&config()).unwrap();
    assert_eq!(backend.tap().name().unwrap().as_str(), Some("tap1"), "though tap0 is free");
    assert_eq!(machine.snapshot().ppas, [1]);
    assert_nothing_wrong(&machine);
}

/// Row O3.
#[test]
fn a_control_stream_of_another_program_is_adopted_and_has_no_name() {
    let machine = older_driver();
    let fd = attach(named("tap3").external_plumbing()).into_fd().unwrap();
    let tap = Tap::from_fd(fd).unwrap();
    let described = machine.snapshot().descriptors.remove(&tap.as_fd().as_raw_fd()).unwrap();
    assert_eq!(described, "tap, close-on-exec, non-blocking, MessageDiscard");
    assert!(machine.inject_frame(3, &[7; 60]));
    assert_eq!(nix::unistd::read(&tap, &mut [0; 100]), Ok(60));
    let errors = [
        tap.name().map(drop),
        tap.mtu().map(drop),
        tap.is_up().map(drop),
        tap.hardware_address().map(drop),
        tap.set_mtu(1400),
        tap.set_up(true),
        tap.set_address(address("10.1.1.1"), 8),
        tap.set_hardware_address([2, 0, 0, 0, 0, 9]),
    ];
    for error in errors.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("1.3.3"), "{error}");
    }
    assert_nothing_wrong(&machine);
}

/// Row O3.
#[test]
fn a_setting_of_an_adopted_stream_says_why_it_cannot_be() {
    let _machine = older_driver();
    let configs: [fn(Config) -> Config; 2] =
        [|config| config.setup_program("/bin/true"), |config| config.mtu(1300)];
    for config in configs {
        let device = attach(named("tap3").external_plumbing()).into_fd().unwrap();
        let config = config(Config::new().inherited(device));
        let error = config.attach().unwrap_err();
        assert!(matches!(&error, AttachError::Request { .. }), "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("1.3.3"), "{error}: {cause}");
    }
}

/// The other tests of this program, on machines with this driver, but for those of data links, which have none of it.
/// Row O3.
#[test]
fn all_else_holds_as_well() {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite.args(["--skip", "older_driver::", "--skip", "datalink"]).env(Tuntap::VARIABLE, "1.3.3");
    let output = suite.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("test result: ok. ") && !said.contains("ok. 0 passed"), "{said}");
}

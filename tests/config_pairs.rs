//! The configuration keys of VirtualBox's TAP driver.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use tap_plumb::{AttachError, Config};

/// The key a refusal names, and its reason.
fn refusal(pairs: &[(&str, &str)]) -> (String, String) {
    match Config::from_pairs(pairs.iter().copied()) {
        Err(AttachError::BadOption { option, reason }) => (option, reason),
        other => panic!("{pairs:?}: {other:?}"),
    }
}

fn accepted(pairs: &[(&str, &str)]) -> Config {
    Config::from_pairs(pairs.iter().copied()).unwrap_or_else(|error| panic!("{pairs:?}: {error}"))
}

/// Row F28.
#[test]
fn every_key_of_the_driver_is_taken() {
    let programs = [("TAPSetupApplication", "/opt/up.sh"), ("TAPTerminateApplication", "/opt/down.sh")];
    let text =
        format!("{:?}", accepted(&[&programs[..], &[("Device", "tap3"), ("MAC", "080027000001")]].concat()));
    for part in ["\"tap3\"", "\"/opt/up.sh\"", "\"/opt/down.sh\"", "Some([8, 0, 39, 0, 0, 1])"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Row F28.
#[test]
fn any_other_key_is_an_error_that_names_it() {
    for key in ["Devices", "device", "", "TAPSetupApplication ", "IfName"] {
        assert_eq!(refusal(&[("Device", "tap3"), (key, "x")]).0, key);
    }
}

/// Row F28.
#[test]
fn a_key_given_twice_is_an_error() {
    assert_eq!(
        refusal(&[("Device", "tap3"), ("Device", "tap3")]),
        ("Device".into(), "is given twice".into())
    );
}

/// Row F28.
#[test]
fn device_and_file_handle_exclude_each_other() {
    let (_, reason) = refusal(&[("FileHandle", "0"), ("Device", "tap3")]);
    assert!(reason.contains("Device"), "{reason}");
}

/// Row hazard 25.
#[test]
fn only_an_absent_device_leaves_the_name_to_others() {
    assert!(format!("{:?}", accepted(&[])).contains("Any"));
    assert_eq!(refusal(&[("Device", "")]).0, "Device");
    assert_eq!(refusal(&[("Device", "a b")]).0, "Device");
    assert_eq!(refusal(&[("Device", "tap0123456789012345678901234567890")]).0, "Device");
}

/// Row B38.
#[test]
fn an_error_names_the_key_it_is_about() {
    for key in ["Device", "FileHandle", "TAPSetupApplication", "TAPTerminateApplication", "MAC"] {
        assert_eq!(refusal(&[(key, "")]).0, key);
    }
}

/// Row B28.
#[test]
fn a_file_handle_is_a_number_in_range() {
    for value in
        ["-1", "+3", " 3", "3 ", "0x3", "3.0", "2147483648", "4294967295", "18446744073709551616", "three"]
    {
        assert_eq!(refusal(&[("FileHandle", value)]).0, "FileHandle", "{value}");
    }
}

/// Row B28.
#[test]
fn a_file_handle_must_be_open() {
    let Err(error) = Config::from_pairs([("FileHandle", "2147483647")]) else {
        panic!("there is no such descriptor")
    };
    assert!(error.to_string().contains("FileHandle 2147483647"), "{error}");
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

/// Row B28.
#[test]
fn a_file_handle_stays_its_owners() {
    let (ours, peer) = UnixDatagram::pair().unwrap();
    let number = ours.as_raw_fd().to_string();
    let config = accepted(&[("FileHandle", &number)]);
    drop(config);
    peer.send(b"still open").expect("the configuration closed what it did not own");

    let config = accepted(&[("FileHandle", &number)]);
    drop(ours);
    peer.send(b"held by the duplicate").expect("the configuration holds a descriptor of its own");
    drop(config);
    assert!(peer.send(b"nobody").is_err(), "the duplicate went with the configuration");
}

/// Row hazard 28.
#[test]
fn mac_is_the_guests_address_in_any_usual_form() {
    for value in ["080027abCDef", "08:00:27:ab:cd:ef", "08-00-27-AB-CD-EF"] {
        let text = format!("{:?}", accepted(&[("MAC", value)]));
        assert!(text.contains("guest_address: Some([8, 0, 39, 171, 205, 239])"), "{text}");
        assert!(text.contains(" hardware_address: None"), "it is never set on the TAP: {text}");
    }
}

/// Row hazard 28.
#[test]
fn a_mac_that_is_none_is_refused() {
    let wrong = [
        "080027abcde",
        "080027abcdefa",
        "08:00-27:ab:cd:ef",
        "0800:27:ab:cd:ef:",
        "08:00:27:ab:cd:e",
        "+80027abcdef",
    ];
    let not_one_station = ["010027abcdef", "ffffffffffff", "000000000000"];
    for value in wrong.into_iter().chain(not_one_station).chain(["08:0:027:ab:cd:ef", "é80027abcdef"]) {
        assert_eq!(refusal(&[("MAC", value)]).0, "MAC", "{value}");
    }
}

/// Row F28.
#[test]
fn programs_run_whatever_the_system() {
    let pairs = [("Device", "tapnone9"), ("TAPSetupApplication", "/nowhere/at/all")];
    let Err(AttachError::Program(error)) = accepted(&pairs).attach() else {
        panic!("there is no such program")
    };
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

//! What the shim has no answer for stops the process and is named.
#![cfg(any(target_os = "illumos", target_os = "solaris"))]
#![expect(unsafe_code, reason = "calls that no safe wrapper makes")]

use std::env;
use std::process::{Command, Output};

/// Does in a child what must stop it.
fn stopped(role: &str) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["stopping::child", "--exact", "--nocapture"]).env("PROBE_STOP", role);
    command.output().unwrap()
}

#[test]
fn child() {
    match env::var("PROBE_STOP").as_deref() {
        // SAFETY: takes nothing.
        Ok("function") => assert_eq!(unsafe { libc::port_create() }, 0),
        // SAFETY: takes a number.
        Ok("sysconf") => assert_eq!(unsafe { libc::sysconf(12_345) }, 0),
        Ok("socket option") => {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
            // SAFETY: no value is passed.
            assert_eq!(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, 0x4242, std::ptr::null(), 0) }, 0);
        }
        _ => {}
    }
}

#[test]
fn a_function_that_is_not_there_is_named() {
    let output = stopped("function");
    assert_eq!(output.status.code(), Some(99));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("function port_create has no implementation"), "{text}");
}

/// Older systems take 16 slices; a program can be shown one.
/// Row O7.
#[test]
fn the_limit_of_slices_can_be_that_of_an_old_system() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["descriptors::more_slices_than_the_system_says_are_refused", "--exact"]);
    assert!(command.env("ILLUMOS_IOV_MAX", "16").status().unwrap().success());
}

#[test]
fn so_are_a_name_and_an_option() {
    for (role, named) in [("sysconf", "sysconf name 12345"), ("socket option", "socket option 16962")] {
        let output = stopped(role);
        assert_eq!(output.status.code(), Some(99), "{role}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(named), "{text}");
    }
}

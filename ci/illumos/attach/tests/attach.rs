//! The library's attach as illumos object code: its structures and numbers reach the model kernel through the system's
//! calls, and must be what the kernel expects.
#![cfg(any(target_os = "illumos", target_os = "solaris"))]

use std::error::Error;
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::time::Duration;
use std::{env, fs};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tap_plumb::{Backend, Config};

/// A configuration that asks for a taken device once only.
fn named(name: &str) -> Config {
    Config::new().busy_timeout(Duration::ZERO).name(name)
}

/// The configurations of the records checked in beside the native tests of the same sequence.
fn configuration(kind: &str) -> Option<Config> {
    match kind {
        "attach" => Some(named("tap3")),
        "attach_settings" => {
            let config = named("tap3").hardware_address([2, 0, 0, 0, 0, 3]).mtu(1400);
            Some(config.address("10.77.0.1".parse().unwrap(), 24).up())
        }
        "attach_v6" => Some(named("tap3").mtu(1400).address("fd00:77::1".parse().unwrap(), 64).up()),
        _ => None,
    }
}

/// Only the children of the next tests do something here: a process of its own has a machine of its own.
#[test]
fn child() {
    if let Some(config) = env::var("ATTACH").ok().and_then(|kind| configuration(&kind)) {
        config.attach().unwrap().detach().unwrap();
    }
}

fn in_child(kind: &str, trace: &str) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--nocapture"])
        .env("ATTACH", kind)
        .env("STREAMS_TRACE", trace)
        .output()
        .unwrap()
}

/// Call by call what the native build does over the same model.
#[track_caller]
fn assert_same_calls(kind: &str, checked_in: &str) {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let output = in_child(kind, trace.to_str().unwrap());
    assert!(output.status.success(), "{output:?}");
    let found = fs::read_to_string(trace).unwrap();
    let expected: String = checked_in.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
    assert!(found == expected, "{kind}: the calls are\n{found}and not\n{expected}");
}

#[test]
fn an_attach_makes_the_calls_of_the_native_build() {
    assert_same_calls("attach", include_str!("../../../../tests/streams/attach.trace"));
}

#[test]
fn so_does_one_with_settings() {
    assert_same_calls("attach_settings", include_str!("../../../../tests/streams/attach_settings.trace"));
}

#[test]
fn so_does_one_with_ipv6() {
    assert_same_calls("attach_v6", include_str!("../../../../tests/streams/attach_v6.trace"));
}

#[test]
fn twenty_attaches_leave_nothing() {
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let attach = || named("tap7").attach().unwrap();
    attach().detach().unwrap();
    let before = open();
    for _ in 0..20 {
        let tap = attach();
        assert_eq!(tap.name().unwrap().to_string(), "tap7");
        assert!(open() > before);
        tap.detach().unwrap();
        assert_eq!(open(), before);
    }
}

#[test]
fn a_taken_name_is_refused_with_illumos_number() {
    let _tap = named("tap8").attach().unwrap();
    let error = named("tap8").attach().unwrap_err();
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::EEXIST), "{error}");
}

/// An interface that comes up asks the network whether its address is taken: the frame must come out here, whole.
#[test]
fn a_frame_of_the_host_arrives() {
    let config = named("tap9").address("10.79.0.1".parse().unwrap(), 24).up();
    let backend = Backend::new(config.attach().unwrap());
    let mut buffer = vec![0; backend.receive_buffer_len()];
    loop {
        let mut fds = [PollFd::new(backend.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(10_000_u16)), Ok(1), "no frame came");
        let Some(received) = backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap() else {
            continue;
        };
        assert!(received.len >= 42, "{received:?}");
        assert_eq!(buffer[12..14], [0x08, 0x06]);
        break;
    }
}

#[test]
fn an_interface_has_a_number_as_long_as_it_is_there() {
    let index = |name| nix::net::if_::if_nametoindex(name);
    let tap = named("tap11").attach().unwrap();
    assert!(index("tap11").unwrap() > 0);
    tap.detach().unwrap();
    assert!(index("tap11").is_err());
}

#[test]
fn settings_are_kept_by_the_kernel() {
    let tap = named("tap10").attach().unwrap();
    tap.set_mtu(1300).unwrap();
    assert_eq!(tap.mtu().unwrap(), 1300);
    assert!(!tap.is_up().unwrap());
    tap.set_up(true).unwrap();
    assert!(tap.is_up().unwrap());
}

//! Descriptors that somebody else opened: the control stream of a TAP is adopted, anything else is refused with what it is.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use streams_model::{DEFAULT_MAC, Errno, Machine, Moment, Trouble};

use crate::AdoptError;
use crate::Config;
use crate::Offload;
use crate::Tap;
use crate::bench::{
    address, assert_nothing_wrong, attach, calls, calls_about, everything_v6, host, impatient, named,
    newer_driver,
};

fn open(node: &str) -> OwnedFd {
    File::options().read(true).write(true).open(node).unwrap().into()
}

/// A bare device, made the way another program would.
fn bare_device(name: &str) -> OwnedFd {
    attach(named(name).external_plumbing()).into_fd().unwrap()
}

/// The refusal of a descriptor, which must come back as it was.
fn refusal(fd: OwnedFd) -> AdoptError {
    let (number, flags) = (fd.as_raw_fd(), status_flags(&fd));
    let error = Tap::from_fd(fd).expect_err("that is no TAP");
    assert_eq!((error.fd.as_raw_fd(), status_flags(&error.fd)), (number, flags));
    error
}

fn status_flags(fd: &OwnedFd) -> i32 {
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).unwrap()
}

/// Row F42.
#[test]
fn a_control_stream_is_adopted_and_reads_by_the_frame() {
    let machine = newer_driver();
    let fd = bare_device("tap3");
    streams(&machine, &fd, 0);
    let tap = Tap::from_fd(fd).unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("tap3"));
    assert_eq!(tap.hardware_address().unwrap(), DEFAULT_MAC);
    let described = machine.snapshot().descriptors.remove(&tap.as_fd().as_raw_fd()).unwrap();
    assert_eq!(described, "tap, close-on-exec, non-blocking, MessageDiscard");
    assert!(calls(&machine, "I_LINK").is_empty());
    drop(tap);
    assert_nothing_wrong(&machine);
}

/// Puts a stream back into the read mode of a fresh one, as another program would hand it over.
fn streams(machine: &Machine, fd: &OwnedFd, mode: i32) {
    // SAFETY: the argument of I_SRDOPT is a number.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let set = unsafe { libc::ioctl(fd.as_raw_fd(), 0x5306, i64::from(mode)) };
    assert_eq!(set, 0, "{:?}", machine.trace_lines());
}

#[test]
fn the_settings_of_a_device_that_somebody_else_plumbs() {
    let machine = newer_driver();
    let owner = attach(named("tap3"));
    let fd = owner.as_fd().try_clone_to_owned().unwrap();
    let config = Config::new().inherited(fd).mtu(1300).address(address("10.1.1.1"), 8).up();
    let tap = config.attach().unwrap();
    assert_eq!((tap.mtu().unwrap(), tap.is_up().unwrap()), (1300, true));
    assert_eq!((owner.mtu().unwrap(), owner.is_up().unwrap()), (1300, true));
    let state = machine.snapshot();
    assert_eq!(
        (&state.interfaces[0].address[..], &state.interfaces[0].mask[..]),
        (&[10, 1, 1, 1][..], &[255, 0, 0, 0][..])
    );
    assert_eq!(
        tap.set_hardware_address([2, 0, 0, 0, 0, 9]).unwrap_err().kind(),
        std::io::ErrorKind::Unsupported
    );
    assert_eq!(state.descriptors.len(), 3, "no stream stays open for the questions: {:?}", state.descriptors);
}

#[test]
fn settings_reach_both_versions_of_ip_or_the_one_that_there_is() {
    let machine = newer_driver();
    let owner = attach(everything_v6("tap3"));
    let adopted = || Tap::from_fd(owner.as_fd().try_clone_to_owned().unwrap()).unwrap();
    adopted().set_mtu(1300).unwrap();
    adopted().set_up(false).unwrap();
    let mut first_units = machine.snapshot().interfaces;
    first_units.retain(|unit| unit.name == "tap3");
    let states: Vec<_> = first_units.iter().map(|unit| (unit.mtu, unit.is_up())).collect();
    assert_eq!(states, [(1300, false); 2]);
    // A refusal leaves both as they were.
    assert_eq!(adopted().set_mtu(1279).unwrap_err().raw_os_error(), host(Errno::EINVAL));
    assert!(machine.snapshot().interfaces.iter().all(|unit| unit.mtu == 1300));
    // Where IPv6 is alone.
    for operation in ["SIOCGLIFMTU", "SIOCGLIFFLAGS"] {
        machine.fail_nth(1, move |record| record.is(operation), Trouble::Errno(Errno::ENXIO), Moment::Before);
    }
    assert_eq!((adopted().mtu().unwrap(), adopted().is_up().unwrap()), (1300, false));
}

#[test]
fn the_mac_is_left_alone_where_ipv6_alone_is_plumbed() {
    let machine = newer_driver();
    let owner = attach(everything_v6("tap3"));
    let tap = Tap::from_fd(owner.as_fd().try_clone_to_owned().unwrap()).unwrap();
    machine.fail_nth(1, |record| record.is("SIOCGLIFFLAGS"), Trouble::Errno(Errno::ENXIO), Moment::Before);
    let error = tap.set_hardware_address([2, 0, 0, 0, 0, 9]).unwrap_err();
    assert_eq!(
        (error.kind(), tap.hardware_address().unwrap()),
        (std::io::ErrorKind::Unsupported, DEFAULT_MAC)
    );
    // What cannot be asked is not taken for a no.
    machine.fail_nth(1, |record| record.is("SIOCGLIFFLAGS"), Trouble::Errno(Errno::EINTR), Moment::Before);
    let error = tap.set_hardware_address([2, 0, 0, 0, 0, 9]).unwrap_err();
    assert_eq!((error.raw_os_error(), tap.hardware_address().unwrap()), (host(Errno::EINTR), DEFAULT_MAC));
}

#[test]
fn an_interface_that_nobody_has_plumbed_cannot_be_asked() {
    let machine = newer_driver();
    let tap = Tap::from_fd(bare_device("tap3")).unwrap();
    for error in [tap.mtu().err(), tap.is_up().err(), tap.set_up(true).err(), tap.set_mtu(1400).err()] {
        assert_eq!(error.unwrap().raw_os_error(), host(Errno::ENXIO));
    }
    tap.set_hardware_address([2, 0, 0, 0, 0, 9]).unwrap();
    assert_eq!(tap.hardware_address().unwrap(), [2, 0, 0, 0, 0, 9]);
    assert!(tap.set_hardware_address([1, 0, 0, 0, 0, 9]).is_err(), "a group's address");
    assert_eq!(machine.snapshot().descriptors.len(), 1);
}

#[test]
fn other_streams_are_refused_with_what_they_are() {
    let machine = newer_driver();
    let cases = [
        ("/dev/tap", "a tap stream without a device"),
        ("/dev/tun", "a TUN"),
        ("/dev/udp", "a stream of the driver udp"),
    ];
    for (node, what) in cases {
        let error = refusal(open(node));
        assert!(error.found.starts_with(what), "{node}: {error}");
        assert!(!error.remedy.is_empty());
    }
    assert!(calls(&machine, "I_SRDOPT").is_empty());
}

#[test]
fn a_stream_of_ip_over_a_tap_is_refused() {
    let machine = Machine::boot();
    let _device = bare_device("tap3");
    let fd = open("/dev/tap");
    // SAFETY: the argument is a NUL-terminated string.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let pushed = unsafe { libc::ioctl(fd.as_raw_fd(), 0x5302, c"ip".as_ptr()) };
    assert_eq!(pushed, 0);
    let error = refusal(fd);
    assert_eq!(error.found, "a tap stream with the module ip above the driver");
    assert_nothing_wrong_but_cloexec(&machine);
}

/// The test itself opens without close-on-exec, as a foreign program might.
fn assert_nothing_wrong_but_cloexec(machine: &Machine) {
    assert!(
        machine.suspicions().iter().all(|suspicion| suspicion.invariant == 2),
        "{:?}",
        machine.suspicions()
    );
}

/// Row O9.
#[test]
fn a_linked_stream_a_dead_one_and_a_silent_driver_are_refused() {
    let machine = newer_driver();
    let cases = [
        ("I_LIST", Errno::EINVAL, "a stream that is linked below a multiplexor"),
        ("I_LIST", Errno::ENXIO, "a device that is no stream, or a stream that was hung up"),
        ("I_LIST", Errno::EIO, "a stream that has failed"),
        ("I_LIST", Errno::ENOSR, "a stream that has failed"),
        ("I_LIST", Errno::ENOTTY, "a device that is no stream"),
        ("I_STR", Errno::EIO, "a tap stream whose driver refuses TUNGETPPA"),
        ("I_SRDOPT", Errno::EINVAL, "a tap stream that refuses I_SRDOPT"),
    ];
    for (operation, errno, what) in cases {
        let fd = bare_device("tap3");
        machine.fail_nth(1, move |record| record.is(operation), Trouble::Errno(errno), Moment::Before);
        let error = refusal(fd);
        machine.kernel(streams_model::Kernel::clear_faults);
        assert_eq!(error.found, what);
        assert_eq!(error.source.unwrap().raw_os_error(), host(errno));
    }
    machine.fail_nth(1, |record| record.is("I_LIST"), Trouble::Answer(0), Moment::Before);
    assert_eq!(refusal(bare_device("tap3")).found, "a stream without a driver");
}

/// Row O9.
#[test]
fn what_is_no_stream_is_refused_by_its_kind() {
    let _machine = Machine::boot();
    let error = refusal(File::options().read(true).write(true).open("/dev/null").unwrap().into());
    assert_eq!(error.found, "a device that is no stream");
}

/// Row O1.
#[test]
fn a_datagram_socket_is_a_tap_here_too() {
    let machine = Machine::boot();
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let tap = Tap::from_fd(ours.into()).unwrap();
    theirs.send(&[5; 70]).unwrap();
    let mut frame = [0; 100];
    assert_eq!(nix::unistd::read(&tap, &mut frame), Ok(70));
    assert!(tap.name().is_err() && tap.mtu().is_err());
    assert_eq!(machine.calls(), 0, "{:?}", machine.trace_lines());
}

#[test]
fn a_socket_s_offloads_are_between_the_caller_and_its_peer() {
    let _machine = Machine::boot();
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    let tap = Config::new().inherited(ours.into()).offload(Offload::ALL).attach().unwrap();
    assert_eq!(tap.offload(), Offload::ALL);
    let header_only = Offload::with_header(12).unwrap();
    assert_eq!(tap.set_offload(header_only).unwrap(), header_only);
}

#[test]
fn a_name_in_use_is_no_obstacle_to_adopting_its_descriptor() {
    let machine = newer_driver();
    let tap = attach(impatient());
    let fd = tap.as_fd().try_clone_to_owned().unwrap();
    let adopted = Tap::from_fd(fd).unwrap();
    assert_eq!(adopted.name().unwrap(), tap.name().unwrap());
    assert_eq!(calls_about(&machine, "I_STR", "TUNNEWPPA").len(), 1);
}

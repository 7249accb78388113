//! Which name a program is told, and which name comes from it.

use std::os::fd::OwnedFd;

use tap_plumb::Config;

use super::programs::Programs;

/// Row F36.
pub(crate) fn a_setup_program_makes_the_interface_and_a_terminate_program_removes_it() {
    let programs = Programs::new("makes");
    let setup =
        programs.recorder("setup", "ip tuntap add dev \"$1\" mode tap && ip link set \"$1\" up mtu 1400");
    let terminate = programs.recorder("terminate", "ip link del dev \"$1\"");
    let config = Config::new().name("vm5").must_exist().setup_program(setup).terminate_program(terminate);
    let tap = config.attach().unwrap();
    assert_eq!(tap.mtu().unwrap(), 1400);
    assert!(tap.is_up().unwrap());
    tap.detach().unwrap();
    assert_eq!(programs.calls(), ["setup:1:vm5", "terminate:1:vm5"]);
    assert!(Config::new().name("vm5").must_exist().attach().is_err(), "the interface is left");
}

/// Row F37.
pub(crate) fn the_interface_gets_the_printed_name() {
    let programs = Programs::new("printed");
    let setup = programs.recorder("setup", "echo ' vm7\r'; echo more");
    let config = Config::new().setup_program(setup).terminate_program(programs.recorder("terminate", ""));
    let tap = config.attach().unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("vm7"));
    drop(tap);
    assert_eq!(programs.calls(), ["setup:0:", "terminate:1:vm7"]);
}

/// Row B29.
pub(crate) fn a_terminate_program_is_told_the_name_the_kernel_chose() {
    let programs = Programs::new("chosen");
    let terminate = programs.recorder("terminate", "");
    drop(Config::new().terminate_program(&terminate).attach().unwrap());
    drop(Config::new().name("vm%d").terminate_program(&terminate).attach().unwrap());
    assert_eq!(programs.calls(), ["terminate:1:tap0", "terminate:1:vm0"]);
}

/// Row B29.
pub(crate) fn programs_are_told_the_name_of_an_inherited_descriptor() {
    let programs = Programs::new("inherited");
    let fd: OwnedFd = Config::new().name("vm3").attach().unwrap().into_fd().unwrap();
    let config = Config::new().inherited(fd).setup_program(programs.recorder("setup", "echo other"));
    let tap = config.terminate_program(programs.recorder("terminate", "")).attach().unwrap();
    assert_eq!(programs.calls(), ["setup:1:vm3"]);
    let tap = tap.into_fd().expect_err("the terminate program is owed");
    drop(tap);
    assert_eq!(programs.calls(), ["setup:1:vm3", "terminate:1:vm3"]);
}

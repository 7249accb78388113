//! `tap-plumb-vhost-user`: gives a QEMU guest a network over a TAP.

use std::process::ExitCode;

fn main() -> ExitCode {
    tap_plumb_vhost_user::daemon::main(std::env::args_os().skip(1))
}

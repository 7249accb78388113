//! A process that ignores `SIGCHLD` never learns how its programs ended. A binary of its own: that is a setting of
//! the whole process.

#[path = "support/programs.rs"]
mod programs;

use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal, signal};
use programs::{Programs, named, setup_failure};
use tap_plumb::ProgramError;

/// Row hazard 24.
#[test]
#[expect(unsafe_code, reason = "changes what the process does on a signal")]
fn a_lost_status_is_an_error_and_not_a_success() {
    let programs = Programs::new("sigchld");
    let config = named(programs.recorder("setup", "sleep 0.1"));
    let config = config.terminate_program(programs.recorder("terminate", ""));
    // SAFETY: SIG_IGN runs no code of ours, and no other test of this process depends on SIGCHLD.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
    let begun = Instant::now();
    let error = setup_failure(config);
    assert!(
        matches!(&error, ProgramError::Wait { source, .. } if source.raw_os_error() == Some(libc::ECHILD)),
        "{error}"
    );
    assert!(begun.elapsed() >= Duration::from_millis(100), "the program was waited for");
    assert_eq!(programs.calls().len(), 1, "success is unknown, so nothing is owed");
}

//! Setup and terminate programs around the attach of a real TAP.

#[cfg(target_os = "linux")]
mod suite;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

//! The engine on a real TAP, each test in a network namespace of its own.

#[cfg(target_os = "linux")]
mod suite;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
